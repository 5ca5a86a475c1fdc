import re
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from layouts import write_recording
from value_range import proposal

from mmspec.datasets.image_io import read_infrared

TOOL = Path(__file__).resolve().parents[2] / "tools/dataset_converters/value_range.py"


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name="__main__")


@pytest.fixture
def folder(tmp_path):
    """Counts of 7000 to 8999 in PNG, TIFF and .npy, one hot pixel in a thousand, and 8 bits."""
    root = tmp_path / "deep"
    root.mkdir()
    counts = np.arange(7000, 9000).astype(np.uint16).reshape(40, 50)
    hot = counts.copy()
    hot[0, 0] = 60000
    cv2.imwrite(str(root / "a.png"), hot)
    tifffile.imwrite(root / "b.tif", counts)
    np.save(root / "c.npy", counts)
    cv2.imwrite(str(root / "d.jpg"), np.full((40, 50), 90, np.uint8))
    (root / "e.png").write_bytes(b"no image")
    return root


def test_range_share_clipped_and_kinds(folder, tmp_path, monkeypatch, capsys):
    run(monkeypatch, folder, "--out", tmp_path / "histogram.png")
    told = capsys.readouterr()
    low, high = map(
        float, re.search(r"infrared_scale = dict\(range=\(([^,]+), ([^)]+)\)", told.out).groups()
    )
    assert (low, high) == (7000, 9000)
    assert "1 JPEG, uint8, gray: 8 bits, taken as they are, no range needed" in told.out
    assert "0.000 % of the pixels below 7000, 0.017 % above 9000" in told.out
    assert "e.png" in told.err
    assert (tmp_path / "histogram.png").stat().st_size > 1000
    # What is printed can be pasted.
    gray = read_infrared(folder / "b.tif", value_range=(low, high))
    assert gray.min() == 0 and gray.max() == 255


def test_every_image_counts_alike_and_ends_are_rounded_outwards():
    images = [np.linspace(-12.34, 20, 100_000), np.linspace(30, 56.78, 100)]
    assert proposal(images, 0) == (-13, 57)
    assert proposal([np.full(10, 5.0)], 0.1) == (5, 6)


def test_clip_0_clips_no_small_target(tmp_path, monkeypatch, capsys):
    counts = np.full((300, 400), 7000, np.uint16)
    counts[1, 1], counts[7, 8] = 6000, 9000  # between the pixels of the sample
    cv2.imwrite(str(tmp_path / "a.png"), counts)
    run(monkeypatch, tmp_path, "--clip", 0)
    assert "infrared_scale = dict(range=(6000, 9000))" in capsys.readouterr().out


def test_videos_are_read_and_other_suffixes_told(tmp_path, monkeypatch, capsys):
    counts = np.arange(7000, 9000).astype(np.uint16).reshape(1, 40, 50)
    stack = np.concatenate([counts, counts + np.uint16(2000), counts + np.uint16(4000)])
    write_recording(tmp_path / "deep.mkv", stack)
    write_recording(tmp_path / "gray.mp4", (stack // 256).astype(np.uint8))
    (tmp_path / "raw.ptw").touch()
    run(monkeypatch, tmp_path, "--clip", 0)
    told = capsys.readouterr()
    assert "infrared_scale = dict(range=(7000, 13000))" in told.out
    assert "3 MKV, uint16, counts\n" in told.out
    assert "1 MP4, uint8, gray: 8 bits, taken as they are" in told.out
    assert told.err == "left out, no images by their suffix: 1 .ptw\n"


def test_pictures_alone_need_no_range(folder, monkeypatch):
    for name in ("a.png", "b.tif", "c.npy"):
        (folder / name).unlink()
    with pytest.raises(SystemExit, match="no range is needed"):
        run(monkeypatch, folder)


def test_temperatures_beside_counts_are_refused(data_root, folder, monkeypatch, capsys):
    pytest.importorskip("flyr")
    (folder / "flir.jpg").symlink_to(next((data_root / "radiometric/flir_jpeg").glob("*.jpg")))
    with pytest.raises(SystemExit, match="two units"):
        run(monkeypatch, folder)
    run(monkeypatch, folder, "--unit", "counts")
    said = capsys.readouterr().out
    assert "FLIR radiometric JPEG, uint16, counts" in said
    assert re.search(r'infrared_scale = dict\(range=\(\S+, \S+\), unit="counts"\)\n', said)


def test_the_one_file_that_widens_the_range_is_named(tmp_path, monkeypatch, capsys):
    counts = np.arange(7000, 9000).astype(np.uint16).reshape(40, 50)
    for name, values in dict(a=counts, b=counts, c=counts).items():
        np.save(tmp_path / f"{name}.npy", values)
    run(monkeypatch, tmp_path)
    assert "one file makes" not in capsys.readouterr().out
    np.save(tmp_path / "odd.npy", counts + np.uint16(40000))
    run(monkeypatch, tmp_path)
    told = capsys.readouterr().out
    assert f"one file makes the range so wide: without {tmp_path / 'odd.npy'} it is 7000 to" in told


def test_a_file_without_any_measurement_is_left_out(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "empty.npy", np.full((4, 5), np.nan, np.float32))
    np.save(tmp_path / "full.npy", np.linspace(10, 20, 20, dtype=np.float32).reshape(4, 5))
    run(monkeypatch, tmp_path)
    told = capsys.readouterr()
    assert "empty.npy" in told.err and "range=(10, 20)" in told.out
