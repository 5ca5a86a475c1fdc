import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOL = Path(__file__).resolve().parents[2] / "tools/analysis_tools/mask_polarity.py"


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name="__main__")


def test_shares_of_patches_that_an_image_and_its_inverse_keep(tmp_path, monkeypatch, capsys):
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (70, 130)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    Image.fromarray(pixels[:20, :40]).save(tmp_path / "small.png")  # two patches
    run(monkeypatch, tmp_path)
    told, _, *rows = capsys.readouterr().out.splitlines()[-7:]
    assert told == "2 images; chance: 25.0 %"
    table = {name: (float(share), float(rank)) for name, share, rank in map(str.split, rows)}
    assert table["intensity"] == (0, -1)
    assert table["variance"] == table["deviation"] == (100, 1)
    assert {"entropy", "projection"} < set(table)


def test_images_of_too_few_patches_are_an_error(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((20, 40), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(SystemExit, match="fewer patches than the stride"):
        run(monkeypatch, tmp_path)
