"""Predictor, its inputs and its results."""

import csv
import json
import os
import signal
import sys
import tracemalloc
import weakref

import cv2
import numpy as np
import pytest
import tifffile
import torch
from layouts import flir_block, save
from mmengine.structures import PixelData
from PIL import Image
from prediction_cases import CASES, Case, predictor_of, saved

import mmspec
from mmspec.apis import InputError, Inputs, Predictor, ResultFolder, TaskError
from mmspec.apis.results import ResultError
from mmspec.datasets.image_io import UnreadableImageError
from mmspec.thermal import recordings

pytest.importorskip("mmdet.models")
pytest.importorskip("mmseg.models")

#: What each task writes of an image beside its picture and its row of summary.csv.
WRITTEN = {
    "segmentation": ["labels/NAME.png", "probabilities/NAME.npz"],
    "detection": ["predictions.json"],
    "detection with masks": ["predictions.json"],
    "small targets": ["masks/NAME.png", "targets.csv", "probabilities/NAME.npz"],
    "saliency": ["saliency/NAME.png", "probabilities/NAME.npz"],
    "RGB-thermal segmentation": ["labels/NAME.png", "probabilities/NAME.npz"],
    "RGB-thermal detection": ["predictions.json"],
    "reconstruction": ["reconstructions/NAME.npz"],
    "reconstruction of pairs": ["reconstructions/NAME.npz"],
    "matching": ["matches/NAME.npz"],
    "features": ["features/NAME.npz"],
    "features of pairs": ["features/NAME.npz"],
}
#: What a line of a recording holds.
LINE = {
    "segmentation": "masks",
    "detection": "instances",
    "detection with masks": "instances",
    "small targets": "targets",
    "saliency": "mask",
    "RGB-thermal segmentation": "masks",
    "RGB-thermal detection": "instances",
    "reconstruction": "reconstruction_loss",
    "reconstruction of pairs": "reconstruction_loss",
    "matching": "homography",
    "features": "f1",
    "features of pairs": "infrared_f1",
}


def scene(seed: int, colours: bool = False) -> np.ndarray:
    """(96, 128) uint8, or (96, 128, 3): blobs on a slope."""
    rng = np.random.default_rng(seed)
    image = np.linspace(40, 120, 128)[None] + rng.normal(0, 4, (96, 128))
    for x, y in rng.integers(8, 88, (4, 2)):
        image[y - 6 : y + 6, x - 6 : x + 6] += 90
    image = image.clip(0, 255).astype(np.uint8)
    return np.stack([image, image // 2, 255 - image], axis=2) if colours else image


def write_all(predictions, out, **options) -> None:
    with ResultFolder(out, **options) as results:
        for prediction in predictions:
            results.write(prediction)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def predictor(folder):
    """The predictor of a case, built once."""
    built = {}

    def of(name: str):
        if name not in built:
            built[name] = predictor_of(CASES[name], folder)
        return built[name]

    return of


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Inputs of each kind, as (infrared, visible)."""
    root = tmp_path_factory.mktemp("inputs")
    inputs = {}
    for side, colours in (("ir", False), ("vi", True)):
        (root / side / "below").mkdir(parents=True)
        Image.fromarray(scene(0, colours)).save(root / side / "first.png")
        Image.fromarray(scene(1, colours)).save(root / side / "below" / "second.png")
        video = cv2.VideoWriter(
            str(root / f"{side}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 96)
        )
        for seed in range(2):
            frame = scene(seed, colours)
            video.write(frame if colours else cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
        video.release()
        entries = (root / side / "first.png", root / side, root / f"{side}.avi", scene(0, colours))
        for kind, one in zip(("image", "folder", "video", "array"), entries):
            inputs.setdefault(kind, []).append(one if kind == "array" else str(one))
    return {kind: tuple(sides) for kind, sides in inputs.items()}


@pytest.mark.parametrize("kind", ["image", "folder", "video", "array"])
@pytest.mark.parametrize("name", CASES)
def test_every_task_takes_every_input(name, kind, predictor, given, tmp_path):
    inputs = given[kind] if CASES[name].pairs else given[kind][0]
    write_all(predictor(name).predict(inputs, score=0.0), tmp_path / "out", probabilities=True)
    out = tmp_path / "out"
    if kind == "video":
        lines = (out / "ir.jsonl").read_text().splitlines()
        assert [json.loads(line)["frame"] for line in lines] == [0, 1]
        assert LINE[name] in json.loads(lines[0])
        assert [json.loads(line)["seconds"] for line in lines] == [0.0, 0.1]
        video = cv2.VideoCapture(str(out / "ir.mp4"))
        assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 2
        for result in filter(lambda result: "NAME" in result, WRITTEN[name]):
            assert (out / result.replace("NAME", "ir/000001")).is_file()
        return
    names = dict(image=["first"], array=["array_000000"], folder=["first", "below/second"])[kind]
    for result in ("pictures/NAME.png", *WRITTEN[name]):
        for one in names:
            assert (out / result.replace("NAME", one)).is_file()
    assert len((out / "summary.csv").read_text().splitlines()) == 1 + len(names)
    if "detection" in name:
        coco = json.loads((out / "predictions.json").read_text())
        assert len(coco["images"]) == len(names)
        assert ("segmentation" in coco["annotations"][0]) == (name == "detection with masks")
        assert {a["image_id"] for a in coco["annotations"]} == {i["id"] for i in coco["images"]}


@pytest.mark.parametrize("name", ["detection", "small targets"])
def test_the_best_score_is_told_below_the_threshold_too(name, predictor, given, tmp_path):
    write_all(predictor(name).predict(given["image"][0], score=1.0), tmp_path)
    with (tmp_path / "summary.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["objects" if name == "detection" else "targets"] == "0"
    assert 0 < float(row["best_score"]) < 1


def test_batches_change_nothing(predictor, given):
    one, two = (list(predictor("segmentation").predict(given["folder"][0], n)) for n in (1, 2))
    for first, second in zip(one, two, strict=True):
        assert first.frame == second.frame
        assert torch.allclose(
            first.sample.seg_logits.data, second.sample.seg_logits.data, atol=1e-4
        )


@pytest.mark.parametrize("name", ["segmentation", "small targets"])
def test_images_of_several_sizes_are_batched_by_size(name, predictor):
    images = [scene(0), scene(1), scene(2)[:64, :96], scene(3)]
    found = list(predictor(name).predict(images, batch_size=2))
    alone = list(predictor(name).predict(images))
    shapes = [tuple(one.sample.pred_sem_seg.data.shape[-2:]) for one in found]
    assert shapes == [image.shape for image in images]
    for one, other in zip(found, alone):
        torch.testing.assert_close(
            one.sample.seg_logits.data, other.sample.seg_logits.data, atol=1e-4, rtol=1e-4
        )


def test_a_tests_own_threshold_is_that_of_the_prediction(folder):
    cfg, checkpoint = saved(CASES["small targets"], folder)
    cfg.test_evaluator.threshold = 0.25
    model = Predictor(cfg, checkpoint, device="cpu")
    assert next(model.predict(scene(0))).score == 0.25


def test_files_arrays_and_pages_are_read_alike(predictor, tmp_path):
    """Of 16 bits: the scaling is the config's, whatever the pixels come in."""
    deep = [scene(seed).astype(np.uint16) * 40 + 7000 for seed in range(2)]
    cv2.imwrite(str(tmp_path / "deep.png"), deep[0])
    tifffile.imwrite(tmp_path / "stack.tif", np.stack(deep))
    tifffile.imwrite(tmp_path / "packed.tif", np.stack(deep), compression="zlib")
    model = predictor("segmentation")
    file = next(model.predict(str(tmp_path / "deep.png"))).image
    assert file.max() == 255 and file.min() == 0
    assert torch.equal(next(model.predict(deep[0])).image, file)
    assert torch.equal(next(model.predict(deep[0].astype(np.float32))).image, file)
    for name in ("stack.tif", "packed.tif"):
        pages = list(model.predict(str(tmp_path / name)))
        assert [page.frame.index for page in pages] == [0, 1]
        assert torch.equal(pages[0].image, file)


def test_no_time_is_made_up_where_a_recording_has_none(predictor, tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([scene(seed) for seed in range(2)]))
    write_all(predictor("segmentation").predict(str(tmp_path / "stack.tif")), tmp_path / "out")
    lines = (tmp_path / "out" / "stack.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1]
    assert not any("seconds" in line for line in lines)


def test_a_checkpoints_own_scale_wins_over_the_configs(predictor, folder, tmp_path, capfd):
    config, checkpoint = saved(CASES["segmentation"], folder)
    content = torch.load(checkpoint, weights_only=False)
    scale = dict(range=(7000, 17200))
    meta = {**(content.get("meta") or {}), "dataset_meta": dict(infrared_scale=scale)}
    torch.save({**content, "meta": meta}, tmp_path / "trained.pth")
    deep = scene(0).astype(np.uint16) * 40 + 7000
    model = Predictor(config, tmp_path / "trained.pth", device="cpu")
    told = "".join(capfd.readouterr())
    assert "infrared_scale={} of the config is left aside: " in told
    assert "trained with {'range': (7000, 17200)}" in told
    levels = next(model.predict(deep)).image.float()
    assert torch.equal(levels, next(predictor("segmentation").predict(scene(0))).image.float())


def test_frames_of_flir_have_the_unit_of_the_training(predictor, folder, tmp_path, data_root):
    pytest.importorskip("flyr")
    clip = data_root / "radiometric" / "seq" / "SampleSEQ.seq"
    if not clip.is_file():
        pytest.skip(f"no file {clip}")
    known = np.fromfile(clip.with_name("SampleSEQ_W640_H480_F2_u16.raw"), "<f4")
    config, checkpoint = saved(CASES["segmentation"], folder)
    content = torch.load(checkpoint, weights_only=False)
    meta = dict(dataset_meta=dict(infrared_scale=dict(range=(20, 40), unit="celsius")))
    torch.save({**content, "meta": meta}, tmp_path / "trained.pth")
    model = Predictor(config, tmp_path / "trained.pth", device="cpu")
    # Arrays are taken to be in the unit of the scale.
    inputs = [str(clip), *known.reshape(2, 480, 640)]
    levels = [prediction.image.int() for prediction in model.predict(inputs)]
    for of_clip, of_array in zip(levels[:2], levels[2:]):
        assert (of_clip - of_array).abs().max() <= 1 and of_clip.float().std() > 10


def test_colours_of_arrays_are_those_of_files(predictor, given):
    model = predictor("RGB-thermal segmentation")
    files, arrays = (next(model.predict(given[kind])) for kind in ("image", "array"))
    assert arrays.frame.pixels[1][0, 0, 0] != arrays.frame.pixels[1][0, 0, 2]
    channels = files.sample.channels
    red, blue = (channels.index(name) for name in ("red", "blue"))
    # The file was written red first, arrays are blue first.
    assert torch.equal(files.image[red], arrays.image[blue])


def test_a_broken_image_is_named_and_the_others_are_predicted(predictor, given, tmp_path):
    for name in ("a", "c"):
        Image.fromarray(scene(0)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "d.mp4").write_bytes(b"no video")
    model, broken = predictor("segmentation"), []
    names = [p.frame.name for p in model.predict(str(tmp_path), broken=broken)]
    assert names == ["a", "c"]
    assert sorted(os.path.basename(fault.path) for fault in broken) == ["b.png", "d.mp4"]
    with pytest.raises(UnreadableImageError, match=r"d\.mp4"):
        list(model.predict(str(tmp_path)))
    with pytest.raises(UnreadableImageError, match=r"b\.png: PNG cut short"):
        list(model.predict(str(tmp_path / "*.png")))


def test_a_cut_recording_is_named(given, tmp_path):
    whole = tmp_path / "whole.tif"
    tifffile.imwrite(whole, np.stack([scene(i) for i in range(3)]))
    content = bytearray(whole.read_bytes())
    (tmp_path / "cut.tif").write_bytes(content[: len(content) - 96 * 128 - 10])
    broken = []
    frames = list(Inputs(str(tmp_path / "cut.tif"), broken=broken))
    assert len(frames) < 3 and (broken or len(frames) == 1)


def test_inputs_that_are_not_there_or_no_pairs(predictor, given):
    single, pairs = predictor("segmentation"), predictor("matching")
    for model, inputs, message in (
        (single, "no/such/*.png", "no such file or folder, and nothing matches"),
        (single, given["image"], "a pair, and the model takes one image"),
        (pairs, given["image"][0], "takes aligned pairs; give"),
        (pairs, (given["image"][0], given["folder"][1]), "a file and a folder are no pair"),
        (pairs, ("no", "such"), "no and such: no such file or folder"),
        (pairs, (given["image"][0], given["video"][1]), "a recording and a still image"),
    ):
        with pytest.raises(InputError, match=message):
            list(model.predict(inputs))


def test_an_unpaired_image_is_named(predictor, given, tmp_path):
    for side in ("ir", "vi"):
        (tmp_path / side).mkdir()
        Image.fromarray(scene(0, side == "vi")).save(tmp_path / side / "both.png")
    Image.fromarray(scene(1)).save(tmp_path / "ir" / "alone.png")
    broken = []
    folders = (str(tmp_path / "ir"), str(tmp_path / "vi"))
    found = list(predictor("RGB-thermal segmentation").predict(folders, broken=broken))
    assert [p.frame.name for p in found] == ["both"]
    assert broken[0].path.endswith("alone.png") and "no visible image" in broken[0].reason


def test_names_of_results_are_unique(tmp_path):
    for name in ("x.png", "x.bmp", "x.y.png"):
        Image.fromarray(scene(0)).save(tmp_path / name)
    one = str(tmp_path / "x.png")
    names = [frame.name for frame in Inputs([str(tmp_path), one, scene(0), scene(1)])]
    assert len(set(names)) == 6
    assert not any(".." in name for name in names)


def test_upstream_loader_takes_arrays_of_8_bits(folder):
    cfg, checkpoint = saved(CASES["segmentation"], folder)
    cfg.test_dataloader.dataset.pipeline[0] = dict(type="LoadImageFromFile")
    model = mmspec.Predictor(cfg, checkpoint, device="cpu")
    image = next(model.predict(scene(0))).image
    assert (image[0] == image[2]).all()
    with pytest.raises(UnreadableImageError, match="LoadInfraredImageFromFile"):
        list(model.predict(scene(0).astype(np.uint16)))


@pytest.mark.parametrize("color_type", ["grayscale", "color", "unchanged"])
def test_upstream_loader_gives_of_an_array_what_it_gives_of_the_file(folder, color_type, tmp_path):
    cfg, checkpoint = saved(CASES["segmentation"], folder)
    loader = dict(type="LoadImageFromFile", color_type=color_type, to_float32=True)
    cfg.test_dataloader.dataset.pipeline[0] = loader
    load = mmspec.Predictor(cfg, checkpoint, device="cpu").load
    for colours in (False, True):
        cv2.imwrite(str(tmp_path / "one.png"), scene(0, colours))
        of_file, of_array = (
            load(dict(img_path=str(tmp_path / "one.png"), frames=frames))["img"]
            for frames in ({}, {str(tmp_path / "one.png"): scene(0, colours)})
        )
        assert of_file.dtype == of_array.dtype == np.float32
        # To gray, libpng rounds otherwise than OpenCV.
        np.testing.assert_allclose(of_file, of_array, atol=color_type == "grayscale")


def test_thousands_of_recordings_are_not_held_open(tmp_path):
    for number in range(30):
        block = b"".join(flir_block(scene(i).astype(np.uint16)) for i in range(2))
        (tmp_path / f"{number}.seq").write_bytes(block)
    before = len(os.listdir("/proc/self/fd"))
    inputs = Inputs(str(tmp_path))
    assert len(inputs) == 60
    opened = [len(os.listdir("/proc/self/fd")) - before for _ in inputs]
    assert len(opened) == 60 and max(opened) <= 10


def test_a_config_without_a_task(folder):
    cfg, checkpoint = saved(CASES["segmentation"], folder)
    with pytest.raises(TaskError, match="'features', or None"):
        mmspec.Predictor(cfg, checkpoint, task="segmentation")
    cfg.test_dataloader = cfg.test_pipeline = None
    with pytest.raises(TaskError, match="no test pipeline"):
        mmspec.Predictor(cfg, checkpoint)
    cfg.model = None
    with pytest.raises(TaskError, match="has no model"):
        mmspec.Predictor(cfg, checkpoint)


def test_features_of_a_config_that_is_not_tested(folder):
    """mmpretrain's MAE predicts nothing, and its config has a test pipeline without a loader."""
    case = Case("pretrain/mae_vit-tiny-p16_1xb32-coslr-20e_inf-mini.py", task="features")
    model = predictor_of(case, folder)
    prediction = next(model.predict(scene(0)))
    batch = dict(inputs=prediction.image[None], data_samples=[prediction.sample])
    with torch.no_grad():
        data = model.model.data_preprocessor(batch, False)
        (maps,) = model.model.extract_feat(data["inputs"])
    np.testing.assert_array_equal(prediction.sample.features["f1"], maps[0].numpy())
    cfg, checkpoint = saved(case, folder)
    with pytest.raises(TaskError, match="MAE predicts nothing .* --features"):
        mmspec.Predictor(cfg, checkpoint)
    mean = model.model.data_preprocessor.mean
    cfg.data_preprocessor = cfg.model.pop("data_preprocessor")  # as mmpretrain's configs have it
    found = mmspec.Predictor(cfg, checkpoint, task="features").model.data_preprocessor
    assert torch.equal(found.mean, mean)


def test_features_are_those_of_the_encoder(predictor, given):
    model = predictor("features")
    prediction = next(model.predict(given["image"][0]))
    batch = dict(inputs=[prediction.image], data_samples=[prediction.sample])
    with torch.no_grad():
        maps = model.model.backbone(model.model.data_preprocessor(batch, False)["inputs"])
    for name, tensor in zip(("f1", "f2", "f3", "f4"), maps, strict=True):
        np.testing.assert_array_equal(prediction.sample.features[name], tensor[0].numpy())


def test_a_tile_as_large_as_the_image_changes_nothing(predictor, given):
    for name in ("segmentation", "detection"):
        model = predictor(name)
        plain, tiled = (
            next(model.predict(given["image"][0], tile=tile)) for tile in (None, (500, 500))
        )
        assert torch.equal(plain.image, tiled.image)
        assert plain.record() == tiled.record()


def test_tiles_of_a_large_image(predictor, tmp_path):
    large = np.tile(scene(0), (3, 3))
    for name in ("segmentation", "detection with masks", "small targets"):
        with ResultFolder(tmp_path / name) as results:
            for found in predictor(name).predict(large, 2, tile=(96, 128), overlap=32, score=0.0):
                results.write(found)
                assert found.sample.ori_shape == large.shape
                if name == "segmentation":
                    assert found.sample.pred_sem_seg.data.shape[1:] == large.shape
                if name == "detection with masks":
                    assert found.sample.pred_instances.masks.shape[1:] == large.shape
    with pytest.raises(TaskError, match="tiles are for detection and segmentation"):
        list(predictor("reconstruction").predict(large, tile=(96, 128)))


class Quick:
    """In place of a model: a class for every pixel, at once."""

    def __init__(self) -> None:
        self.alive = weakref.WeakSet()
        self.most = 0

    def run(self, model, batch):
        for sample in batch["data_samples"]:
            shape = (1, *sample.ori_shape)
            sample.pred_sem_seg = PixelData(data=torch.ones(shape, dtype=torch.int64))
            sample.seg_logits = PixelData(data=torch.zeros(3, *sample.ori_shape))
            self.alive.add(sample)
        self.most = max(self.most, len(self.alive))
        return batch["data_samples"]


def test_any_number_of_images_takes_the_memory_of_a_few(predictor, tmp_path, monkeypatch):
    model, quick = predictor("segmentation"), Quick()
    monkeypatch.setattr(model.task, "run", quick.run)
    images = (scene(i % 5) for i in range(300))
    sizes = []
    tracemalloc.start()
    with ResultFolder(tmp_path / "out", pictures=False) as results:
        for number, prediction in enumerate(model.predict(images, batch_size=2)):
            results.write(prediction)
            if number % 100 == 99:
                sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len((tmp_path / "out/summary.csv").read_text().splitlines()) == 301
    assert quick.most <= 6
    assert sizes[2] - sizes[1] < 50_000  # names, of 100 images


def test_ctrl_c_waits_for_the_image_at_hand_and_leaves_whole_files(
    predictor, given, tmp_path, monkeypatch
):
    # A job in the background ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    model = predictor("detection")
    draw = type(model.task).picture

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return draw(*arguments)

    monkeypatch.setattr(type(model.task), "picture", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            write_all(model.predict(given["folder"][0], score=0.0), tmp_path / "out")
    finally:
        signal.signal(signal.SIGINT, before)
    out = tmp_path / "out"
    coco = json.loads((out / "predictions.json").read_text())
    assert len(coco["images"]) == 1 and len(coco["annotations"]) == 9
    assert len((out / "summary.csv").read_text().splitlines()) == 2
    assert len(list((out / "pictures").rglob("*.png"))) == 1
    assert not list(out.glob("*.images"))


def test_a_folder_with_results_is_refused(tmp_path):
    (tmp_path / "summary.csv").touch()
    with pytest.raises(ResultError, match="--overwrite"):
        ResultFolder(tmp_path)
    ResultFolder(tmp_path, overwrite=True)


def test_an_error_before_the_first_result_leaves_no_folder(tmp_path):
    with pytest.raises(InputError), ResultFolder(tmp_path / "out"):
        raise InputError("no such file")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def tool(folder, monkeypatch, capsys):
    """``tools/predict.py`` in this process: its exit status and what it printed."""
    import predict

    cfg, checkpoint = saved(CASES["segmentation"], folder)
    config = folder / "segmentation.py"
    cfg.dump(config)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["predict.py", str(config), str(checkpoint), *arguments])
        status = 0
        try:
            predict.main()
        except SystemExit as end:
            status = end.code
        said = capsys.readouterr()
        return status, said.out + said.err + str(status)

    return call


def test_a_damaged_page_costs_itself_alone(tmp_path, monkeypatch):
    stack = np.zeros((6, 40, 50), np.uint16)
    stack[2], stack[4:] = 1, 1
    np.save(tmp_path / "clip.npy", stack)
    whole = recordings.ArrayFrames.content

    def content(reader, index):
        if stack[index].any():
            raise UnreadableImageError.of(f"clip.npy#{index}", "damaged")
        return whole(reader, index)

    monkeypatch.setattr(recordings.ArrayFrames, "content", content)
    broken = []
    frames = list(Inputs(str(tmp_path), broken=broken))
    assert [frame.name for frame in frames] == ["clip/000000", "clip/000001", "clip/000003"]
    assert [(os.path.basename(fault.path), fault.reason) for fault in broken] == [
        ("clip.npy#2", "damaged"),
        ("clip.npy#4", "damaged"),
        ("clip.npy#5", "damaged; 1 frames from here on are left out"),
    ]


def test_frames_of_a_recording_and_images_beside_it_have_their_own_names(tmp_path):
    save(tmp_path / "clip/000000.png", np.zeros((40, 50), np.uint8))
    np.save(tmp_path / "clip.npy", np.zeros((1, 40, 50), np.uint16))
    names = [frame.name for frame in Inputs(str(tmp_path))]
    assert len(names) == len(set(names)) == 2


def test_the_tool_ends_with_a_failure_where_an_image_is_broken(tool, given, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "images").mkdir()
    Image.fromarray(scene(0)).save(tmp_path / "images" / "good.png")
    whole = (tmp_path / "images" / "good.png").read_bytes()
    (tmp_path / "images" / "bad.png").write_bytes(whole[:200])
    status, said = tool(str(tmp_path / "images"), "--out", str(out))
    assert "left out: " in said and "bad.png: PNG cut short" in said
    assert "1 could not be read" in said and status not in (0, None)
    assert (out / "pictures/good.png").is_file()
    inputs = [str(tmp_path / "images/good.png"), given["video"][0]]
    status, said = tool(*inputs, "--out", str(out), "--overwrite")
    assert status == 0 and f"1 images and 2 frames of recordings in {out}" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.png", "--out", "x"], "no.png: no such file or folder"),
        (["a.png", "b.png", "--visible", "c.png", "--out", "x"], "1 for 2 INPUTs; one each"),
        (["best_2.pth", "a.png", "--out", "x"], "and best_2.pth: two checkpoints"),
        (["a.png", "--batch-size", "0", "--out", "x"], "--batch-size 0: at least 1"),
        ([".", "--out", "x"], "--out x lies in .: its pictures would be inputs too"),
        (["a.png", "--device", "cuda:7", "--out", "x"], "device='cuda:7': there is no GPU"),
        (["a.png", "--visible", "b.png", "--out", "x"], "a pair, and the model takes one image"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(tool, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, said = tool(*arguments)
    assert status == 2 and message in said
