"""A run of seconds: a very small InfMAE on a few random images."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPO = Path(__file__).resolve().parents[2]

CONFIG = """
_base_ = '{repo}/configs/pretrain/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py'
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=(8, 12, 16),
            depths=(1, 1, 2),
            num_heads=2,
            mlp_ratios=(2, 2, 2)),
        drop_path_rate=0.2),
    neck=dict(in_dims=16, dims=16, num_heads=2))
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(scale=64)
train_pipeline[3].update(phase='random')
train_dataloader = dict(
    batch_size=4, dataset=dict(data_root='{images}', pipeline=train_pipeline))
train_cfg = dict(max_epochs=4)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(24):
        image = rng.integers(0, 256, (80, 100), dtype=np.uint8)
        Image.fromarray(image).save(root / "images" / f"{i:02d}.png")
    config = root / "tiny.py"
    config.write_text(CONFIG.format(repo=REPO, images=root / "images"))
    return config


@pytest.fixture(scope="session")
def train():
    """Starts ``tools/train.py`` in a process of its own."""

    def start(config: Path, work_dir: Path, *arguments: str, prefix=()) -> subprocess.Popen:
        script = str(REPO / "tools" / "train.py")
        return subprocess.Popen(
            [sys.executable, *prefix, script, str(config), "--work-dir", str(work_dir), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start
