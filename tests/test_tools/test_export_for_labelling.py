import json
import re
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from mmspec.datasets.detection import InfraredDetDataset
from mmspec.datasets.image_io import read_infrared

TOOLS = Path(__file__).resolve().parents[2] / "tools/dataset_converters"


def run(monkeypatch, tool, *arguments):
    monkeypatch.setattr(sys, "argv", [tool, *map(str, arguments)])
    runpy.run_path(str(TOOLS / f"{tool}.py"), run_name="__main__")


def counts(seed):
    return np.random.default_rng(seed).integers(7000, 9000, (48, 64)).astype(np.uint16)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "deep"
    (root / "a").mkdir(parents=True)
    cv2.imwrite(str(root / "a/0.png"), counts(0))
    tifffile.imwrite(root / "1.tif", counts(1))
    return root


@pytest.mark.parametrize("scale", ["percentiles", "range", "config"])
def test_views_are_what_training_sees(folder, tmp_path, monkeypatch, scale):
    options = dict(percentiles=dict(percentiles=(0.5, 99.5)), range=dict(value_range=(7000, 8000)))
    options["config"] = options["range"]
    setting = "infrared_scale=dict(range=(7000, 8000), float32=True)"
    arguments = dict(percentiles=[], range=["--range", 7000, 8000], config=["--config", "c.py"])
    step = dict(type="mmspec.LoadInfraredImageFromFile")
    monkeypatch.chdir(tmp_path)
    Path("c.py").write_text(f"train_dataloader = dict(dataset=dict({setting}, pipeline=[{step}]))")
    run(monkeypatch, "export_for_labelling", folder, "--out", tmp_path / "views", *arguments[scale])
    for view, deep in (("a/0.png", "a/0.png"), ("1.png", "1.tif")):
        seen = cv2.imread(str(tmp_path / "views" / view), cv2.IMREAD_UNCHANGED)
        assert seen.dtype == np.uint8
        assert np.array_equal(seen, read_infrared(folder / deep, **options[scale]))


def test_the_unit_of_a_config_counts_and_what_is_clipped_is_told(
    data_root, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("flyr")
    root = tmp_path / "deep"
    root.mkdir()
    (root / "one.jpg").symlink_to(next((data_root / "radiometric/flir_jpeg").glob("*.jpg")))
    monkeypatch.chdir(tmp_path)
    step = dict(type="mmspec.LoadInfraredImageFromFile")

    def views(out, **scale):
        Path("c.py").write_text(
            f"train_dataloader = dict(dataset=dict(infrared_scale={scale}, pipeline=[{step}]))"
        )
        run(monkeypatch, "export_for_labelling", root, "--out", out, "--config", "c.py")
        return cv2.imread(f"{out}/one.png", cv2.IMREAD_UNCHANGED)

    seen = read_infrared(root / "one.jpg", unit="counts", percentiles=(0.5, 99.5))
    assert np.array_equal(views("counts", unit="counts"), seen)
    capsys.readouterr()
    views("clipped", range=(500, 600))
    assert "the range clips more than half of the pixels" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="sequence=True.*--range"):
        views("together", sequence=True)


def test_labels_of_views_are_read_with_the_deep_files(folder, tmp_path, monkeypatch):
    run(monkeypatch, "export_for_labelling", folder, "--out", tmp_path / "views")
    for name in ("a/0", "1"):  # as a labelling program writes them, then moved to the deep files
        path = folder / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0 0.5 0.5 0.25 0.5\n")
    options = ("--classes", "leak", "--val-share", 0.5)
    run(monkeypatch, "to_coco", "yolo", folder, *options)
    check_boxes(folder)


def test_labelme_of_views_is_read_with_the_deep_files(folder, tmp_path, monkeypatch):
    run(monkeypatch, "export_for_labelling", folder, "--out", tmp_path / "views")
    shape = dict(label="leak", shape_type="rectangle", points=[[24, 12], [40, 36]])
    for name in ("a/0", "1"):
        size = dict(imageHeight=48, imageWidth=64)
        content = dict(shapes=[shape], imagePath=f"{Path(name).name}.png", **size)
        (folder / f"{name}.json").write_text(json.dumps(content))
    run(monkeypatch, "to_coco", "labelme", folder, "--val-share", 0.5)
    check_boxes(folder)


def check_boxes(folder):
    """Both deep files are loaded with the box that was drawn on their views."""
    names = []
    for split in ("train", "val"):
        step = dict(type="mmspec.LoadInfraredImageFromFile")
        data = InfraredDetDataset(
            data_root=str(folder),
            ann_file=f"annotations/{split}.json",
            metainfo=dict(classes=("leak",)),
            pipeline=[step],
        )
        for sample in data:
            assert sample["instances"][0]["bbox"] == pytest.approx([24, 12, 40, 36], abs=1e-3)
            seen = read_infrared(sample["img_path"], percentiles=(0.5, 99.5))
            assert np.array_equal(sample["img"], seen)
            names.append(Path(sample["img_path"]).name)
    assert sorted(names) == ["0.png", "1.tif"]


def test_frames_of_a_recording_and_of_arrays_are_written_deep_too(tmp_path, monkeypatch):
    root = tmp_path / "deep"
    root.mkdir()
    np.save(root / "clip.npy", np.stack([counts(i) for i in range(5)]))
    deep = tmp_path / "measured"
    options = ("--out", tmp_path / "views", "--deep", deep, "--every", 2)
    run(monkeypatch, "export_for_labelling", root, *options)
    views = sorted(p.relative_to(tmp_path / "views") for p in (tmp_path / "views").rglob("*.png"))
    assert [str(path) for path in views] == [f"clip/00000{i}.png" for i in (0, 2, 4)]
    written = cv2.imread(str(deep / "clip/000002.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(written, counts(2))


def test_a_radiometric_jpeg_and_a_recording(data_root, tmp_path, monkeypatch):
    pytest.importorskip("flyr")
    root = tmp_path / "deep"
    root.mkdir()
    (root / "one.jpg").symlink_to(next((data_root / "radiometric/flir_jpeg").glob("*.jpg")))
    (root / "clip.seq").symlink_to(next((data_root / "radiometric/seq").glob("*.seq")))
    deep = tmp_path / "measured"
    run(monkeypatch, "export_for_labelling", root, "--out", tmp_path / "views", "--deep", deep)
    celsius = tifffile.imread(deep / "one.tif")
    assert celsius.dtype == np.float32
    view = cv2.imread(str(tmp_path / "views/one.png"), cv2.IMREAD_UNCHANGED)
    assert view.shape == celsius.shape and view.dtype == np.uint8
    assert (deep / "clip/000000.tif").exists()


def test_names_and_folders_that_exist_are_refused(folder, tmp_path, monkeypatch, capsys):
    cv2.imwrite(str(folder / "1.png"), counts(2))
    with pytest.raises(SystemExit, match="but for the suffix"):
        run(monkeypatch, "export_for_labelling", folder, "--out", tmp_path / "views")
    with pytest.raises(SystemExit):
        run(monkeypatch, "export_for_labelling", folder, "--out", folder)
    assert "exists" in capsys.readouterr().err


def test_a_frame_is_not_written_over_by_a_still_of_its_name(folder, tmp_path, monkeypatch):
    tifffile.imwrite(folder / "a.tif", np.stack([counts(2), counts(3)]), photometric="minisblack")
    cv2.imwrite(str(folder / "a/000001.png"), counts(4))
    with pytest.raises(SystemExit, match=r"a/000001\.png: has the name of frame 1 of a\.tif but"):
        run(monkeypatch, "export_for_labelling", folder, "--out", tmp_path / "views")
    assert not (tmp_path / "views").exists()
    options = ("--out", tmp_path / "thinned", "--every", 2)
    run(monkeypatch, "export_for_labelling", folder, *options)
    assert len([*(tmp_path / "thinned/a").iterdir()]) == 3


def test_videos_are_recordings_and_other_files_are_counted(tmp_path, monkeypatch, capsys):
    root = tmp_path / "deep"
    root.mkdir()
    (root / "notes.docx").write_text("-")
    frames = [np.full((48, 64, 3), level, np.uint8) for level in (40, 120, 200)]
    writer = cv2.VideoWriter(str(root / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for frame in frames:
        writer.write(frame)
    writer.release()
    deep = tmp_path / "measured"
    run(monkeypatch, "export_for_labelling", root, "--out", tmp_path / "views", "--deep", deep)
    for out in (tmp_path / "views", deep):
        assert sorted(path.name for path in out.rglob("*.*")) == [f"00000{i}.png" for i in range(3)]
        seen = cv2.imread(str(out / "clip/000001.png"), cv2.IMREAD_UNCHANGED)
        assert seen.shape == (48, 64) and abs(int(seen.mean()) - 120) <= 2
    assert "left out: 1 .docx" in capsys.readouterr().err


def test_a_damaged_file_is_told_and_the_others_are_written(folder, tmp_path, monkeypatch, capsys):
    (folder / "a/0.png").write_bytes((folder / "a/0.png").read_bytes()[:200])
    with pytest.raises(SystemExit, match="error: 1 files could not be read"):
        run(monkeypatch, "export_for_labelling", folder, "--out", tmp_path / "views")
    assert re.search(r"left out: .*a/0\.png: PNG cut short", capsys.readouterr().err)
    assert [path.name for path in (tmp_path / "views").rglob("*.png")] == ["1.png"]


def test_what_cannot_be_written_is_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imwrite", lambda path, pixels: False)  # as it says of a full disk
    with pytest.raises(SystemExit, match=r"error: .*views/1\.png: cannot be written"):
        run(monkeypatch, "export_for_labelling", folder, "--out", tmp_path / "views")
