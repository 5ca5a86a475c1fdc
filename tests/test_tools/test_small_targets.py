import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import small_targets
from layouts import write
from PIL import Image
from prediction_cases import CASES, saved

from mmspec.evaluation.small_target import find_components

pytest.importorskip("mmseg.models")

TOOL = Path(__file__).resolve().parents[2] / "tools/analysis_tools/small_targets.py"
NAMES = ("a", "b", "c")


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name="__main__")


@pytest.fixture
def config(tmp_path):
    write(tmp_path / "data", "SIRSTv2Dataset", "test", NAMES)
    cfg, checkpoint = saved(CASES["small targets"], tmp_path)
    cfg.test_dataloader.dataset.data_root = str(tmp_path / "data")
    cfg.dump(tmp_path / "config.py")
    return tmp_path / "config.py", checkpoint


def test_score_maps(config, tmp_path, monkeypatch, capsys):
    """One hit, one miss beside two false alarms, one hit beside a false alarm."""
    maps = tmp_path / "maps"
    maps.mkdir()
    for name in NAMES:
        found = np.array(Image.open(tmp_path / f"data/annotations/masks/{name}_pixels0.png"))
        if name == "b":
            found[:] = 0
            found[50:52, 5:7] = found[50, 70] = 255
        if name == "c":
            found[5, 5] = 255
        Image.fromarray(found).save(maps / f"{name}_pred.png")
    out = tmp_path / "out"
    arguments = [config[0], maps, "--out", out, "--suffix", "_pred"]
    run(monkeypatch, *arguments, "--worst", 2)
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith(("| b", "| c", "| a"))]
    assert rows[0] == "| b | 0.0 | 1 | 1 | 2 | 5 |" and rows[1].startswith("| c | 93.8 | 1 | 0 | 1")
    assert len(rows) == 2
    pictures = sorted(path.name for path in (out / "pictures").iterdir())
    assert pictures == ["01_b.png", "02_c.png"]
    content = json.loads((out / "small_targets.json").read_text())
    assert [row["image"] for row in content["images"]] == ["b", "c", "a"]
    assert content["metrics"]["Pd"] == pytest.approx(200 / 3)
    assert [x["hit"] for x in content["targets"]] == [True, False, True]
    assert [x["area"] for x in content["targets"]] == [9, 12, 15]
    assert content["curves"]["size (pixels)"]["rate"] == [1, 0, 1]
    assert Image.open(out / "curves.png").size[0] > 500


def test_masks_of_0_and_1_are_refused(config, tmp_path, monkeypatch):
    maps = tmp_path / "maps"
    maps.mkdir()
    for name in NAMES:
        mask = np.array(Image.open(tmp_path / f"data/annotations/masks/{name}_pixels0.png"))
        Image.fromarray(np.uint8(mask > 0)).save(maps / f"{name}.png")
    with pytest.raises(SystemExit, match="masks of 0 and 1"):
        run(monkeypatch, config[0], maps, "--out", tmp_path / "out")


@pytest.mark.parametrize("option", [("--worst", 0), ("--threshold", 3)])
def test_options_that_show_nothing(option, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "none.py", tmp_path, "--out", tmp_path / "out", *option)
    assert f"{option[0]} {option[1]}" in capsys.readouterr().err


def test_a_checkpoint(config, tmp_path, monkeypatch):
    run(monkeypatch, *config, "--out", tmp_path / "out", "--device", "cpu", "--threshold", 1e-9)
    content = json.loads((tmp_path / "out/small_targets.json").read_text())
    assert content["metrics"]["Fa"] > 0 and len(content["targets"]) == 3
    assert len(list((tmp_path / "out/pictures").iterdir())) == 3


def test_contrast_by_hand():
    image = np.tile(np.array([10, 14], np.uint8), (64, 32))  # mean 12, deviation 2
    truth = np.zeros((64, 64), bool)
    truth[30:32, 30:32] = truth[30, 40] = True
    image[30:32, 30:32], image[30, 40] = 22, 255
    targets = find_components(truth)
    assert small_targets.contrast_of(image, targets, 0) == pytest.approx(5, abs=0.02)
    flat = np.where(truth, 9, 4).astype(np.uint8)
    assert small_targets.contrast_of(flat, targets, 0) == 5
    assert np.isnan(small_targets.contrast_of(flat, find_components(truth | True), 0))


def test_rates_and_their_intervals():
    values, hits = np.repeat([1.0, 4.0], 50), np.repeat([False, True], 50)
    hits[:10] = True
    curve = small_targets.rate_over([*values, np.nan], [*hits, True])
    assert curve["at"].tolist() == [1, 4] and curve["rate"].tolist() == [0.2, 1]
    # Wilson's interval of 10 of 50.
    assert (curve["low"][0], curve["high"][0]) == pytest.approx((0.1124, 0.3304), abs=1e-4)
    assert curve["high"][1] == pytest.approx(1) and curve["low"][1] == pytest.approx(
        0.9287, abs=1e-4
    )


def test_a_config_of_other_things(tmp_path, monkeypatch):
    write(tmp_path / "data", "EyeDataset", "test", NAMES)
    cfg, checkpoint = saved(CASES["segmentation"], tmp_path)
    cfg.test_dataloader.dataset.data_root = str(tmp_path / "data")
    cfg.dump(tmp_path / "config.py")
    with pytest.raises(SystemExit, match="its test has no SmallTargetMetric"):
        run(monkeypatch, tmp_path / "config.py", checkpoint, "--out", tmp_path / "out")
