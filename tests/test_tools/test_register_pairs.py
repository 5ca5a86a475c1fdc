import csv
import runpy
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image
from register_pairs import pair_by_time, time_of

from mmspec.datasets.rgbt_folder import RGBTFolder
from mmspec.matching import random_homography
from mmspec.matching.views import seen_through

TOOL = Path(__file__).resolve().parents[2] / "tools/dataset_converters/register_pairs.py"
SHAPE = (192, 256)
TRUTH = random_homography(SHAPE, np.random.default_rng(0), 0.08)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name="__main__")


def scene(seed):
    """Counts of 16 bits through TRUTH, and a visible image of the same shapes in other levels."""
    rng = np.random.default_rng(seed)
    counts, visible = np.full(SHAPE, 20000, np.uint16), np.full((*SHAPE, 3), 120, np.uint8)
    for _ in range(40):
        box = (*map(int, rng.integers(0, 256, 2)), *map(int, rng.integers(8, 60, 2)))
        cv2.rectangle(counts, box, int(rng.integers(18000, 24000)), -1)
        cv2.rectangle(visible, box, tuple(map(int, rng.integers(0, 256, 3))), -1)
    return seen_through(counts, TRUTH, SHAPE), visible


def write(root):
    """Two pairs, a mismatched one, and an infrared image without a partner."""
    for folder in ("ir", "vis"):
        (root / folder / "a").mkdir(parents=True)
    for name, (infrared, visible) in {"0": (0, 0), "1": (1, 1), "wrong": (2, 3)}.items():
        cv2.imwrite(str(root / f"ir/a/{name}.png"), scene(infrared)[0])
        cv2.imwrite(str(root / f"vis/a/{name}.png"), scene(visible)[1])
    tifffile.imwrite(root / "ir/a/alone.tif", scene(4)[0])
    return root


@pytest.fixture
def folders(tmp_path):
    return write(tmp_path)


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """The folders of ``write``, registered to ``out``; what was there before, by path."""
    root = write(tmp_path_factory.mktemp("registered"))
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    with pytest.MonkeyPatch.context() as patch:
        run(patch, root / "ir", root / "vis", "--out", root / "out")
    return root, before


def report(out):
    with open(out / "report.csv", newline="") as file:
        return {line["name"]: line for line in csv.DictReader(file)}


def is_cut_from(part, whole):
    """Whether an array is a rectangle of another, value for value."""
    fit = cv2.matchTemplate(whole.astype("f4"), part.astype("f4"), cv2.TM_SQDIFF)
    y, x = np.unravel_index(fit.argmin(), fit.shape)
    return np.array_equal(part, whole[y : y + part.shape[0], x : x + part.shape[1]])


@pytest.mark.parametrize("rig", [False, True])
def test_aligned_pairs_are_written_and_the_mismatched_one_is_refused(registered, monkeypatch, rig):
    folders, before = registered
    out = folders / ("rig" if rig else "out")
    if rig:
        run(monkeypatch, folders / "ir", folders / "vis", "--out", out, "--rig")
    lines = report(out)
    assert [lines[f"a/{name}"]["written"] for name in ("0", "1", "wrong")] == [
        "True", "True", "False",
    ]  # fmt: skip
    assert float(lines["a/0"]["residual"]) <= 1
    assert "agrees" in lines["a/wrong"]["reason"] or "off" in lines["a/wrong"]["reason"]
    assert "no visible image" in lines[str(folders / "ir/a/alone.tif")]["reason"]
    pairs = RGBTFolder(str(out))
    assert [Path(sample["infrared_path"]).name for sample in pairs] == ["0.png", "1.png"]
    for name in ("0", "1"):
        infrared = cv2.imread(str(out / f"ir/a/{name}.png"), cv2.IMREAD_UNCHANGED)
        visible = cv2.imread(str(out / f"rgb/a/{name}.png"))
        assert infrared.dtype == np.uint16 and is_cut_from(infrared, scene(int(name))[0])
        assert visible.shape[:2] == infrared.shape
    assert (out / "sheet.png").exists()
    assert before == {path: path.read_bytes() for path in before}


def test_an_existing_folder_is_refused_and_resumed(registered, tmp_path, monkeypatch, capsys):
    folders = Path(shutil.copytree(registered[0], tmp_path / "copy"))
    out = folders / "out"
    first = report(out)
    with pytest.raises(SystemExit):
        run(monkeypatch, folders / "ir", folders / "vis", "--out", out)
    assert "--resume" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(monkeypatch, folders / "ir", folders / "vis", "--out", folders / "new",
            "--list", "one.txt", "--by-time", "0.4")  # fmt: skip
    assert "give one of both" in capsys.readouterr().err
    cv2.imwrite(str(folders / "ir/a/2.png"), scene(5)[0])
    cv2.imwrite(str(folders / "vis/a/2.png"), scene(5)[1])
    written = (out / "ir/a/0.png").stat().st_mtime_ns
    run(monkeypatch, folders / "ir", folders / "vis", "--out", out, "--resume")
    again = report(out)
    assert {name: again[name] for name in first} == first and again["a/2"]["written"] == "True"
    assert (out / "ir/a/0.png").stat().st_mtime_ns == written


def test_an_image_that_cannot_be_read_is_a_line_of_the_report(folders, monkeypatch):
    (folders / "vis/a/wrong.png").write_bytes(b"no image")
    run(monkeypatch, folders / "ir", folders / "vis", "--out", folders / "out")
    lines = report(folders / "out")
    assert lines["a/wrong"]["written"] == "False" and "wrong.png" in lines["a/wrong"]["reason"]
    assert lines["a/1"]["written"] == "True"


def test_evaluation_of_aligned_pairs(folders, monkeypatch, capsys):
    for name in ("0", "1"):
        aligned = seen_through(scene(int(name))[1], TRUTH, SHAPE)
        cv2.imwrite(str(folders / f"vis/a/{name}.png"), aligned)
    (folders / "list.txt").write_text("a/0\na/1\n")
    listed = ("--list", folders / "list.txt")
    run(monkeypatch, folders / "ir", folders / "vis", "--evaluate", 0.05, *listed)
    lines = capsys.readouterr().out.splitlines()
    row = next(line.split() for line in lines if line.startswith("edges"))
    assert float(row[1]) < 3 and row[2:4] == ["100", "%"]
    assert lines[-1] == "mismatched pairs: 0 of 2 accepted"


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("DJI_20240131142530_0001_T.JPG", 1706711130),
        ("flir_2024-01-31T14-25-30.250.png", 1706711130.25),
        ("20240131_142530_500.png", 1706711130.5),
        ("FLIR0001.jpg", None),
    ],
)
def test_times_in_names(tmp_path, name, seconds):
    assert time_of(tmp_path / name) == seconds


def test_times_of_exif(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:01:31 14:25:30"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.SubsecTimeOriginal] = "25"
    Image.new("L", (8, 8)).save(tmp_path / "x.jpg", exif=exif)
    assert time_of(tmp_path / "x.jpg") == 1706711130.25


def test_pairs_by_time_are_the_nearest_and_use_an_image_once():
    infrared = {"ir/a.png": 10.0, "ir/b.png": 10.4, "ir/c.png": 30.0}
    visible = {"v/1.png": 110.3, "v/2.png": 120.0}
    pairs, alone = pair_by_time(infrared, visible, 0.5, -100.0, Path("ir"))
    assert [(pair.name, pair.visible) for pair in pairs] == [("b", "v/1.png")]
    assert set(alone) == {"ir/a.png", "ir/c.png", "v/2.png"}
