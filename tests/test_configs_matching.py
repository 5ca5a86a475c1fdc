"""Every matching config trains two small steps, predicts, scores and draws."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from config_runs import marked
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image

from mmspec.datasets import UnreadableImageError
from mmspec.registry import DATASETS, MODELS

REPO = Path(__file__).resolve().parent.parent
CONFIGS = sorted(p.name for p in (REPO / "configs" / "matching").glob("*.py"))
TINY = "mspecgene_vit-tiny_matching-head_1xb8-1k_roadscene.py"
VIT = dict(embed_dims=32, num_heads=2, feedforward_channels=32)


@pytest.fixture
def data(tmp_path) -> Path:
    root = tmp_path / "roadscene"
    rng = np.random.default_rng(0)
    for folder in ("cropinfrared", "crop_LR_visible"):
        (root / folder).mkdir(parents=True)
    for name in "abcd":
        scene = np.kron(rng.integers(0, 255, (12, 16)), np.ones((8, 8))).astype(np.uint8)
        Image.fromarray(scene).save(root / "cropinfrared" / f"{name}.jpg")
        Image.fromarray(255 - scene).convert("RGB").save(root / "crop_LR_visible" / f"{name}.jpg")
    (root / "train.txt").write_text("a\nb\n")
    (root / "test.txt").write_text("c\nd\n")
    return root


def load(name: str, data: Path, work_dir: Path) -> Config:
    cfg = Config.fromfile(REPO / "configs" / "matching" / name)
    backbone = cfg.model.backbone
    backbone.arch = dict(VIT, num_layers=1 + max(backbone.out_indices))
    backbone.init_cfg = None
    cfg.model.head.update(in_channels=[32] * 3, channels=16, num_points=32)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(data)
    cfg.train_dataloader.batch_size = 2
    cfg.train_dataloader.dataset.pipeline[1].both[0].scale = (64, 96)
    cfg.train_dataloader.dataset.pipeline[3].size = (48, 64)
    cfg.test_dataloader.dataset.pipeline[1].both[0].width = 64
    cfg.train_cfg.max_iters = 2
    cfg.default_hooks.checkpoint.interval = 2
    cfg.visualizer.vis_backends = []
    cfg.work_dir = str(work_dir)
    return cfg


class StateAtTheStart(Hook):
    def before_train(self, runner):
        self.state = {k: v.clone() for k, v in runner.model.state_dict().items()}


@pytest.mark.parametrize("name", marked(CONFIGS, TINY))
def test_trains_predicts_scores_and_draws(name, data, tmp_path):
    cfg = load(name, data, tmp_path / "run")
    runner = Runner.from_cfg(cfg)
    start = StateAtTheStart()
    runner.register_hook(start)
    runner.train()
    state = runner.model.state_dict()
    changed = [k for k, v in state.items() if not torch.equal(v, start.state[k])]
    assert changed and all(k.startswith("head.") for k in changed)
    metrics = runner.test()
    assert list(metrics)[:4] == ["MMA@1", "MMA@3", "MMA@5", "MMA@10"] and metrics["matches"] > 5
    pictures = sorted(p.name for p in (tmp_path / "run/matches/test").iterdir())
    assert pictures == ["0000_c.png", "0001_d.png"]
    assert (tmp_path / "run" / "iter_2.pth").is_file()


@pytest.mark.parametrize("name", CONFIGS)
def test_starts_from_the_pretraining_config_it_names(name):
    cfg = Config.fromfile(REPO / "configs" / "matching" / name)
    backbone = cfg.model.backbone
    assert backbone.init_cfg.type == "mmspec.PretrainedEncoder"
    work_dir, file = Path(backbone.init_cfg.checkpoint).parts[-2:]
    pretraining = Config.fromfile(REPO / "configs" / "pretrain" / f"{work_dir}.py")
    assert file == f"epoch_{pretraining.train_cfg.max_epochs}.pth"
    assert backbone.arch == pretraining.model.backbone.arch
    assert cfg.model.data_preprocessor == pretraining.model.data_preprocessor
    init_default_scope(cfg.default_scope)
    encoder = MODELS.build({**backbone, "init_cfg": None})
    assert cfg.model.head.in_channels == [encoder.embed_dims] * len(backbone.out_indices)


@pytest.mark.parametrize("name", CONFIGS)
def test_schedules_and_batches_are_those_of_the_names(name):
    cfg = Config.fromfile(REPO / "configs" / "matching" / name)
    batch, thousands = map(int, re.search(r"_1xb(\d+)-(\d+)k_", name).groups())
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 1000 * thousands
    # What trains is not what is tested.
    lists = [loader.dataset.ann_file for loader in (cfg.train_dataloader, cfg.test_dataloader)]
    assert lists == ["train.txt", "test.txt"]


def test_broken_pairs_are_named_on_both_sides(data, tmp_path):
    cfg = load(TINY, data, tmp_path / "run")
    init_default_scope(cfg.default_scope)
    (data / "crop_LR_visible" / "d.jpg").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"cropinfrared/d\.jpg: no visible image .*crop_LR_visible/d\.\*"
    ):
        DATASETS.build(cfg.test_dataloader.dataset)
    (data / "train.txt").write_text("a\nz\n")
    with pytest.raises(
        FileNotFoundError, match=r"train\.txt: z: no .*cropinfrared/z\.\* and no .*visible/z\.\*"
    ):
        DATASETS.build(cfg.train_dataloader.dataset)
    Image.new("RGB", (64, 48)).save(data / "crop_LR_visible" / "c.jpg")
    (data / "test.txt").write_text("c\n")
    with pytest.raises(UnreadableImageError, match=r"(?s)cropinfrared/c\.jpg.*visible/c\.jpg 64 x"):
        DATASETS.build(cfg.test_dataloader.dataset)[0]
