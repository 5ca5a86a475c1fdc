"""Every detection config builds, takes two small steps and predicts."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from config_runs import evaluate, marked, run_tool, train
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from PIL import Image

import mmspec  # noqa: F401  (stands in for mmcv's operators before mmdet asks for them)

from mmdet.registry import DATASETS, MODELS, TRANSFORMS  # isort: skip

REPO = Path(__file__).resolve().parent.parent
CONFIGS = sorted(p.name for p in (REPO / "configs" / "det").glob("*.py") if "rcnn" in p.name
                 or p.name.startswith(("detr", "dino")))  # fmt: skip
CONFIGS = [name for name in CONFIGS if not name.startswith("mspecgene")]  # test_configs_rgbt.py
PRETRAINED = [name for name in CONFIGS if re.match("infmae|mae|mcmae", name)]
INFMAE = "infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd.py"
TINY = "scratch_convvit-tiny_faster-rcnn_1xb4-1k_msrs-480x640.py"
SCALE = (128, 96)  # width, height
CONV_VIT = dict(embed_dims=(8, 16, 32), depths=(1, 1, 3), num_heads=2, mlp_ratios=(2, 2, 2))
VIT_SAM = dict(
    embed_dims=32, num_layers=3, num_heads=2, feedforward_channels=32, global_attn_indexes=[1]
)
# Settings that make a backbone small, and the widths of its maps.
SMALL = {
    "mmspec.ConvViT": (dict(arch=CONV_VIT), [8, 16, 32, 32]),
    "mmpretrain.ViTSAM": (dict(arch=VIT_SAM), 32),
    "ResNet": (dict(base_channels=4), [16, 32, 64, 128]),
    "SwinTransformer": (
        dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], convert_weights=False),
        [12, 24, 48, 96],
    ),
}


def shrink(model: ConfigDict) -> None:
    """The model of a config with the same topology, a small backbone and few proposals."""
    settings, widths = SMALL[model.backbone.type]
    model.backbone.update(settings)
    if not model.backbone.type.startswith("mm"):
        model.backbone.init_cfg = None
    if model.neck.type == "mmspec.SimpleFPN":
        model.neck.in_channels = 32
    else:  # DETR takes the last map, DINO the last three or all
        model.neck.in_channels = widths[-len(model.neck.in_channels) :]
    for stage in ("rpn_proposal", "rpn"):
        for settings in (model.get("train_cfg"), model.get("test_cfg")):
            if settings and "nms_pre" in (settings.get(stage) or {}):
                settings[stage].update(nms_pre=50, max_per_img=20)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    """Three images a split, 96x128, with two boxes each, in the layout of each data set."""
    layouts = {
        "mmspec.M3FDDataset": ("{}", "annotations/{}.json", ("train", "test")),
        "mmspec.HITUAVDataset": (
            "normal_json/{}", "normal_json/annotations/{}.json", ("train", "val")
        ),
        "mmspec.MSRSDetDataset": (
            "MSRS/{}/ir", "annotations/infrared_{}.json", ("train", "test")
        ),
    }  # fmt: skip
    classes = {
        "mmspec.M3FDDataset": ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck"),
        "mmspec.HITUAVDataset": ("Person", "Car", "Bicycle", "OtherVehicle", "DontCare"),
        "mmspec.MSRSDetDataset": ("person", "bicycle", "car"),
    }
    rng = np.random.default_rng(0)
    roots = {}
    for dataset, (images, annotations, splits) in layouts.items():
        root = roots[dataset] = tmp_path_factory.mktemp(dataset.removeprefix("mmspec."))
        for split in splits:
            content = dict(
                images=[],
                annotations=[],
                categories=[dict(id=i, name=name) for i, name in enumerate(classes[dataset])],
            )
            for i in range(3):
                name = f"{split}{i}.png"
                folder = "" if dataset == "mmspec.M3FDDataset" else images.format(split)
                path = root / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.integers(0, 80, (96, 128), dtype=np.uint8)
                content["images"].append(dict(id=i, file_name=name, width=128, height=96))
                for j, (x, y) in enumerate(((10 * i, 20), (60, 30))):
                    pixels[y : y + 40, x : x + 30] = 200
                    content["annotations"].append(
                        dict(
                            id=10 * i + j + 1,
                            image_id=i,
                            category_id=j,
                            bbox=[x, y, 30, 40],
                            area=1200,
                            iscrowd=0,
                        )
                    )
                Image.fromarray(pixels).save(path)
            file = root / annotations.format(split)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content))
    return roots


def load(name: str, data: dict[str, Path]) -> Config:
    cfg = Config.fromfile(REPO / "configs" / "det" / name)
    shrink(cfg.model)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(data[loader.dataset.type])
        for step in _steps(loader.dataset.pipeline):
            if step.type in ("Resize", "RandomResize"):
                step.scale = SCALE
            elif step.type == "RandomChoiceResize":
                step.scales = [SCALE]
            elif step.type == "RandomCrop":
                step.crop_size = SCALE if step.crop_type == "absolute" else (64, 96)
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


def _steps(pipeline):
    for step in pipeline:
        if step.type == "RandomChoice":
            for choice in step.transforms:
                yield from choice
        yield step


@pytest.mark.parametrize("name", marked(CONFIGS, INFMAE, TINY))
def test_trains_and_predicts(name, data):
    cfg = load(name, data)
    init_default_scope(cfg.default_scope)
    set_random_seed(0)
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    model.init_weights()  # mmdet leaves some weights as the memory was
    logs, _ = train(cfg, model)
    assert ("loss_mask" in logs) == ("mask-rcnn" in name)
    metrics, _ = evaluate(cfg, model)
    classes = DATASETS.build(cfg.test_dataloader.dataset).metainfo["classes"]
    assert {"mAP", "AP50", "AP_small", *(f"AP50/{c}" for c in classes)} <= set(metrics)
    assert metrics["mAP"] >= 0
    heads = model.bbox_head if hasattr(model, "bbox_head") else model.roi_head.bbox_head
    for head in heads if isinstance(heads, torch.nn.ModuleList) else [heads]:
        assert head.num_classes == len(classes)


@pytest.mark.parametrize("name", PRETRAINED)
def test_starts_from_the_pretraining_config_it_names(name, tmp_path):
    cfg = Config.fromfile(REPO / "configs" / "det" / name)
    work_dir, file = Path(cfg.model.backbone.init_cfg.checkpoint).parts[-2:]
    pretraining = Config.fromfile(REPO / "configs" / "pretrain" / f"{work_dir}.py")
    assert file == f"epoch_{pretraining.train_cfg.max_epochs}.pth"
    norm = cfg.model.data_preprocessor
    assert (norm.mean, norm.std) == tuple(
        pretraining.model.data_preprocessor[key] for key in ("mean", "std")
    )
    init_default_scope(pretraining.default_scope)
    encoder = pretraining.model.backbone
    if encoder.type == "MAEViT":
        encoder.update(arch=VIT_SAM | dict(num_layers=12))
        backbone = cfg.model.backbone
        backbone.update(arch=VIT_SAM | dict(num_layers=12), img_size=224)
    else:
        encoder.update(arch=CONV_VIT)
        backbone = cfg.model.backbone
        backbone.update(arch=CONV_VIT)
    torch.manual_seed(0)
    encoder = MODELS.build(encoder)
    state = {f"backbone.{key}": value for key, value in encoder.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / file)
    backbone.init_cfg.checkpoint = str(tmp_path / file)
    backbone = MODELS.build(backbone)
    backbone.init_weights()
    equal = [
        torch.equal(value, state[f"backbone.{key}"])
        for key, value in backbone.state_dict().items()
        if f"backbone.{key}" in state and value.shape == state[f"backbone.{key}"].shape
    ]
    assert all(equal) and len(equal) > 0.8 * len(encoder.state_dict())


def test_scratch_configs_differ_by_the_weights_alone():
    for name in CONFIGS:
        if name.startswith("scratch"):
            scratch, pretrained = (
                Config.fromfile(REPO / "configs" / "det" / n).to_dict()
                for n in (name, name.replace("scratch", "infmae"))
            )
            assert scratch["model"]["backbone"].pop("init_cfg") is None
            assert pretrained["model"]["backbone"].pop("init_cfg")
            assert scratch == pretrained


def test_schedules_and_batches_are_those_of_the_names():
    for name in CONFIGS:
        cfg = Config.fromfile(REPO / "configs" / "det" / name)
        batch, thousands = map(int, re.search(r"_1xb(\d+)-(\d+)k_", name).groups())
        assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch, name
        assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 1000 * thousands, name
        assert cfg.param_scheduler[0].begin == 0
        assert cfg.param_scheduler[0].end == cfg.param_scheduler[1].begin, name
        assert cfg.train_dataloader.dataset.pipeline[0].channels == 3
        assert cfg.test_dataloader.dataset.test_mode


def test_crops_are_no_higher_than_wide():
    """mmdet's RandomCrop takes (width, height); all the data sets here have landscape images."""
    for name in CONFIGS:
        cfg = Config.fromfile(REPO / "configs" / "det" / name)
        init_default_scope(cfg.default_scope)
        for step in cfg.train_dataloader.dataset.pipeline:
            if step.type == "RandomCrop":
                width, height = step.crop_size
                results = dict(img=np.zeros((1536, 2048, 3), np.uint8))
                cropped = TRANSFORMS.build(step)(results)["img"]
                assert cropped.shape == (height, width, 3), name
                assert height < width, name


def test_every_row_of_table_2_has_a_config():
    encoders = ("scratch_convvit-base", "mae_vit-base", "mcmae_convvit-base", "infmae_convvit-base")
    expected = {
        f"{encoder}_{head}" for encoder in encoders for head in ("mask-rcnn", "cascade-rcnn")
    } | {"detr_r101", "sparse-rcnn_r50", "dino_swin-large"}
    found = {n.split("_1xb2")[0] for n in CONFIGS if "m3fd" in n}
    assert found - {"infmae_convvit-base_simple-fpn_mask-rcnn"} == expected


def test_recipe_of_the_paper():
    cfg = Config.fromfile(REPO / "configs" / "det" / INFMAE)
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(
        type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1
    )
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.8
    assert cfg.param_scheduler[1].type == "CosineAnnealingLR"
    assert cfg.param_scheduler[0].end == 1000
    assert cfg.optim_wrapper.clip_grad.max_norm == 1
    assert cfg.optim_wrapper.paramwise_cfg.norm_decay_mult == 0
    assert cfg.model.data_preprocessor.mean == [108.375] * 3
    assert not cfg.model.data_preprocessor.bgr_to_rgb
    crop = next(s for s in cfg.train_dataloader.dataset.pipeline if s.type == "RandomCrop")
    assert crop.crop_size == (1024, 768)
    assert (cfg.model.backbone.window_size, cfg.model.backbone.drop_path_rate) == (14, 0.1)


def test_without_the_mask_branch(data):
    cfg = load(INFMAE, data)
    init_default_scope(cfg.default_scope)
    cfg.model.roi_head.update(mask_head=None, mask_roi_extractor=None)
    cfg.train_dataloader.dataset.box_masks = False
    cfg.train_dataloader.dataset.pipeline[1].with_mask = False
    model = MODELS.build(cfg.model)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    losses = model(**model.data_preprocessor(batch, True), mode="loss")
    assert "loss_mask" not in losses and "loss_bbox" in losses


def test_trains_validates_and_tests_by_the_tools(data, tmp_path):
    overrides = [
        "train_cfg.max_iters=2",
        "train_cfg.val_interval=2",
        "default_hooks.checkpoint.interval=2",
    ]
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        overrides += [
            f"{loader}.dataset.data_root={data['mmspec.MSRSDetDataset']}",
            f"{loader}.num_workers=0",
            f"{loader}.persistent_workers=False",
        ]
    config = str(REPO / "configs" / "det" / TINY)
    common = ["--work-dir", str(tmp_path), "--cfg-options", *overrides]
    run_tool("train", config, *common)
    assert len(list((tmp_path / "detections" / "iter_000002").glob("*.png"))) == 3
    run_tool(
        "test", config, str(tmp_path / "iter_2.pth"), "--out", str(tmp_path / "x.json"), *common
    )
    metrics = json.loads((tmp_path / "x.json").read_text())
    assert {"mAP", "AP50", "AP50/person", "AP50/car"} <= set(metrics)
    # No car is in these images; NaN would be no JSON.
    assert metrics["AP50/car"] is None and metrics["AP50"] is not None
    assert len(list((tmp_path / "detections" / "test").glob("*.png"))) == 3
