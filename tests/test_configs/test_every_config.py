"""Every config builds, takes a step or two and, where it is fine-tuned, predicts and is scored."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from config_runs import (
    CONFIGS,
    VIT,
    build,
    checkpoint_of,
    encoder_of,
    evaluate,
    is_pair,
    load,
    marked,
    of_folder,
    pretraining,
    read,
    run_tool,
    shrink,
    shrink_encoder,
    train,
)
from layouts import BOX_LAYOUTS, SIZE
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmspec import read_checkpoint
from mmspec.registry import DATASETS, MODELS

PRETRAIN = of_folder("pretrain")
FINE_TUNED = of_folder("det", "seg", "irstd", "sod")
TINY = "pretrain/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"
TINY_MSPECGENE = "pretrain/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py"
VISIBLE = {"stride2": 98, "stride7": 28, "stride14": 14, "demo": 16}
SALIENCY = ["S", "maxF", "meanF", "adpF", "maxE", "meanE", "adpE", "wF", "MAE"]
BOTH_STACKS = (
    "det/infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd.py",
    "det/scratch_convvit-tiny_faster-rcnn_1xb4-1k_msrs-480x640.py",
    "det/mspecgene_vit-base_mask-rcnn_1xb2-120k_flir-960x960.py",
    "seg/infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py",
    "seg/infmae_convvit-tiny_upernet_1xb4-1k_udder-240x320.py",
    "seg/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-256x256.py",
    "irstd/infmae_convvit-base_unet_1xb2-240k_irstd1k-512x512.py",
    "sod/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-saliency-128x128.py",
)


@pytest.mark.parametrize(
    "name", marked(PRETRAIN, TINY, TINY.replace("infmae_convvit", "mae_vit"), TINY_MSPECGENE)
)
def test_pretraining_takes_a_step(name, data, tmp_path):
    cfg = pretraining(name, data)
    init_default_scope(cfg.default_scope)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    model = MODELS.build(cfg.model)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    loss = model.train_step(batch, optim_wrapper)["loss"]
    assert torch.isfinite(loss)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    # An adapter's second map starts at zero: by it the rest learns from the second step on.
    assert moved <= learning and all(".adapter." in name for name in learning - moved)
    visible = "imagenet-thermal" in name or "in1k" in name
    pairs = cfg.model.data_preprocessor.type == "mmspec.RGBTDataPreprocessor"
    channels = 4 if pairs else 3 if visible else 1
    on_device = "on-device" in name
    assert set(batch) == {"inputs", "img_path"} | ({"sizes"} if on_device else set())
    assert batch["inputs"].shape[:2] == (2, channels)
    shape = (2, max(3, 6 * (channels == 4)), cfg.image_size, cfg.image_size)
    assert model.data_preprocessor(batch, True)["inputs"].shape == shape
    assert on_device or batch["inputs"].shape[2:] == shape[2:]
    if hasattr(masker := getattr(model, "masker", None), "masking") or "random-mask" in name:
        expected = next((v for k, v in VISIBLE.items() if f"_{k}" in name), 49)
        mask = masker(torch.zeros(shape))
        assert mask.num_visible == expected
        assert len(mask.mask) == (8 if "_complementary" in name else 2)


@pytest.mark.parametrize("name", marked(FINE_TUNED, *BOTH_STACKS))
def test_fine_tuning_trains_and_predicts(name, data):
    cfg = load(name, data)
    model = build(cfg)
    try:
        logs, batch = train(cfg, model)
    except RuntimeError as error:
        if "dnlnet" in name and "inplace operation" in str(error):
            pytest.xfail("mmseg's DNLHead with an old torch: open-mmlab/mmsegmentation#3073")
        raise
    metrics, outputs = evaluate(cfg, model)
    sets = cfg.test_dataloader.dataset
    sets = sets.get("datasets", [sets])
    classes = DATASETS.build(sets[0]).metainfo["classes"]
    CHECKS[name.split("/")[0]](name, cfg, model, logs, batch, metrics, outputs, classes)


@pytest.mark.parametrize(
    "name",
    [
        "det/infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd.py",
        "det/mspecgene_vit-base_mask-rcnn_1xb2-120k_flir-960x960.py",
        "irstd/infmae_convvit-base_unet_1xb2-240k_irstd1k-512x512.py",
        "seg/infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py",
        "sod/mspecgene_vit-base_upernet_1xb2-160k_vt5000-768x768.py",
    ],
)
def test_fine_tuning_takes_steps_in_mixed_precision(name, data):
    """What ``--amp`` does on a GPU: the same types, but for a few functions."""
    cfg = load(name, data)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        train(cfg, build(cfg))


def check_detection(name, cfg, model, logs, batch, metrics, outputs, classes):
    assert ("loss_mask" in logs) == ("mask-rcnn" in name)
    assert {"mAP", "AP50", "AP_small", *(f"AP50/{c}" for c in classes)} <= set(metrics)
    assert metrics["mAP"] >= 0
    heads = model.bbox_head if hasattr(model, "bbox_head") else model.roi_head.bbox_head
    for head in heads if isinstance(heads, torch.nn.ModuleList) else [heads]:
        assert head.num_classes == len(classes)
    dataset = cfg.test_dataloader.dataset.type.removeprefix("mmspec.")
    assert set(classes) == set(BOX_LAYOUTS[dataset].classes) - {"DontCare"}
    if "kaist" in name:
        assert {f"MR/Reasonable/{time}" for time in ("All", "Day", "Night")} <= set(metrics)
        assert 0 <= metrics["MR/Reasonable/All"] <= 100


def check_segmentation(name, cfg, model, logs, batch, metrics, outputs, classes):
    crop = tuple(cfg.model.data_preprocessor.size)
    assert batch["inputs"].shape[2:] == crop
    if not is_pair(cfg):
        assert batch["inputs"].shape[:2] == (2, 3)
    assert all(tuple(o.pred_sem_seg.data.shape) == (1, *_test_size(cfg)) for o in outputs)
    assert set(metrics) == {*(f"IoU/{c}" for c in classes), "mIoU", "mAcc", "aAcc"}
    assert model.decode_head.num_classes == len(classes)
    if model.with_auxiliary_head:
        assert model.auxiliary_head.num_classes == len(classes)


def check_small_targets(name, cfg, model, logs, batch, metrics, outputs, classes):
    assert batch["inputs"].shape == (2, len(cfg.model.data_preprocessor.mean), 64, 64)
    for output in outputs:
        # Padded for the network, scored at the size of the file.
        assert output.pad_shape[:2] == (64, 96)
        assert output.seg_logits.data.shape == output.gt_sem_seg.data.shape == (1, *SIZE)
    assert list(metrics) == ["IoU", "nIoU", "F1", "Pd", "Fa", "AUC"]
    assert all(math.isfinite(value) for value in metrics.values())
    assert model.decode_head.threshold == 0.5


def check_saliency(name, cfg, model, logs, batch, metrics, outputs, classes):
    released = "cross-entropy" in name
    kinds = ("loss_ce",) if released else ("loss_bce", "loss_iou")
    losses = {key for key in logs if "loss_" in key}
    assert losses == {f"{head}.{kind}" for head in ("decode", "aux") for kind in kinds}
    shape = (2 if released else 1, *_test_size(cfg))
    assert all(tuple(o.seg_logits.data.shape) == shape for o in outputs)
    datasets = ["VT5000/", "VT1000/", "VT821/", "VI-RGBT1500/"]
    prefixes = datasets if "vt5000" in name else [""]
    assert list(metrics) == [prefix + metric for prefix in prefixes for metric in SALIENCY]
    assert all(math.isfinite(value) for value in metrics.values())
    assert all(0 < metrics[f"{prefix}MAE"] < 1 for prefix in prefixes)


def _test_size(cfg: Config) -> tuple[int, int]:
    dataset = cfg.test_dataloader.dataset
    return tuple(dataset.size) if dataset.type == "mmspec.SyntheticInfrared" else SIZE


CHECKS = dict(
    det=check_detection, seg=check_segmentation, irstd=check_small_targets, sod=check_saliency
)


class StateAtTheStart(Hook):
    def before_train(self, runner):
        self.state = {k: v.clone() for k, v in runner.model.state_dict().items()}


MATCHING = of_folder("matching")


@pytest.mark.parametrize("name", marked(MATCHING, MATCHING[1]))
def test_matching_trains_predicts_scores_and_draws(name, data, tmp_path):
    cfg = read(name)
    shrink(cfg)
    encoder_of(cfg).init_cfg = None
    cfg.model.head.num_points = 32
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        data.fill(loader)
    cfg.train_dataloader.dataset.pipeline[1].scale = (64, 96)
    cfg.train_dataloader.dataset.pipeline[4].size = (48, 64)
    cfg.test_dataloader.dataset.pipeline[1].width = 64
    cfg.train_cfg.max_iters = 2
    cfg.default_hooks.checkpoint.interval = 2
    cfg.visualizer.vis_backends = []
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    start = StateAtTheStart()
    runner.register_hook(start)
    runner.train()
    state = runner.model.state_dict()
    changed = [k for k, v in state.items() if not torch.equal(v, start.state[k])]
    assert changed and all(k.startswith("head.") for k in changed)
    metrics = runner.test()
    assert list(metrics)[:4] == ["MMA@1", "MMA@3", "MMA@5", "MMA@10"] and metrics["matches"] > 5
    pictures = sorted(p.name for p in (tmp_path / "matches/test").iterdir())
    assert pictures == [f"000{i}_test{i}.png" for i in range(3)]
    assert (tmp_path / "iter_2.pth").is_file()


@pytest.mark.parametrize("name", [n for n in CONFIGS if checkpoint_of(read(n)) == "tiny"])
def test_starts_from_the_shipped_encoder(name):
    cfg = read(name)
    init_default_scope(cfg.default_scope)
    backbone = MODELS.build(cfg.model.backbone)
    backbone.init_weights()
    value = read_checkpoint("tiny")[0]["backbone.token_proj.weight"].float()
    assert torch.equal(backbone.token_proj.weight, value)


@pytest.mark.parametrize(
    "name",
    # Infrared stages start from files of visible images.
    [
        n
        for n in CONFIGS
        if (start := checkpoint_of(read(n))) and "/" in start
        if not re.search("/custom_|^pretrain/", n)
    ],
)
def test_starts_from_the_pretraining_config_it_names(name, tmp_path):
    cfg = read(name)
    work_dir, file = Path(checkpoint_of(cfg)).parts[-2:]
    start = read(f"pretrain/{work_dir}.py")
    assert file == f"epoch_{start.train_cfg.max_epochs}.pth"
    own, given = encoder_of(cfg), start.model.backbone
    if own.type == given.type or name.startswith(("det/mspecgene", "matching")):
        if isinstance(own.arch, str):
            assert own.arch == given.arch
        else:
            assert all(own.arch[key] == given.arch[key] for key in (*VIT, "num_layers"))
    norms = []
    for one in (cfg, start):
        init_default_scope(one.default_scope)
        norms.append(MODELS.build(one.model.data_preprocessor))
    assert torch.equal(norms[0].mean, norms[1].mean) and torch.equal(norms[0].std, norms[1].std)
    if name.startswith("matching"):
        assert cfg.model.data_preprocessor == start.model.data_preprocessor

    # Its weights arrive, in a smaller network.
    widths = [shrink_encoder(encoder) for encoder in (own, given)]
    assert widths[0] == widths[1]
    for encoder in (own, given):
        if encoder.type != "mmspec.ConvViT" and "num_layers" in encoder.arch:
            encoder.arch.num_layers = 12 if "base" in name else encoder.arch.num_layers
    if own.type == "mmpretrain.ViTSAM":
        own.arch.num_layers, own.img_size = given.arch.num_layers, 224
    init_default_scope(start.default_scope)
    torch.manual_seed(0)
    encoder = MODELS.build(given)
    encoder.init_weights()
    state = {f"backbone.{key}": value for key, value in encoder.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / file)
    init_default_scope(cfg.default_scope)
    own.init_cfg.checkpoint = str(tmp_path / file)
    backbone = MODELS.build(own)
    backbone.init_weights()
    new = getattr(backbone, "new_at_fine_tuning", ())
    whole = own.type == given.type and not name.startswith("det/")  # some add relative positions
    compared = 0
    for key, value in backbone.state_dict().items():
        known = state.get(f"backbone.{key}")
        if whole:
            assert key.split(".")[0] in new or torch.equal(value, known), key
        elif known is not None and known.shape == value.shape:
            assert torch.equal(value, known), key
            compared += 1
    assert whole or compared > 0.8 * len(encoder.state_dict())


TASKS = {
    "det/scratch_convvit-tiny_faster-rcnn_1xb4-1k_msrs-480x640.py": "detections",
    "seg/scratch_convvit-tiny_upernet_1xb4-1k_eye-200x200.py": "overlays",
    "irstd/scratch_convvit-tiny_unet_1xb8-4k_synthetic-64x64.py": "small_targets",
    "sod/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-saliency-128x128.py": "saliency",
}


@pytest.mark.parametrize("name", TASKS)
def test_trains_validates_tests_and_draws_by_the_tools(name, data, tmp_path, monkeypatch, capsys):
    cfg = load(name, data)
    encoder_of(cfg).init_cfg = None
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.checkpoint.interval = 2
    cfg.dump(tmp_path / "config.py")
    run_tool(monkeypatch, "train", tmp_path / "config.py", "--work-dir", tmp_path)
    folder = tmp_path / TASKS[name]
    if name.startswith("irstd/"):
        assert not folder.exists()  # validations are not drawn
    else:
        assert len(list((folder / "iter_000002").glob("*.png"))) == 3
    numbers, options = tmp_path / "numbers.json", []
    if name.startswith(("irstd/", "sod/")):
        options = ["--show-dir", tmp_path / "shown"]
    run_tool(
        monkeypatch, "test", tmp_path / "config.py", tmp_path / "iter_2.pth",
        "--work-dir", tmp_path, "--out", numbers, *options,
    )  # fmt: skip
    metrics = json.loads(numbers.read_text())
    if name.startswith("det/"):
        assert {"mAP", "AP50", "AP50/person", "AP50/car"} <= set(metrics)
        # No car is in these images; NaN would be no JSON.
        assert metrics["AP50/car"] is None and metrics["AP50"] is not None
    elif name.startswith("seg/"):
        assert {"IoU/iris", "IoU/pupil", "IoU/background", "mIoU", "mAcc"} <= set(metrics)
    else:
        small = ["IoU", "nIoU", "F1", "Pd", "Fa", "AUC"]
        assert list(metrics) == (small if name.startswith("irstd/") else SALIENCY)
    if options:
        curve = "roc.png" if name.startswith("irstd/") else "pr_curve.png"
        shown = tmp_path / "shown"
        assert len(list(shown.glob("000*.png"))) == 3 and (shown / curve).is_file()
    else:
        assert len(list((folder / "test").glob("*.png"))) == 3
