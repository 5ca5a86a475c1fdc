"""A very small M-SpecGene on a few random pairs: resumed, and in two processes."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmspec.engine.launch import build_runner, read_config

REPO = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = '{repo}/configs/pretrain/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py'
model = dict(
    backbone=dict(img_size=64, arch=dict(embed_dims=16, num_layers=1, num_heads=2,
                                         feedforward_channels=16)),
    neck=dict(in_dims=16, dims=8, depth=1, num_heads=2),
    masker=dict(mask_ratio=0.75))
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(scale=64)
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root='{pairs}', infrared='ir', visible='rgb', ann_file='',
                 pipeline=train_pipeline))
train_cfg = dict(max_epochs=4)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=1)
param_scheduler[1].update(begin=1, end=4)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
visualizer = dict(vis_backends=[])
test_dataloader = None
test_evaluator = None
test_cfg = None
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for side, shape in (("ir", (70, 90)), ("rgb", (70, 90, 3))):
        (root / side).mkdir()
        for i in range(8):
            image = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(image).save(root / side / f"{i}.png")
    (root / "tiny.py").write_text(CONFIG.format(repo=REPO, pairs=root))
    return root / "tiny.py"


def content(path: Path) -> dict:
    return torch.load(path, weights_only=False)


def test_a_resumed_run_goes_on_with_mixture_and_schedule(config, tmp_path):
    for name, resume in (("whole", False), ("resumed", True)):
        cfg = read_config(str(config))
        cfg.launcher = "none"
        cfg.work_dir = str(tmp_path / name)
        cfg.experiment_name = name  # the second runner of a process needs another one
        cfg.resume = resume
        if resume:
            Path(cfg.work_dir).mkdir()
            cfg.load_from = str(tmp_path / "whole" / "epoch_2.pth")
        build_runner(cfg).train()
    whole, resumed = (content(tmp_path / name / "epoch_4.pth") for name in ("whole", "resumed"))
    assert whole["state_dict"]["masker.centres"].any()
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][name]), name
    pictures = {path.name for path in (tmp_path / "resumed" / "masking").iterdir()}
    assert pictures == {"epoch_0004.png", "mixture.png", "visible_patches.png"}


def test_two_processes_killed_in_an_epoch_go_on_as_if_they_had_not_stopped(
    config, train, trained, tmp_path
):
    options = ("--cfg-options", "default_hooks.checkpoint.iters=1", "train_cfg.max_epochs=3")
    trained(config, tmp_path / "whole", *options, count=2)
    whole = content(tmp_path / "whole" / "epoch_3.pth")
    state = whole["state_dict"]
    assert all(value.isfinite().all() for name, value in state.items() if "masker" in name)
    assert state["masker.centres"].any() and state["masker.loss_count"] == 0
    assert (tmp_path / "whole" / "masking" / "epoch_0003.png").exists()
    assert (tmp_path / "whole" / "reconstructions" / "epoch_0003.png").exists()

    killed = train(config, tmp_path / "killed", *options, count=2)
    killed[0].until(r"Saving resume_iter_3.pth")
    for process in killed:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    # Of the last checkpoint that was whole: the third's may have been.
    (tmp_path / "killed" / "resume_iter_3.pth").unlink(missing_ok=True)
    shutil.copy(tmp_path / "killed" / "resume_iter_1.pth", tmp_path / "resume_iter_1.pth")
    output = trained(
        *(config, tmp_path / "killed", "--resume", tmp_path / "resume_iter_1.pth", *options),
        count=2,
    )
    assert "Going on in epoch 1, after 1 of 2 batches" in output
    again = content(tmp_path / "killed" / "epoch_3.pth")
    for name, value in state.items():
        assert torch.equal(value, again["state_dict"][name]), name
    assert str(again["optimizer"]) == str(whole["optimizer"])
