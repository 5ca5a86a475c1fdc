"""Every config builds and takes one small step."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from config_runs import marked
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from PIL import Image

from mmspec.models.backbones.conv_vit import resolve_arch

ROOT = Path(__file__).resolve().parent.parent / "configs"
PRETRAIN = sorted(p.name for p in (ROOT / "pretrain").glob("*.py"))
PAPER = "infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"
TINY = "infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"
MAE = TINY.replace("infmae_convvit", "mae_vit")
MSPECGENE = "mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py"
VISIBLE = {"stride2": 98, "stride7": 28, "stride14": 14, "demo": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(3):
        image = rng.integers(0, 256, (60, 80), dtype=np.uint8)
        Image.fromarray(image).save(root / f"{i}.png")
    for name in ("inf10", "inf15", "in1k-30"):
        (root / f"{name}.txt").write_text("0.png\n1.png\n2.png\n")
    return root


@pytest.fixture(scope="module")
def pairs(folder, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    for side in ("ir", "rgb"):
        (root / side).symlink_to(folder)
    return root


def load(name: str, folder: Path, work_dir: Path, pairs: Path | None = None) -> Config:
    cfg = Config.fromfile(ROOT / "pretrain" / name)
    dataset = cfg.train_dataloader.dataset
    for part in dataset.get("datasets", [dataset]):
        if part.type == "mmspec.InfraredFolder":
            part.data_root = str(folder)
        elif part.type == "mmspec.RGBTFolder":
            part.update(data_root=str(pairs), infrared="ir", visible="rgb", ann_file="")
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    if cfg.optim_wrapper.type == "AmpOptimWrapper":  # fp16 needs a GPU
        cfg.optim_wrapper.type = "OptimWrapper"
        del cfg.optim_wrapper["loss_scale"]
    if name != PAPER and cfg.model.backbone.type == "mmspec.ConvViT":
        # The paper's own config runs whole; its variants are tried with one block a stage.
        arch = resolve_arch(cfg.model.backbone.arch)
        cfg.model.backbone.arch = {**arch, "depths": (1, 1, 1)}
    cfg.work_dir = str(work_dir)
    return cfg


@pytest.mark.parametrize("name", marked(PRETRAIN, TINY, MAE, MSPECGENE))
def test_pretraining_config_takes_a_step(name, folder, pairs, tmp_path):
    cfg = load(name, folder, tmp_path, pairs)
    init_default_scope(cfg.default_scope)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    model = MODELS.build(cfg.model)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    loss = model.train_step(batch, optim_wrapper)["loss"]
    assert torch.isfinite(loss)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert {n for n, p in model.named_parameters() if p.requires_grad} == moved
    visible = "imagenet-thermal" in name or "in1k" in name
    channels = {"mspecgene": 4, "mae": 3 if visible else 1}
    expected = channels.get(name.partition("_")[0], 1)
    assert batch["inputs"].shape == (2, expected, cfg.image_size, cfg.image_size)
    if cfg.model.type == "mmspec.InfMAE" and "masker" not in cfg.model:
        expected = next((v for k, v in VISIBLE.items() if f"_{k}" in name), 49)
        assert len(batch["data_samples"][0].ids_keep) == expected


def test_schedules_are_those_of_the_names():
    for name in PRETRAIN:
        cfg = Config.fromfile(ROOT / "pretrain" / name)
        named = re.search(r"-(\d+)e_", name)
        expected = int(named[1]) if named else cfg.max_epochs
        assert cfg.train_cfg.max_epochs == expected, name
        warmup, cosine = cfg.param_scheduler
        assert cosine.end == expected, name
        if warmup.by_epoch:
            assert warmup.end == cosine.begin, name


@pytest.mark.parametrize("path", sorted(ROOT.glob("[!_]*/*.py")), ids=lambda path: path.stem)
def test_batch_and_learning_rate_are_for_the_gpus_of_the_name(path):
    cfg = Config.fromfile(path)
    named = re.search(r"_(\d+)xb(\d+)-", path.name)
    gpus, batch = map(int, named.groups())
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch


def test_the_released_masking_is_a_frozen_projection_ascending(folder, tmp_path):
    name = PAPER.replace("p16_4xb64", "p16_released-mask_4xb64")
    cfg = load(name, folder, tmp_path)
    masker = cfg.model.masker
    assert (masker.score, masker.order, masker.stride) == ("projection", "ascending", 4)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    assert not list(model.masker.parameters())
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    assert "ids_keep" not in batch["data_samples"][0]
    images = model.data_preprocessor(batch, True)["inputs"]
    patches = images.unfold(2, 16, 16).unfold(3, 16, 16).sum(1)
    kernel = model.masker.kernel
    assert torch.equal(images[:, 0], images[:, 1])  # three equal channels: one kernel, their sum
    scores = (patches / 3 * kernel.sum(0)).sum((-2, -1)).flatten(1)
    expected = scores.argsort(1)[:, ::4]
    assert torch.equal(model.masker(images).ids_keep.sort(1)[0], expected.sort(1)[0])


def test_no_decay_on_norms_biases_and_tokens(folder, tmp_path):
    cfg = load("infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py", folder, tmp_path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    names = {id(p): n for n, p in model.named_parameters()}
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            none = parameter.dim() == 1 or name == "neck.mask_token"
            assert group["weight_decay"] == (0 if none else 0.05), name


def test_testing_prints_the_error_on_held_out_images(folder, tmp_path):
    cfg = load("infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py", folder, tmp_path)
    cfg.test_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.data_root = str(folder)
    cfg.visualizer.vis_backends = []
    runner = Runner.from_cfg(cfg)
    error = runner.test()["reconstruction/loss"]
    batch = next(iter(runner.build_dataloader({**cfg.test_dataloader, "batch_size": 3})))
    data = runner.model.data_preprocessor(batch, False)
    assert error == pytest.approx(runner.model(**data, mode="loss")["loss"].item(), rel=1e-5)
