"""A run of seconds: a very small InfMAE on a few random images."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import Program, ranks

REPO = Path(__file__).resolve().parents[2]

CONFIG = """
_base_ = '{repo}/configs/pretrain/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py'
model = dict(
    masker=None,
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
# Masks that a sample brings, by data samples: as pipelines had it before maskers.
train_pipeline[2:] = [
    dict(type='mmspec.RandomPatchMask', mask_ratio=0.75),
    dict(type='PackInputs', algorithm_keys=['ids_keep'])]
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
    """Starts ``tools/train.py`` in processes of its own: as many as there shall be ranks."""

    def start(config: Path, work_dir: Path, *arguments: str, count: int = 1) -> list[Program]:
        command = [REPO / "tools" / "train.py", config, "--work-dir", work_dir, *arguments]
        if count == 1:
            return [Program(*command)]
        return ranks(count, *command, "--launcher", "pytorch")

    return start


@pytest.fixture(scope="session")
def trained(train):
    """Trains to a good end; gives what the first rank printed."""

    def run(*arguments, **options) -> str:
        programs = [program.wait() for program in train(*arguments, **options)]
        for program in programs:
            assert program.returncode == 0, program.output
        return programs[0].output

    return run


ITERATIONS = """
_base_ = '{repo}/configs/seg/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-256x256.py'
custom_imports = dict(imports=['mmspec', 'recorder'], allow_failed_imports=False)
size = (64, 64)
norm_cfg = dict(type='BN')
model = dict(
    data_preprocessor=dict(size=size),
    backbone=dict(backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=32),
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.3,
        init_cfg=None)),
    neck=dict(embed_dim=64),
    decode_head=dict(in_channels=[64] * 4, channels=8, dropout_ratio=0.5),
    auxiliary_head=dict(in_channels=64, channels=8, dropout_ratio=0.5))
train_pipeline = _base_.train_pipeline
train_pipeline[0].update(scale=size)
train_pipeline[1].update(crop_size=size)
train_dataloader = dict(
    batch_size=2, num_workers=2, dataset=dict(length=7, size=size, pipeline=train_pipeline))
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
train_cfg = dict(max_iters=9, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=3))
custom_hooks = [*_base_.custom_hooks, dict(type='RecorderHook')]
"""
RECORDER = """
import json, os
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class RecorderHook(Hook):
    # Last of all before the step: what a model would draw.
    priority = 'LOWEST'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        state = torch.get_rng_state()
        self.draw = torch.rand(()).item()
        torch.set_rng_state(state)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        entry = dict(
            iter=runner.iter, rank=get_rank(), draw=self.draw, loss=outputs['loss'].item(),
            samples=[[s.img_path, x.double().mean().item()] for x, s in zip(
                data_batch['inputs'], data_batch['data_samples'])])
        with open(os.path.join(runner.work_dir, f'rank{get_rank()}.jsonl'), 'a') as file:
            file.write(json.dumps(entry) + chr(10))
"""


@pytest.fixture
def iteration_config(tmp_path, monkeypatch) -> Path:
    """A run of nine iterations with drop path, dropout, crops and flips, all of it recorded."""
    (tmp_path / "recorder.py").write_text(RECORDER)
    path = os.pathsep.join([str(tmp_path), str(REPO), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    config = tmp_path / "iterations.py"
    config.write_text(ITERATIONS.format(repo=REPO))
    return config


@pytest.fixture(scope="session")
def recorded():
    """What was recorded in a work directory, later runs over earlier ones."""

    def read(work_dir: Path, rank: int = 0) -> dict[int, dict]:
        lines = (work_dir / f"rank{rank}.jsonl").read_text().splitlines()
        return {entry["iter"]: entry for entry in map(json.loads, lines)}

    return read
