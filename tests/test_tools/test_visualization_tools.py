"""``tools/visualization``: pictures of a checkpoint, and what is said of wrong input."""

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

from mmspec.masking import SCORES
from mmspec.visualization.panels import MASKED

REPO = Path(__file__).resolve().parents[2]
TOOLS = REPO / "tools" / "visualization"
PRETRAIN = REPO / "configs" / "pretrain"
TITLE, GAP, SIDE = 22, 4, 64
MSPECGENE = """
_base_ = '{base}/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py'
model = dict(
    backbone=dict(img_size=64, arch=dict(embed_dims=16, num_layers=1, num_heads=2,
                                         feedforward_channels=16)),
    neck=dict(in_dims=16, dims=8, depth=1, num_heads=2),
    masker=dict(mask_ratio=0.75))
"""
INFMAE = """
_base_ = '{base}/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py'
model = dict(
    backbone=dict(arch=dict(_delete_=True, embed_dims=(8, 12, 16), depths=(1, 1, 1), num_heads=2,
                            mlp_ratios=(2, 2, 2))),
    neck=dict(in_dims=16, dims=16, num_heads=2))
"""
SMALL = """
test_dataloader = _base_.test_dataloader
for step in test_dataloader['dataset']['pipeline']:
    for inner in step.get('both', [step]):
        if 'scale' in inner:
            inner['scale'] = 64
        if 'crop_size' in inner:
            inner['crop_size'] = 64
"""


def run_folder(root: Path, text: str) -> Path:
    """A work directory as a run leaves it: the config beside a checkpoint."""
    root.mkdir()
    source = root.with_suffix(".source.py")
    source.write_text(text.format(base=PRETRAIN) + SMALL)
    cfg = Config.fromfile(source)
    cfg.dump(root / "config.py")
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), root / "epoch_1.pth")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("visualization")
    rng = np.random.default_rng(0)
    for name, shape in {"ir": (70, 90), "rgb": (70, 90, 3), "small": (70, 80, 3)}.items():
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(root / f"{name}.png")
    run_folder(root / "mspecgene", MSPECGENE)
    run_folder(root / "infmae", INFMAE)
    return root


@pytest.fixture
def tool(root, tmp_path, monkeypatch):
    """Runs a tool in the folder of the images; gives the picture or what it said as it ended."""

    def run(name: str, *arguments: str, out: str = "x.png") -> np.ndarray | str:
        monkeypatch.chdir(root)
        monkeypatch.syspath_prepend(str(TOOLS))
        path = tmp_path / out
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments), "--out", str(path)])
        try:
            runpy.run_path(str(TOOLS / f"{name}.py"), run_name="__main__")
        except SystemExit as end:
            return str(end)
        return np.asarray(Image.open(path))

    return run


def cells(sheet: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(rows, columns, 64, 64, 3)."""
    cell = SIDE + GAP
    assert sheet.shape == (TITLE + GAP + rows * cell, GAP + columns * cell, 3)
    grid = sheet[TITLE + GAP :, GAP:].reshape(rows, cell, columns, cell, 3)
    return grid.transpose(0, 2, 1, 3, 4)[:, :, :SIDE, :SIDE]


def visible(cell: np.ndarray) -> np.ndarray:
    """Which of 4 x 4 patches show anything."""
    patches = cell.reshape(4, 16, 4, 16, 3)
    return ~(patches == MASKED).all((1, 3, 4))


def test_masking_of_a_pair(tool):
    row = cells(tool("masking", "mspecgene/epoch_1.pth", "ir.png", "rgb.png"), 1, 6)[0]
    infrared, rgb = visible(row[2]), visible(row[5])
    assert infrared.sum() == rgb.sum() == 4 and not (infrared & rgb).any()
    assert (row[0] == row[0][..., :1]).all() and not (row[3] == row[3][..., :1]).all()
    again = tool("masking", "mspecgene/epoch_1.pth", "ir.png", "rgb.png")
    assert np.array_equal(cells(again, 1, 6)[0], row)


def test_masking_follows_the_state_of_the_checkpoint(tool, root, capsys):
    content = torch.load(root / "mspecgene" / "epoch_1.pth", weights_only=True)
    content["state_dict"]["masker.keep_shift"].fill_(2.0)
    torch.save(content, root / "shifted.pth")
    arguments = ("ir.png", "rgb.png", "--config", "mspecgene/config.py")
    row = cells(tool("masking", "shifted.pth", *arguments), 1, 6)[0]
    assert [visible(row[i]).sum() for i in (2, 5)] == [2, 6]
    assert "before any training" not in capsys.readouterr().out
    for name in list(content["state_dict"]):
        if not name.startswith("backbone."):
            del content["state_dict"][name]
    torch.save(content, root / "encoder.pth")
    row = cells(tool("masking", "encoder.pth", *arguments), 1, 6)[0]
    assert visible(row[2]).sum() == 4
    assert "masks as before any training: masker.means" in capsys.readouterr().out
    assert "such as neck.infrared" in tool("reconstruct", "encoder.pth", *arguments)


def test_masking_of_one_image(tool):
    # The image, the mask of the config, those of every score and a random one.
    row = cells(tool("masking", "infmae/epoch_1.pth", "ir.png"), 1, 3 + len(SCORES))[0]
    masks = [visible(cell) for cell in row[1:]]
    assert [mask.sum() for mask in masks] == [4] * (2 + len(SCORES))
    assert np.array_equal(masks[0], masks[1])  # the config masks by intensity


def test_reconstructions(tool):
    rows = cells(tool("reconstruct", "mspecgene/epoch_1.pth", "ir.png", "rgb.png"), 2, 5)
    assert [visible(row[1]).sum() for row in rows] == [4, 4]
    row = cells(tool("reconstruct", "infmae/epoch_1.pth", "ir.png"), 1, 4)[0]
    shown = visible(row[1]).repeat(16, 0).repeat(16, 1)
    assert np.array_equal(row[3][shown], row[0][shown])
    assert np.array_equal(row[3][~shown], row[2][~shown])


def test_wrong_input_is_named(tool, root):
    pair = ("ir.png", "rgb.png")
    checkpoint = "mspecgene/epoch_1.pth"
    assert "1 images given; MSpecGene takes INFRARED VISIBLE" in tool(
        "masking", checkpoint, "ir.png"
    )
    assert "2 images given; InfMAE takes one" in tool("masking", "infmae/epoch_1.pth", *pair)
    assert "no.pth: no such file" in tool("masking", "no.pth", *pair)
    said = tool("masking", checkpoint, "ir.png", "small.png")
    assert "ir.png: 90 x 70" in said and "small.png 80 x 70: not an aligned pair" in said
    assert "no.png (the partner" not in tool("masking", checkpoint, "no.png", "rgb.png")
    assert "(the partner of rgb.png)" in tool("masking", checkpoint, "no.png", "rgb.png")
    assert "must end in .png" in tool("masking", checkpoint, *pair, out="x.jpg")
    assert "nowhere" in tool("masking", checkpoint, *pair, out="nowhere/x.png")
    said = tool("masking", checkpoint, "ir.png", "--config", "infmae/config.py")
    assert "epoch_1.pth is not of the model in" in said and "--config" in said
    said = tool(
        "masking", checkpoint, *pair,
        "--config", PRETRAIN / "mae_vit-tiny-p16_1xb32-coslr-20e_inf-mini.py",
    )  # fmt: skip
    assert "trains a MAE; this tool shows MSpecGene and InfMAE" in said
    assert "no config file no.py" in tool("masking", checkpoint, *pair, "--config", "no.py")

    (root / "two").mkdir()
    shutil.copy(root / checkpoint, root / "two")
    assert "0 configs in" in tool("masking", "two/epoch_1.pth", *pair)
    for name in ("a.py", "b.py"):
        (root / "two" / name).touch()
    said = tool("masking", "two/epoch_1.pth", *pair)
    assert "2 configs in" in said and "a.py, b.py; name the one of its run by --config" in said


def test_another_masker_has_no_cmss(tool, root):
    cfg = Config.fromfile(root / "mspecgene" / "config.py")
    cfg.model.masker = dict(type="mmspec.RandomPairMasker", mask_ratio=0.75)
    cfg.dump(root / "random.py")
    arguments = ("mspecgene/epoch_1.pth", "ir.png", "rgb.png", "--config", "random.py")
    assert tool("masking", *arguments) == "the masker is a RandomPairMasker, not CMSSMasking"
    rows = cells(tool("reconstruct", *arguments), 2, 5)
    assert [visible(row[1]).sum() for row in rows] == [4, 4]


def test_each_effect_of_the_sensor_has_a_picture_of_its_own(tool):
    sheet = tool("augmentations")
    tiles = sheet.reshape(3, 212, 4, 256)[:, 20:].transpose(0, 2, 1, 3).reshape(12, 192, 256)
    assert all((tile != tiles[0]).any() for tile in tiles[1:])
