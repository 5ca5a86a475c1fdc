from argparse import Namespace
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from processes import run

from mmspec import load_encoder, read_checkpoint

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def test_demo_on_a_users_images_leaves_its_pictures(tmp_path):
    (tmp_path / "mine").mkdir()
    rng = np.random.default_rng(0)
    for i in range(16):
        image = rng.integers(0, 4000, (64, 80), dtype=np.uint16)
        Image.fromarray(image).save(tmp_path / "mine" / f"{i:02d}.png")
    out = tmp_path / "out"
    data = ["--data", tmp_path / "mine"]
    result = run(TOOLS / "demo.py", "--out", out, "--epochs", "1", *data)
    assert result.returncode == 0, result.stderr
    for name in ("loss_curve.png", "masks.png", "reconstructions.png"):
        assert np.asarray(Image.open(out / name).convert("L")).std() > 10
    backbone, report = load_encoder(out / "run" / "epoch_1.pth")
    assert backbone.arch["depths"] == (2, 2, 6) and report.coverage == 1.0


def test_the_shipped_encoder_is_fine_tuned_on_scenes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    import_module("demo").segment(Namespace(out=tmp_path, iters=2))
    picture = np.asarray(Image.open(tmp_path / "segmentation.png"))
    assert picture.shape[0] > 6 * 128 and picture.std() > 10
    start = read_checkpoint("tiny")[0]["backbone.embeds.0.proj.weight"].float()
    after = read_checkpoint(tmp_path / "segmentation" / "iter_2.pth")[0]
    assert torch.allclose(after["backbone.embeds.0.proj.weight"], start, atol=0.01)


def test_demo_on_an_empty_folder_is_one_line(tmp_path):
    result = run(TOOLS / "demo.py", "--data", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert f"no images in '{tmp_path}'" in result.stderr and "Traceback" not in result.stderr
