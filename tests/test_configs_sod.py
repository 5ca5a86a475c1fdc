"""Every config of salient objects builds, takes two steps, predicts and is scored."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from config_runs import evaluate, marked, run_tool
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from PIL import Image
from test_configs_rgbt import CROP, DIMS, SIZE, VIT, train_a_model

from mmspec.engine.launch import merge_options

pytest.importorskip("mmseg")
pytest.importorskip("py_sod_metrics")

REPO = Path(__file__).resolve().parent.parent
FOLDER = REPO / "configs" / "sod"
CONFIGS = sorted(path.name for path in FOLDER.glob("*.py"))
VT5000 = "mspecgene_vit-base_upernet_1xb2-160k_vt5000-768x768.py"
RELEASED = "mspecgene_vit-base_upernet_cross-entropy_1xb2-160k_vt5000-768x768.py"
TINY = "mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-saliency-128x128.py"
METRICS = ["S", "maxF", "meanF", "adpF", "maxE", "meanE", "adpE", "wF", "MAE"]
DATASETS = ["VT5000", "VT1000", "VT821", "VI-RGBT1500"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two pairs of each data set, and a training part of VT5000."""
    root = tmp_path_factory.mktemp("saliency")
    rng = np.random.default_rng(0)
    for part in ("VT5000/Train", "VT5000/Test", *DATASETS[1:]):
        for i in range(2):
            mask = np.zeros(SIZE, np.uint8)
            mask[20:70, 30 : 70 + 20 * i] = 255
            gray = rng.integers(0, 100, SIZE, dtype=np.uint8) + mask // 2
            colours = rng.integers(0, 200, (*SIZE, 3), dtype=np.uint8)
            for folder, pixels in (("T", gray), ("RGB", colours), ("GT", mask)):
                path = root / part / folder / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return root


def read(name: str) -> Config:
    return Config.fromfile(FOLDER / name)


def load(name: str, data: Path) -> Config:
    """A config with a small encoder and small images."""
    cfg = read(name)
    encoder = cfg.model.backbone.backbone
    encoder.arch = dict(VIT, num_layers=encoder.arch.num_layers) if name == TINY else dict(VIT)
    cfg.model.neck.embed_dim = 2 * DIMS
    cfg.model.decode_head.update(in_channels=[2 * DIMS] * 4, channels=16)
    cfg.model.auxiliary_head.update(in_channels=2 * DIMS, channels=16)
    cfg.model.data_preprocessor.size = CROP
    if cfg.model.test_cfg.mode == "slide":
        cfg.model.test_cfg.update(crop_size=CROP, stride=(40, 40))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        for dataset in loader.dataset.get("datasets", [loader.dataset]):
            if "data_root" in dataset:
                dataset.data_root = dataset.data_root.replace("data", str(data), 1)
            else:
                dataset.update(length=2, size=CROP)
            for transform in dataset.pipeline:
                if "scale" in transform:
                    transform.scale = (4 * CROP[1], CROP[0])
                if "crop_size" in transform:
                    transform.crop_size = CROP
    return cfg


@pytest.mark.parametrize("name", marked(CONFIGS, TINY))
def test_trains_and_predicts(name, data):
    cfg = load(name, data)
    model, logs = train_a_model(cfg)
    losses = {key for key in logs if "loss_" in key}
    kinds = ("loss_ce",) if name == RELEASED else ("loss_bce", "loss_iou")
    assert losses == {f"{head}.{kind}" for head in ("decode", "aux") for kind in kinds}
    metrics, outputs = evaluate(cfg, model)
    channels = 2 if name == RELEASED else 1
    size = CROP if name == TINY else SIZE
    assert all(tuple(o.seg_logits.data.shape) == (channels, *size) for o in outputs)
    prefixes = [""] if name == TINY else [f"{dataset}/" for dataset in DATASETS]
    assert list(metrics) == [prefix + metric for prefix in prefixes for metric in METRICS]
    assert all(math.isfinite(value) for value in metrics.values())
    assert all(0 < metrics[f"{prefix}MAE"] < 1 for prefix in prefixes)


@pytest.mark.parametrize("modality", ["infrared", "visible"])
def test_a_model_of_pairs_tests_on_one_modality_alone(modality, data):
    cfg = load(VT5000, data)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    for dataset in cfg.test_dataloader.dataset.datasets:
        dataset.modality = modality
    batch = next(iter(Runner.build_dataloader(cfg.test_dataloader)))
    assert model.data_preprocessor(batch, False)["inputs"].shape[1] == 3
    assert len(evaluate(cfg, model)[1]) == 8


def test_options_of_the_readme():
    cfg = read(VT5000)
    parts = ["train_dataloader.dataset", "val_dataloader.dataset"]
    parts += [f"test_dataloader.dataset.datasets.{i}" for i in range(4)]
    merge_options(cfg, [f"{part}.modality=infrared" for part in parts])
    merge_options(cfg, ["test_dataloader.dataset.datasets.1.data_root=/disk/VT1000"])
    tested = cfg.test_dataloader.dataset.datasets
    used = [cfg.train_dataloader.dataset, cfg.val_dataloader.dataset, *tested]
    assert {dataset.modality for dataset in used} == {"infrared"}
    assert [dataset.data_root for dataset in tested[:2]] == ["data/VT5000", "/disk/VT1000"]


def test_recipe_of_the_release():
    cfg = read(VT5000)
    assert cfg.optim_wrapper.optimizer.lr == 1e-4
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.65
    assert cfg.param_scheduler[0].end == cfg.param_scheduler[1].begin == 1500
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert (train.type, train.split, train.modality) == ("mmspec.VT5000Dataset", "Train", "both")
    assert (val.type, val.split) == ("mmspec.VT5000Dataset", "Test")
    tested = cfg.test_dataloader.dataset.datasets
    assert [Path(dataset.data_root).name for dataset in tested] == DATASETS
    assert all(dataset.pipeline == val.pipeline and dataset.test_mode for dataset in tested)
    assert [dataset.modality for dataset in tested] == ["both"] * 4


def test_the_released_form_differs_by_head_and_loss_alone():
    ours, released = read(VT5000).to_dict(), read(RELEASED).to_dict()
    for head in ("decode_head", "auxiliary_head"):
        one, two = (cfg["model"][head] for cfg in (ours, released))
        assert (one.pop("out_channels"), two.pop("out_channels")) == (1, 2)
        assert (one.pop("threshold"), two.pop("threshold")) == (0.5, None)
        assert one.pop("loss_decode") != two.pop("loss_decode")
    for cfg in (ours, released):
        for key in ("two_classes", "cross_entropy"):
            cfg.pop(key, None)
    assert ours == released


@pytest.mark.parametrize("name", CONFIGS)
def test_schedules_and_batches_are_those_of_the_names(name):
    cfg = read(name)
    batch, thousands, height, width = map(
        int, re.search(r"_1xb(\d+)-(\d+)k_[\w-]+?-(\d+)x(\d+)", name).groups()
    )
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 1000 * thousands
    assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval
    assert "save_best" not in cfg.default_hooks.checkpoint
    (crop,) = (s for s in cfg.train_dataloader.dataset.pipeline if "crop_size" in s)
    assert tuple(crop.crop_size) == tuple(cfg.model.data_preprocessor.size) == (height, width)


@pytest.mark.parametrize("name", CONFIGS)
def test_starts_from_the_pretraining_config_it_names(name):
    encoder = read(name).model.backbone.backbone
    work_dir, file = Path(encoder.init_cfg.checkpoint).parts[-2:]
    pretraining = Config.fromfile(REPO / "configs" / "pretrain" / f"{work_dir}.py")
    assert file == f"epoch_{pretraining.train_cfg.max_epochs}.pth"
    own, other = encoder.arch, pretraining.model.backbone.arch
    assert own == other if isinstance(own, str) else all(own[key] == other[key] for key in VIT)


def test_trains_and_draws_by_the_tools(tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        f"""
_base_ = "{FOLDER / TINY}"
arch = dict(_delete_=True, **{dict(VIT, num_layers=6)})
head = dict(channels=16)
model = dict(
    backbone=dict(backbone=dict(arch=arch, init_cfg=None)),
    neck=dict(embed_dim={2 * DIMS}),
    decode_head=dict(in_channels=[{2 * DIMS}] * 4, **head),
    auxiliary_head=dict(in_channels={2 * DIMS}, **head),
)
here = dict(num_workers=0, persistent_workers=False, dataset=dict(length=4, size=(64, 64)))
train_dataloader = here
val_dataloader = here
test_dataloader = here
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2))
"""
    )
    run_tool("train", config, "--work-dir", tmp_path)
    assert len(list((tmp_path / "saliency/iter_000002").glob("*.png"))) == 4
    shown, numbers = tmp_path / "shown", tmp_path / "numbers.json"
    options = ["--work-dir", tmp_path, "--out", numbers, "--show-dir", shown]
    run_tool("test", config, tmp_path / "iter_2.pth", *options)
    assert list(json.loads(numbers.read_text())) == METRICS
    assert len(list(shown.glob("000*.png"))) == 4 and (shown / "pr_curve.png").is_file()


def test_own_data_as_the_page_on_data_says(tmp_path):
    page = (FOLDER.parents[1] / "docs" / "data.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    (text,) = (block for block in blocks if "mmspec.SaliencyDataset" in block)
    text = text.replace('"./', f'"{FOLDER}/').replace("data/mine", str(tmp_path))
    (tmp_path / "config.py").write_text(text)
    for part in ("train", "test"):
        for folder in ("T", "RGB", "GT"):
            (tmp_path / part / folder).mkdir(parents=True)
            pixels = np.zeros((40, 60, 3) if folder == "RGB" else (40, 60), np.uint8)
            pixels[10:20, 10:30] = 255
            Image.fromarray(pixels).save(tmp_path / part / folder / "a.png")
    cfg = Config.fromfile(tmp_path / "config.py")
    init_default_scope(cfg.default_scope)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        (sample,) = Runner.build_dataloader(loader).dataset
        assert sample["inputs"].shape[0] == 6
        assert {0, 1} <= set(sample["data_samples"].gt_sem_seg.data.unique().tolist())


def test_one_channel_and_two_have_the_same_gradient_of_cross_entropy():
    """The sigmoid of a difference of two logits is their softmax: only IoU is new."""
    cfg, released = read(VT5000), read(RELEASED)
    init_default_scope(cfg.default_scope)
    bce = MODELS.build(cfg.model.decode_head.loss_decode[0])
    ce = MODELS.build(released.model.decode_head.loss_decode[0])
    logits = torch.randn(2, 2, 6, 5, generator=torch.Generator().manual_seed(0))
    truth = (torch.arange(60).reshape(2, 6, 5) % 3 == 0).long()
    truth[0, 0] = 255
    one = bce(logits[:, 1:] - logits[:, :1], truth, ignore_index=255)
    assert one == pytest.approx(ce(logits, truth, ignore_index=255).item(), rel=1e-5)
