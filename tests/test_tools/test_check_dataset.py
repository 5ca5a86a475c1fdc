import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layouts import save
from PIL import Image

from mmspec.registry import DATASETS
from mmspec.visualization.detection import TO_IGNORE
from mmspec.visualization.segmentation import COLOURS

TOOL = Path(__file__).resolve().parents[2] / "tools/dataset_converters/check_dataset.py"
sys.path.insert(0, str(TOOL.parent))

from check_dataset import CHECKS  # noqa: E402
from checks.sheet import choose_samples  # noqa: E402


def eyes(root, count=3, size=(30, 40)):
    """Iris in the first row of each label, a pupil in the last one alone."""
    for i in range(count):
        labels = np.zeros(size, np.uint8)
        labels[0] = 1
        labels[1, 0] = 2 * (i == count - 1)
        gray = np.linspace(50, 200, size[0] * size[1]).reshape(size).astype(np.uint8)
        save(root / "images/train" / f"{i}.png", gray)
        save(root / "labels/train" / f"{i}.png", labels)


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments, workers=1):
        argv = [str(TOOL), *map(str, arguments), "--workers", str(workers)]
        monkeypatch.setattr(sys, "argv", argv)
        status = 0
        try:
            runpy.run_path(str(TOOL), run_name="__main__")
        except SystemExit as error:
            status = error.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.mark.parametrize(("name", "workers"), [("EyeDataset", 1), ("mmspec.EyeDataset", 2)])
def test_a_sound_data_set(tmp_path, run, name, workers):
    eyes(tmp_path)
    status, out, _ = run(name, tmp_path, "--out", tmp_path / "new/sheet.png", workers=workers)
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert "3 samples, 3 without a fault; 0 names without a counterpart" in out
    assert ["3", "infrared", "images:", "PNG,", "8-bit", "gray"] in lines
    assert ["3", "labels:", "PNG,", "8-bit", "gray"] in lines
    assert ["3", "images", "of", "40", "x", "30", "pixels"] in lines
    assert ["background", "3,479", "96.64%", "3"] in lines
    assert ["iris", "120", "3.33%", "3"] in lines
    assert ["pupil", "1", "0.03%", "1"] in lines
    assert "no fault found" in out and "(ignored)" not in out and "note:" not in out
    with Image.open(tmp_path / "new/sheet.png") as sheet:
        assert sheet.mode == "RGB" and sheet.width == 4 + 4 * 324


def test_every_problem_is_listed_by_file_and_the_status_is_1(tmp_path, run):
    eyes(tmp_path, count=7)
    images, labels = tmp_path / "images/train", tmp_path / "labels/train"
    (images / "0.png").write_text("no picture")
    (labels / "1.png").write_bytes((labels / "1.png").read_bytes()[:50])
    save(labels / "2.png", np.full((30, 40), 7, np.uint8))
    save(labels / "3.png", np.zeros((40, 30), np.uint8))
    (labels / "4.png").unlink()
    (images / "5.png").unlink()
    status, out, _ = run("EyeDataset", tmp_path, "--out", tmp_path / "sheet.png")
    assert status == "error: EyeDataset has 6 faults, listed above"
    wrong = [line for line in out.splitlines() if line.startswith("fault: ")]
    beginnings = [
        f"fault: {images}/4.png: infrared image with no label in ",
        f"fault: {labels}/5.png: label with no infrared image in ",
        f"fault: {images}/0.png: not a JPEG, PNG, TIFF, BMP or NumPy file",
        f"fault: {labels}/1.png: cannot be read as an image",
        f"fault: {labels}/2.png: 1,200 of 1,200 pixels hold values outside the 3 classes: 7 ",
        f"fault: {labels}/3.png: the label is 30 x 40 pixels, its image ",
    ]
    assert len(wrong) == len(beginnings)
    for line, beginning in zip(wrong, beginnings):
        assert line.startswith(beginning)
    assert "5 samples, 1 without a fault; 2 names without a counterpart" in out
    assert (tmp_path / "sheet.png").is_file()


def test_no_sheet_of_faulty_samples_alone(tmp_path, run):
    eyes(tmp_path, count=1)
    save(tmp_path / "labels/train/0.png", np.full((30, 40), 7, np.uint8))
    status, out, _ = run("EyeDataset", tmp_path, "--out", tmp_path / "sheet.png")
    assert status == "error: EyeDataset has 1 faults, listed above"
    assert "no picture" in out and not (tmp_path / "sheet.png").exists()


def test_other_arguments_of_the_class(tmp_path, run):
    eyes(tmp_path)
    (tmp_path / "labels/train").rename(tmp_path / "truth")
    save(tmp_path / "truth/0.png", np.full((30, 40), 255, np.uint8))
    status, out, _ = run(
        "EyeDataset", tmp_path, "--options", "data_prefix.seg_map_path=truth", "label_values.0=0",
        "label_values.1=1", "label_values.2=2", "label_values.255=255",
    )  # fmt: skip
    assert status == 0
    assert ["(ignored)", "1,200", "33.33%", "1"] in [line.split() for line in out.splitlines()]


def pairs(root, visible_size=(30, 40)):
    for i in range(2):
        save(root / "test/ir" / f"{i}.png", np.full((30, 40), 60 + i, np.uint8))
        save(root / "test/vi" / f"{i}.png", np.full((*visible_size, 3), (200, 90, 10), np.uint8))
        save(root / "test/Segmentation_labels" / f"{i}.png", np.full((30, 40), i, np.uint8))


@pytest.mark.parametrize("modality", ["visible", "both"])
def test_pairs(tmp_path, run, modality):
    pairs(tmp_path)
    status, out, _ = run(
        "MSRSDataset", tmp_path, "--split", "test", "--out", tmp_path / "s.png",
        "--options", f"modality={modality}",
    )  # fmt: skip
    assert status == 0
    assert "2  visible images: PNG, 8-bit colour" in out
    assert ("2  infrared images: PNG, 8-bit gray" in out) == (modality == "both")
    assert "note: no pixel of Person, Bike, Curve, Car Stop" in out
    # The second picture of the first row has the label over it: Background is black, no tint.
    shown = np.asarray(Image.open(tmp_path / "s.png"))[200, 4 + 324 + 100]
    assert shown.tolist() == ([200, 90, 10] if modality == "visible" else [0, 0, 0])


def test_pairs_of_different_sizes(tmp_path, run):
    pairs(tmp_path, visible_size=(31, 40))
    status, out, _ = run("MSRSDataset", tmp_path, "--split", "test", "--options", "modality=both")
    assert status == "error: MSRSDataset has 2 faults, listed above"
    assert f"fault: {tmp_path}/test/ir/0.png: 40 x 30 pixels, its visible image " in out


def test_coloured_infrared_is_remarked_but_not_wrong(tmp_path, run):
    eyes(tmp_path)
    for i in range(2):
        pixels = np.random.RandomState(i).randint(0, 255, (30, 40, 3)).astype(np.uint8)
        save(tmp_path / "images/train" / f"{i}.png", pixels)
    status, out, _ = run("EyeDataset", tmp_path)
    assert status == 0
    assert f"note: 2 files, the first is {tmp_path}/images/train/0.png: a colour image" in out


def test_depths(tmp_path, run):
    eyes(tmp_path)
    save(tmp_path / "images/train/0.png", np.arange(1200, dtype=np.uint16).reshape(30, 40))
    (tmp_path / "images/train/1.png").unlink()
    save(tmp_path / "images/train/1.tif", np.arange(1200, dtype=np.uint16).reshape(30, 40))
    _, out, _ = run("EyeDataset", tmp_path)
    for kind in ("PNG, 16-bit gray", "TIFF, 16-bit, 1 channels", "PNG, 8-bit gray"):
        assert f"1  infrared images: {kind}\n" in out


def test_every_data_set_of_the_package_has_a_check():
    DATASETS.import_from_location()
    own = [cls for cls in DATASETS.module_dict.values() if cls.__module__.startswith("mmspec.")]
    assert len(own) > 20
    without = [cls.__name__ for cls in own if not issubclass(cls, tuple(CHECKS))]
    assert without == ["PackedInfrared", "PackedRGBT"]  # see --verify of pack_corpus.py


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_without_labels(tmp_path, run, workers):
    eyes(tmp_path)
    folder = tmp_path / "images"
    save(folder / "deep.png", np.arange(1200, dtype=np.uint16).reshape(30, 40))
    status, out, _ = run("InfraredFolder", folder, "--out", tmp_path / "s.png", workers=workers)
    assert status == 0
    assert "4 samples, 4 without a fault\n" in out and "no fault found" in out
    assert "3  infrared images: PNG, 8-bit gray" in out
    assert "1  infrared images: PNG, 16-bit gray" in out
    assert "4  images of 40 x 30 pixels" in out
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width == 4 + 4 * 324


def test_frames_of_recordings(tmp_path, run):
    np.save(tmp_path / "clip.npy", np.arange(6000, dtype=np.uint16).reshape(3, 40, 50))
    status, text, _ = run("InfraredFolder", tmp_path)
    assert status == 0
    assert "3  infrared images: NPY, frames" in text


def test_arrays_are_known_by_their_type(tmp_path, run):
    celsius = np.linspace(10, 20, 1200, dtype=np.float32).reshape(30, 40)
    np.save(tmp_path / "a.npy", np.arange(1200, dtype=np.uint16).reshape(30, 40))
    np.savez(tmp_path / "b.npz", celsius=celsius)
    np.savez_compressed(tmp_path / "c.npz", celsius)
    status, text, _ = run("InfraredFolder", tmp_path)
    assert status == 0 and "unknown kind" not in text
    assert "1  infrared images: NPY, uint16\n" in text
    assert "2  infrared images: NPZ, float32\n" in text


@pytest.mark.parametrize("good", [True, False])
def test_every_broken_recording_is_named(tmp_path, run, good):
    (tmp_path / "a.npy").write_bytes(b"none")
    (tmp_path / "b.seq").write_bytes(b"none")
    if good:
        np.save(tmp_path / "c.npy", np.arange(2000, dtype=np.uint16).reshape(1, 40, 50))
    status, text, _ = run("InfraredFolder", tmp_path)
    assert status == "error: InfraredFolder has 2 faults, listed above"
    assert f"fault: {tmp_path}/a.npy: no NumPy file" in text
    assert f"fault: {tmp_path}/b.seq: " in text


def test_faults_of_a_folder_without_labels(tmp_path, run):
    eyes(tmp_path, count=4)
    folder = tmp_path / "images/train"
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:60])
    save(folder / "1.png", np.zeros((19, 12), np.uint8))
    (tmp_path / "list.txt").write_text("0.png\n1.png\n2.png\n7.png\n")
    status, out, _ = run("InfraredFolder", folder, "--options", f"ann_file={tmp_path / 'list.txt'}")
    assert status == "error: InfraredFolder has 3 faults, listed above"
    assert "4 samples, 1 without a fault\n" in out
    for name, reason in (
        ("0.png", "PNG cut short after 60 bytes"),
        ("1.png", "12 x 19 pixels, both sides under min_size=20"),
        ("7.png", "cannot be opened"),
    ):
        assert f"fault: {folder}/{name}: {reason}" in out


@pytest.mark.parametrize("name", ["RGBTFolder", "RoadSceneMatchingDataset"])
def test_pairs_without_labels(tmp_path, run, name):
    pairs(tmp_path)
    folders = ["infrared=test/ir", "visible=test/vi"]
    status, out, _ = run(name, tmp_path, "--out", tmp_path / "s.png", "--options", *folders)
    assert status == 0
    assert "2 samples, 2 without a fault; 0 names without a counterpart" in out
    assert "2  infrared images: PNG, 8-bit gray" in out
    assert "2  visible images: PNG, 8-bit colour" in out
    # Columns: infrared, visible, infrared, visible.
    shown = np.asarray(Image.open(tmp_path / "s.png"))[200]
    assert shown[4 + 324 + 100].tolist() == [200, 90, 10] == shown[4 + 3 * 324 + 100].tolist()
    (tmp_path / "test/ir/2.png").write_bytes((tmp_path / "test/ir/1.png").read_bytes())
    save(tmp_path / "test/vi/1.png", np.zeros((31, 40, 3), np.uint8))
    status, out, _ = run(name, tmp_path, "--options", *folders)
    assert status == f"error: {name} has 2 faults, listed above"
    assert f"fault: {tmp_path}/test/ir/2.png: no visible image {tmp_path}/test/vi/2.*" in out
    assert f"fault: {tmp_path}/test/ir/1.png: 40 x 30 pixels, its visible image" in out


def test_pairs_left_out_are_not_checked(tmp_path, run):
    pairs(tmp_path)
    for side in ("ir", "vi"):
        (tmp_path / f"test/{side}/1.png").rename(tmp_path / f"test/{side}/FLIR_1.png")
    (tmp_path / "test/vi/FLIR_1.png").write_text("no picture")
    options = ["infrared=test/ir", "visible=test/vi", "exclude=[FLIR_1]"]
    status, out, _ = run("RoadSceneMatchingDataset", tmp_path, "--options", *options)
    assert status == 0 and "1 samples, 1 without a fault" in out


def test_saliency(tmp_path, run):
    for folder, level in (("T", 60), ("RGB", 90), ("GT", 255)):
        shape = (30, 40, 3) if folder == "RGB" else (30, 40)
        save(tmp_path / folder / "1.png", np.full(shape, level, np.uint8))
    options = ("--out", tmp_path / "s.png", "--options", "modality=both")
    status, out, _ = run("SaliencyDataset", tmp_path, *options)
    assert status == 0 and "salient" in out and (tmp_path / "s.png").is_file()
    save(tmp_path / "GT/1.png", np.full((15, 20), 255, np.uint8))
    status, out, _ = run("SaliencyDataset", tmp_path, *options)
    assert "fault: " in out and "the label is 20 x 15 pixels, its image" in out


@pytest.mark.parametrize("labels", ["points", "saliency"])
@pytest.mark.parametrize("modality", ["visible", "both"])
def test_rendered_pairs(tmp_path, run, modality, labels):
    status, out, _ = run(
        "SyntheticInfrared", "--out", tmp_path / "sheet.png", "--options", "length=2",
        "size=[64,96]", f"modality={modality}", f"labels={labels}",
    )  # fmt: skip
    assert status == 0 and "2  images of 96 x 64 pixels" in out
    channels = dict(visible="blue, green, red", both="infrared, red, green, blue")[modality]
    assert f"2  rendered scenes, 8-bit: {channels}\n" in out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 4 + 4 * 324


def test_faults_of_one_kind_are_summed_up(tmp_path, run):
    eyes(tmp_path, count=30)
    images, labels = tmp_path / "images/train", tmp_path / "labels/train"
    for i in range(12):
        (labels / f"{i}.png").unlink()
    for i in range(12, 20):
        save(labels / f"{i}.png", np.full((30, 40), i, np.uint8))
    (images / "29.png").write_text("no picture")
    status, out, _ = run("EyeDataset", tmp_path)
    assert status == "error: EyeDataset has 21 faults, summed up above"
    wrong = [line for line in out.splitlines() if line.startswith("fault: ")]
    assert len(wrong) == 6 + 6 + 1
    assert wrong[5] == "fault: 7 more of this kind; --all names them"
    assert wrong[6].startswith(f"fault: {labels}/12.png: 1,200 of 1,200 pixels hold values outside")
    assert wrong[11] == "fault: 3 more of this kind; --all names them"
    status, out, _ = run("EyeDataset", tmp_path, "--all")
    assert status == "error: EyeDataset has 21 faults, listed above"
    assert out.count("fault: ") == 21 and "more of this kind" not in out


def test_faults_of_boxes_are_summed_up(tmp_path, run):
    boxes(tmp_path, *[(i % 3, 0, [70 + i, i, 5, 5]) for i in range(9)], count=3)
    status, out, _ = run("HITUAVDataset", tmp_path)
    assert status == "error: HITUAVDataset has 9 faults, summed up above"
    assert out.count("fault: ") == 6 and "fault: 4 more of this kind" in out


@pytest.mark.parametrize("modality", ["visible", "both"])
def test_each_image_of_a_pair_is_compared_with_its_boxes(tmp_path, run, modality):
    file = tmp_path / "annotations/train.json"
    file.parent.mkdir()
    for folder, shape in (("ir", (40, 60)), ("vi", (20, 30, 3))):
        save(tmp_path / folder / "1.png", np.full(shape, 90, np.uint8))
    box = dict(id=1, image_id=1, category_id=1, bbox=[1, 1, 9, 9])
    content = dict(
        images=[dict(id=1, file_name="1.png", width=60, height=40)],
        annotations=[box], categories=[dict(id=1, name="pipe")],
    )  # fmt: skip
    file.write_text(json.dumps(content))
    status, out, _ = run(
        "InfraredDetDataset", tmp_path, "--options", f"modality={modality}",
        "metainfo.classes=['pipe']", "data_prefix.infrared_path=ir", "data_prefix.visible_path=vi",
    )  # fmt: skip
    assert status == "error: InfraredDetDataset has 1 faults, listed above"
    assert (
        f"fault: {tmp_path}/vi/1.png: 30 x 20 pixels, its boxes are for an image of 60 x 40: they"
        f" would be in wrong places ({file})"
    ) in out


def test_rendered_scenes_need_no_folder(tmp_path, run):
    status, out, _ = run(
        "SyntheticInfrared", "--out", tmp_path / "sheet.png", "--options", "length=3",
        "size=[64,96]",
    )  # fmt: skip
    assert status == 0
    assert "3  images of 96 x 64 pixels" in out and "vehicle" in out
    assert (tmp_path / "sheet.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["EyeDataset"], "error: EyeDataset lies in a folder: give ROOT"),
        (["EyeDataset", "{root}", "--split", "val"], "error: EyeDataset, split 'val': no folder"),
        (["InfraredFolder", "{root}/no"], "error: no folder '.*/no/?'"),
        (["PackedRGBT", "{root}"], "error: PackedRGBT: pack_corpus.py --verify ROOT"),
        (["RGBTFolder", "{root}"], "error: no folder '.*/ir'"),
        (["EyeDataset", "{root}", "--options", "colour=1"], "error: .* argument 'colour'"),
    ],
)
def test_what_cannot_be_checked(tmp_path, run, arguments, message):
    eyes(tmp_path)
    status, _, _ = run(*[argument.format(root=tmp_path) for argument in arguments])
    assert re.match(message, status)


def test_an_unknown_name_lists_the_known_ones(tmp_path, run):
    status, _, err = run("EyesDataset", tmp_path)
    assert status == 2
    assert "no data set EyesDataset; there are EyeDataset, FLIRDataset, FMBDataset" in err


def test_rare_classes_are_shown_first_and_the_rest_is_spread():
    counts = [np.array([4, 0, 0])] * 40
    counts[17], counts[23] = np.array([1, 3, 0]), None
    chosen = choose_samples(counts, 2)
    assert len(chosen) == 12 == len(set(chosen)) and 17 in chosen and 23 not in chosen
    assert chosen[0] == 0 and chosen == sorted(chosen) and chosen[-1] > 30
    assert choose_samples([None], 2) == []


def boxes(root, *entries, count=2):
    """Images of 60 x 40 with a person each, and further entries (image, category, box)."""
    for i in range(count):
        save(root / "normal_json/train" / f"{i}.png", np.full((40, 60), 90 + i, np.uint8))
    listed = [(i, 0, [10, 10, 20, 20]) for i in range(count)] + list(entries)
    content = dict(
        images=[dict(id=i, filename=f"{i}.png", width=60, height=40) for i in range(count)],
        annotation=[
            dict(id=number, image_id=image, category_id=category, bbox=box)
            for number, (image, category, box) in enumerate(listed)
        ],
        categories=[
            dict(id=i, name=name)
            for i, name in enumerate(["Person", "Car", "Bicycle", "OtherVehicle", "DontCare"])
        ],
    )
    path = root / "normal_json/annotations/train.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("workers", [1, 2])
def test_boxes(tmp_path, run, workers):
    boxes(tmp_path, (0, 1, [0, 0, 50, 40]), (0, 4, [5, 5, 9, 9]), (1, 0, [-5, 0, 15, 40]))
    sheet = tmp_path / "sheet.png"
    status, out, _ = run("HITUAVDataset", tmp_path, "--out", sheet, workers=workers)
    assert status == 0
    assert "2 images, 2 of them without a fault and 0 without an object" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["Person", "3", "75.00%", "2", "100.0%", "0.0%", "0.0%"] in lines
    assert ["Car", "1", "25.00%", "1", "0.0%", "100.0%", "0.0%"] in lines
    assert ["(to", "ignore)", "1", "1", "100.0%", "0.0%", "0.0%"] in lines
    assert "note: no box of Bicycle, OtherVehicle" in out
    assert "note: 1 boxes are clipped to their image, the first is" in out
    assert "annotation 4: 1.png: box [-5, 0, 15, 40] partly outside the image of 60 x 40" in out
    # 60 pixels are 480 of the sheet: the outline of the first person is just outside its box.
    shown = np.asarray(Image.open(sheet))[26:, 4:]
    assert tuple(shown[79, 100]) == COLOURS[0] and tuple(shown[80, 100]) != COLOURS[0]
    assert tuple(shown[39, 50]) == TO_IGNORE


def test_every_box_that_cannot_be_used_is_listed(tmp_path, run):
    boxes(
        tmp_path, (0, 0, [70, 0, 5, 5]), (0, 0, [1, 1, 0, 5]), (0, 9, [1, 1, 5, 5]),
        (7, 0, [1, 1, 5, 5]), (0, 0, [1, 1, 5]), count=4,
    )  # fmt: skip
    folder, file = tmp_path / "normal_json/train", tmp_path / "normal_json/annotations/train.json"
    (folder / "1.png").unlink()
    (folder / "2.png").write_text("no picture")
    save(folder / "3.png", np.zeros((60, 40), np.uint8))
    status, out, _ = run("HITUAVDataset", tmp_path)
    assert status == "error: HITUAVDataset has 8 faults, listed above"
    wrong = [line for line in out.splitlines() if line.startswith("fault: ")]
    beginnings = [
        f"fault: {file}: annotation 6: 0.png: unknown category_id 9; the file lists 0 Person",
        f"fault: {file}: annotation 7: image_id 7 is not among the images",
        f"fault: {file}: annotation 8: 0.png: bbox [1, 1, 5] is not [x, y, width, height]",
        f"fault: {file}: annotation 4: 0.png: box [70, 0, 5, 5] outside the image of 60 x 40",
        f"fault: {file}: annotation 5: 0.png: box [1, 1, 0, 5] of zero area",
        f"fault: {folder}/1.png: no such file, listed as image 1 in {file}",
        f"fault: {folder}/2.png: not a JPEG, PNG, TIFF, BMP or NumPy file",
        f"fault: {folder}/3.png: 40 x 60 pixels, its boxes are for an image of 60 x 40",
    ]
    assert len(wrong) == len(beginnings)
    for line, beginning in zip(wrong, beginnings):
        assert line.startswith(beginning)
    assert "3 images, 1 of them without a fault and 0 without an object" in out


WITHOUT = """
import runpy, sys
sys.modules[{package!r}] = None
sys.argv = {argv!r}
sys.path.insert(0, {folder!r})
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("package", ["mmseg", "mmdet"])
def test_boxes_need_no_mmseg_and_labels_no_mmdet(tmp_path, package):
    name = dict(mmseg="HITUAVDataset", mmdet="EyeDataset")[package]
    dict(mmseg=boxes, mmdet=eyes)[package](tmp_path)
    argv = [str(TOOL), name, str(tmp_path), "--workers", "1"]
    code = WITHOUT.format(package=package, argv=argv, folder=str(TOOL.parent))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "no fault found" in run.stdout


def test_a_file_that_is_not_coco_is_said_in_one_line(tmp_path, run):
    boxes(tmp_path)
    (tmp_path / "normal_json/annotations/train.json").write_text("[1, 2]")
    status, _, _ = run("HITUAVDataset", tmp_path)
    assert status.endswith(
        "train.json: not a COCO file: it holds a list, not an object with 'images',"
        " 'annotations' and 'categories'"
    )


@pytest.mark.parametrize(
    ("name", "folder", "count", "lines"),
    [
        ("UdderDataset", "udder_seg", 50, [["udder", "602,605", "3.92%", "50"]]),
        (
            "EyeDataset",
            "eye_seg",
            80,
            [["iris", "604,246", "18.88%", "80"], ["pupil", "59,397", "1.86%", "80"]],
        ),
    ],
)
def test_real_data(data_root, tmp_path, run, name, folder, count, lines):
    if not (data_root / folder).is_dir():
        pytest.skip(f"no {folder} in {data_root}")
    status, out, _ = run(
        name, data_root / folder, "--split", "test", "--out", tmp_path / "sheet.png"
    )
    assert status == 0
    assert f"{count} samples, {count} without a fault; 0 names" in out
    printed = [line.split() for line in out.splitlines()]
    assert all(line in printed for line in lines)


@pytest.mark.parametrize(
    ("name", "folder", "options", "line"),
    [
        (
            "HITUAVDataset",
            "hit_uav",
            [],
            ["Person", "864", "51.77%", "95", "99.7%", "0.3%", "0.0%"],
        ),
        (
            "MSRSDetDataset",
            "msrs_det",
            ["--options", "modality=both", "labels=infrared"],
            ["person", "139", "75.54%", "27", "65.5%", "31.7%", "2.9%"],
        ),
    ],
)
def test_real_boxes(data_root, tmp_path, run, name, folder, options, line):
    if not (data_root / folder).is_dir():
        pytest.skip(f"no {folder} in {data_root}")
    status, out, _ = run(name, data_root / folder, "--out", tmp_path / "sheet.png", *options)
    assert status == 0
    assert line in [printed.split() for printed in out.splitlines()]
    assert (tmp_path / "sheet.png").is_file()
