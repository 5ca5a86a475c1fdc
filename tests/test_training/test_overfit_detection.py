"""A detector that learns: eight real images by heart."""

import json
from pathlib import Path

import pytest
from processes import Program

REPO = Path(__file__).resolve().parents[2]
# Half the images' size, for the time of a test.
CONFIG = """
_base_ = "{repo}/configs/det/scratch_convvit-tiny_faster-rcnn_1xb4-1k_msrs-480x640.py"
scale = (320, 240)
train_pipeline = _base_.train_pipeline
train_pipeline[2:4] = [dict(type="Resize", scale=scale, keep_ratio=True)]
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=scale)
eight = dict(data_root="{data}", split="train", indices=8)
train_dataloader = dict(dataset=dict(**eight, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**eight, pipeline=test_pipeline))
test_dataloader = val_dataloader
model = dict(
    backbone=dict(drop_path_rate=0.0),
    rpn_head=dict(anchor_generator=dict(scales=[2], ratios=[1.0, 2.0])),
)
iterations = 600
train_cfg = dict(max_iters=iterations, val_interval=iterations)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=iterations)
default_hooks = dict(checkpoint=dict(interval=iterations))
"""


@pytest.mark.slow
def test_eight_images_are_learnt_by_heart(data_root, tmp_path):
    """AP50 above 0.9 on the images of the training, from random weights."""
    config = tmp_path / "config.py"
    config.write_text(CONFIG.format(repo=REPO, data=(data_root / "msrs_det").resolve()))
    work_dir = ["--work-dir", str(tmp_path)]
    _tool("train", config, *work_dir)
    _tool("test", config, tmp_path / "iter_600.pth", "--out", tmp_path / "metrics.json", *work_dir)
    assert json.loads((tmp_path / "metrics.json").read_text())["AP50"] > 90


def _tool(name: str, *args) -> None:
    done = Program(REPO / "tools" / f"{name}.py", *args).wait(timeout=1200)
    assert done.returncode == 0, done.output
