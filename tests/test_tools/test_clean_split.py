import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from layouts import write
from PIL import Image

pytest.importorskip("mmseg.models")

TOOL = Path(__file__).resolve().parents[2] / "tools/dataset_converters/clean_split.py"


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name="__main__")


def scene(seed):
    """(384, 384) gray with structure of several sizes, another for each seed."""
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.random((n, n)), (384, 384), interpolation=cv2.INTER_CUBIC)
              for n in (6, 24, 96)]  # fmt: skip
    return (255 * np.clip(sum(layers) / 3, 0, 1)).astype(np.uint8)


def drawn(*views):
    """What ``layouts.write`` takes: the infrared images are those given."""
    return lambda kind, number, size: views[number] if kind == "infrared" else (
        None if kind == "label" else np.zeros((*size, 3), np.uint8)
    )  # fmt: skip


def test_views_of_the_training_set(tmp_path, monkeypatch, capsys):
    size, whole = (256, 256), scene(0)
    turned = cv2.warpAffine(
        whole, cv2.getRotationMatrix2D((192, 192), 5, 1.0), (384, 384), flags=cv2.INTER_LINEAR
    )
    tests = [
        whole[64:320, 64:320],  # the same frame
        (0.7 * whole[80:336, 50:306] + 20).astype(np.uint8),  # panned, another gain
        turned[64:320, 64:320],  # rolled
        whole[128:384, 128:384],  # 75 % each way: 56 %
        scene(1)[:256, :256],
    ]
    root = tmp_path / "data"
    write(root, "IRSTD1kDataset", "test", [f"t{i}" for i in range(5)], size, drawn(*tests))
    trains = [whole[64:320, 64:320], scene(2)[:256, :256]]
    write(root, "IRSTD1kDataset", "trainval", ["a", "b"], size, drawn(*trains))
    arguments = ["IRSTD1kDataset", root, "--out", tmp_path / "clean.txt"]
    run(monkeypatch, *arguments, "--sheet", tmp_path / "new/pairs.png")
    assert (tmp_path / "clean.txt").read_text() == "t3\nt4\n"
    assert "3 of 5 test images are near-duplicates (1 by 99%" in capsys.readouterr().out
    report = json.loads((tmp_path / "clean.txt.report.json").read_text())
    shares = {view["test"]: view["share"] for view in report["views"]}
    assert {view["train"] for view in report["views"]} == {"a"} and "t4" not in shares
    assert shares["t0"] == 1 and shares["t1"] == pytest.approx(0.886, abs=0.02)
    assert shares["t3"] == pytest.approx(0.5625, abs=0.02)
    assert Image.open(tmp_path / "new/pairs.png").size == (3 * 520, 278)

    run(monkeypatch, *arguments, "--share", 0.5)
    assert (tmp_path / "clean.txt").read_text() == "t4\n"


def test_a_flat_image_resembles_nothing(tmp_path, monkeypatch):
    flat = np.full((256, 256), 9, np.uint8)
    write(tmp_path, "IRSTD1kDataset", "test", ["t"], (256, 256), drawn(flat))
    write(tmp_path, "IRSTD1kDataset", "trainval", ["a"], (256, 256), drawn(flat))
    run(monkeypatch, "IRSTD1kDataset", tmp_path, "--out", tmp_path / "clean.txt")
    assert (tmp_path / "clean.txt").read_text() == "t\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["IRSTD1kDataset", "none"], "no list"),
        (["IRSTD2kDataset", "none"], "no data set 'IRSTD2kDataset'"),
        (["IRSTD1kDataset", "none", "--share", 80], "--share 80.0: above 0, at most 1"),
        (["IRSTD1kDataset", "none", "--agreeing", 2], "any two points agree"),
    ],
)
def test_what_cannot_be_compared(arguments, message, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, *arguments, "--out", tmp_path / "clean.txt")
    assert message in str(ended.value.code) + capsys.readouterr().err


def test_an_image_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    for split in ("test", "trainval"):
        write(tmp_path, "IRSTD1kDataset", split, [split])
    (tmp_path / "IRSTD1k_Img/test.png").write_bytes(b"x")
    with pytest.raises(SystemExit, match=r"error: .*IRSTD1k_Img/test\.png: not a JPEG, PNG"):
        run(monkeypatch, "IRSTD1kDataset", tmp_path, "--out", tmp_path / "clean.txt")
