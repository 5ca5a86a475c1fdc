import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmspec.models.backbones import ConvViT, MaskedViT
from mmspec.registry import MODELS
from mmspec.visualization.matching import RIGHT, WRONG, match_picture

TOOL = Path(__file__).resolve().parents[2] / "tools/analysis_tools/matching.py"
HEAD = "mspecgene_vit-base_matching-head_1xb8-1k_roadscene.py"
BASE = TOOL.parents[2] / "configs/matching" / HEAD
NAMES = ["MMA@1", "MMA@3", "MMA@5", "MMA@10", "AUC@3", "AUC@5", "AUC@10", "matches"]


@pytest.fixture
def run(monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
        runpy.run_path(str(TOOL), run_name="__main__")

    return call


def test_table_and_pictures(data_root, run, tmp_path, capsys):
    run(
        "sift", "random", "same-place",
        "--roadscene", data_root / "roadscene", "--registration", data_root / "registration",
        "--width", 128, "--limit", 2, "--levels", 2, 1, "--pictures", 1,
        "--out", tmp_path / "pictures", "--json", tmp_path / "x.json",
    )  # fmt: skip
    numbers = json.loads((tmp_path / "x.json").read_text())
    assert list(numbers) == ["roadscene", "registration"]
    for title, methods in numbers.items():
        assert list(methods) == ["sift", "random", "same-place"]
        for method, found in methods.items():
            assert list(found) == NAMES
            assert all(0 <= value <= 100 for value in list(found.values())[:-1])
            accuracies = list(found.values())[:4]
            assert accuracies == sorted(accuracies)
            (picture,) = (tmp_path / "pictures" / title / method).glob("00_*.png")
            with Image.open(picture) as image:
                assert image.width > 2 * 480
    # Every eighth pixel of 64 x 128 and of 80 x 128.
    assert numbers["roadscene"]["same-place"]["matches"] == (8 * 16 + 10 * 16) / 2
    assert numbers["roadscene"]["random"]["matches"] > 10
    printed = capsys.readouterr().out
    assert "roadscene: 2 pairs, the first of 128 x 64 pixels" in printed
    assert printed.count("same-place") == 2


def test_same_place_draws_the_whole_image():
    pair = SimpleNamespace(infrared=np.zeros((128, 256), np.uint8))
    found = runpy.run_path(str(TOOL))["same_place"](pair)
    assert len(np.unique(found.infrared, axis=0)) == 16 * 32
    np.testing.assert_array_equal(found.infrared, found.visible)
    drawn = found.infrared[:150]  # the most that a picture shows
    assert drawn[:, 1].min() < 16 and drawn[:, 1].max() > 104


VIT = dict(embed_dims=192, num_layers=1, num_heads=3, feedforward_channels=768)


@pytest.mark.parametrize("backbone", [ConvViT("tiny"), MaskedViT(VIT)])
def test_checkpoint(data_root, run, tmp_path, capsys, backbone):
    path = tmp_path / "tiny.pth"
    state = {f"backbone.{k}": v for k, v in backbone.state_dict().items() if "downsample" not in k}
    torch.save(dict(state_dict=state), path)
    arguments = ["--registration", data_root / "registration", "--width", 64, "--limit", 1]
    run(path, *arguments)  # 64 x 32 pixels: not the shape that a ViT's positions were made for
    printed = capsys.readouterr().out
    assert "100.0 % of the encoder loaded" in printed
    assert any(line.startswith("tiny.pth ") for line in printed.splitlines())
    with pytest.raises(SystemExit, match=r"error: .*none\.pth"):
        run(tmp_path / "none.pth", *arguments)


def test_trained_head(data_root, run, tmp_path, capsys):
    config = tmp_path / "head.py"
    config.write_text(
        f"_base_ = {str(BASE)!r}\n"
        f"model = dict(backbone=dict(arch=dict(_delete_=True, **{VIT}), out_indices=(0,)),\n"
        "             head=dict(in_channels=[192], channels=16))\n"
    )
    model = MODELS.build(Config.fromfile(config).model)
    paths = [tmp_path / seed / "iter_1000.pth" for seed in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        torch.save(dict(state_dict=model.state_dict()), path)
    arguments = ["--registration", data_root / "registration", "--width", 64, "--limit", 1]
    run(*paths, "--config", config, *arguments)
    rows = [x.split() for x in capsys.readouterr().out.splitlines() if "iter_1000.pth" in x]
    assert [row[0] for row in rows] == ["a/iter_1000.pth", "b/iter_1000.pth"]
    assert rows[0][1:] == rows[1][1:] and float(rows[0][-1]) > 5
    with pytest.raises(SystemExit, match=r"iter_1000\.pth holds a matching head: give --config"):
        run(paths[0], *arguments)
    with pytest.raises(SystemExit, match=rf"iter_1000\.pth was not trained by .*{HEAD}"):
        run(paths[0], "--config", BASE, *arguments)


def test_the_coarsest_map_has_images_that_it_covers(data_root, run, capsys):
    arguments = ["--roadscene", data_root / "roadscene", "--width", 96, "--limit", 1]
    run("random", *arguments, "--levels", 3)
    run("random", *arguments, "--levels", 3, 4)
    sizes = [x.split()[6:9:2] for x in capsys.readouterr().out.splitlines() if "pairs, the" in x]
    assert sizes == [["96", "48"], ["96", "64"]]


def test_options_are_checked(run, capsys):
    with pytest.raises(SystemExit):
        run("sift")
    assert "give --roadscene, --registration or both" in capsys.readouterr().err


def test_picture_of_right_and_wrong_matches():
    infrared = np.tile(np.arange(96, dtype=np.uint8), (64, 1))
    visible = np.full((64, 96, 3), 128, np.uint8)
    points = np.array([(20.0, 20), (40, 40)])
    picture = match_picture(infrared, visible, points, points, np.array([3.0, 3.1]))
    scale = 5  # to at least 480 pixels
    assert picture.shape == (64 * scale + 20, 2 * 96 * scale + 8, 3)
    row = 20 + int((20 + 0.5) * scale)
    # In the gap between the images each line has its colour.
    assert tuple(picture[row, 96 * scale + 4]) == RIGHT
    assert tuple(picture[row + 20 * scale, 96 * scale + 4]) == WRONG
    only_best = match_picture(infrared, visible, points, points, np.array([3.0, 3.1]), most_lines=1)
    assert not (only_best == WRONG).all(-1).any()
