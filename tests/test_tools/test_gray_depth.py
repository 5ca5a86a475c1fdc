"""What whole gray levels lose of deeper frames."""

import sys

import cv2
import gray_depth
import numpy as np
import pytest
from layouts import save


def test_the_error_of_whole_levels(tmp_path):
    ramp = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 10 + 1000
    cv2.imwrite(str(tmp_path / "ramp.png"), ramp)
    row = gray_depth.error_row(str(tmp_path / "ramp.png"))
    # Values fall evenly between two levels: a step over the root of 12.
    assert row["rms error of whole levels"] == pytest.approx(row["a level"] / 12**0.5, rel=0.05)
    assert row["whole levels"] == "256" and int(row["levels with fractions"]) > 3900
    save(tmp_path / "eight.png", np.zeros((32, 32), np.uint8))
    with pytest.raises(ValueError, match=r"eight\.png: 8 bits; whole levels lose nothing of it"):
        gray_depth.error_row(str(tmp_path / "eight.png"))


def test_frames_of_14_bits(tmp_path, monkeypatch):
    gray = np.full((32, 32), 100, np.uint8)
    save(tmp_path / "in" / "a" / "one.png", gray)
    for words in (["plain"], ["bright", "--sun"]):
        arguments = ["deepen", str(tmp_path / "in"), str(tmp_path / words[0]), *words[1:]]
        monkeypatch.setattr(sys, "argv", ["gray_depth.py", *arguments])
        gray_depth.main()
    plain, bright = (
        cv2.imread(str(tmp_path / name / "a" / "one.png"), cv2.IMREAD_UNCHANGED)
        for name in ("plain", "bright")
    )
    assert plain.dtype == np.uint16 and abs(plain.mean() - 9400) < 1
    assert 3 < plain.std() < 5
    assert (bright[:4, :4] == 16383).all() and bright[4:].max() < 9500
    with pytest.raises(SystemExit):
        gray_depth.main()  # the folder is there already
