import json
import runpy
import sys
from pathlib import Path

import numpy as np
import processes
import pytest
from entropy import gray_level_entropy
from PIL import Image

TOOL = Path(__file__).resolve().parents[2] / "tools/analysis_tools/entropy.py"


def levels(count, each=64):
    """(count, each) image in which each of ``count`` gray levels is equally frequent."""
    return np.repeat(np.linspace(0, 255, count).astype(np.uint8)[:, None], each, axis=1)


@pytest.mark.parametrize(("count", "bits"), [(1, 0), (2, 1), (4, 2), (256, 8)])
def test_entropy_of_equal_shares(count, bits):
    assert gray_level_entropy(levels(count)) == pytest.approx(bits, abs=1e-12)


def test_entropy_of_a_constant_image_is_not_negative_zero():
    assert str(gray_level_entropy(np.full((5, 7), 200, np.uint8))) == "0.0"


def test_entropy_of_unequal_shares():
    image = np.array([[7, 7, 7, 9]], np.uint8)
    assert gray_level_entropy(image) == pytest.approx(2 - 0.75 * np.log2(3), abs=1e-12)


@pytest.fixture
def folders(tmp_path):
    for name, counts in {"low": [1, 2, 4], "high": [256, 256]}.items():
        (tmp_path / name).mkdir()
        for index, count in enumerate(counts):
            Image.fromarray(levels(count)).save(tmp_path / name / f"{index}.png")
    (tmp_path / "low" / "text.png").write_text("no image")
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name="__main__")


@pytest.mark.parametrize("workers", [1, 2])
def test_numbers_and_picture(folders, monkeypatch, capsys, workers):
    run(
        monkeypatch,
        folders / "low",
        folders / "high",
        "--out",
        folders / "new" / "entropy.png",
        "--json",
        folders / "entropy.json",
        "--workers",
        workers,
    )
    low, high = json.loads((folders / "entropy.json").read_text())
    assert low == dict(folder=str(folders / "low"), mean=1.0, std=0.8165, count=3, unreadable=1)
    assert high == dict(folder=str(folders / "high"), mean=8.0, std=0.0, count=2, unreadable=0)
    with Image.open(folders / "new" / "entropy.png") as picture:
        pixels = np.array(picture.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10
    printed = capsys.readouterr().out
    assert "text.png: not a JPEG" in printed
    assert "Inf30 (paper) 6.44; ImageNet-1K (paper) 7.19" in printed


def test_limit_is_spread_over_the_names(folders, monkeypatch):
    (folders / "low" / "text.png").unlink()
    run(
        monkeypatch,
        folders / "low",
        "--out",
        folders / "entropy.png",
        "--limit",
        2,
        "--json",
        folders / "entropy.json",
        "--workers",
        1,
    )
    (low,) = json.loads((folders / "entropy.json").read_text())
    assert (low["count"], low["mean"]) == (2, 1.0)  # of 0, 1 and 2 bits the first and the last


def test_folder_of_broken_images(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(SystemExit, match=r"none of the 1 images in .* can be read"):
        run(monkeypatch, tmp_path, "--out", tmp_path / "entropy.pdf", "--workers", 1)


def test_runs_as_a_script(folders):
    program = processes.run(TOOL, folders / "high", "--out", folders / "x.png", cwd=folders)
    assert program.returncode == 0, program.output
    assert (folders / "x.png").is_file()


def test_real_images(data_root, tmp_path, monkeypatch):
    run(
        monkeypatch,
        data_root / "inf_mini/images/roadscene",
        "--out",
        tmp_path / "entropy.png",
        "--json",
        tmp_path / "entropy.json",
        "--workers",
        1,
    )
    (row,) = json.loads((tmp_path / "entropy.json").read_text())
    assert row["count"] == 120
    assert row["mean"] == pytest.approx(7.58, abs=0.01)
