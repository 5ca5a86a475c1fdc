"""What holds for every config, whoever adds the next."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from config_runs import CONFIGS, ROOT, encoder_of, is_pair, of_folder, read, walk
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmspec.datasets.repeatable import RepeatableSamplesMixin
from mmspec.engine.inheritance import check_file
from mmspec.registry import DATASETS, MODELS, TRANSFORMS

DETECTION = of_folder("det")


def find(node, key: str) -> Iterator:
    """Values of a key at any depth."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from find(child, key)


def boxes(*xyxy) -> torch.Tensor:
    return torch.tensor(xyxy, dtype=torch.float32).reshape(-1, 4)


@pytest.mark.parametrize("name", DETECTION)
def test_regions_to_ignore_are_no_background(name):
    """Every data set here may hold them: crowds, KAIST's people, HIT-UAV's DontCare."""
    from mmdet.registry import TASK_UTILS

    cfg = read(name)
    init_default_scope("mmdet")
    assigners = list(find(cfg.model.get("train_cfg") or {}, "assigner"))
    assert assigners
    # An object, what lies in a region, what covers a fifth of one, an object within the region.
    priors = boxes((0, 0, 20, 40), (60, 10, 80, 40), (70, 0, 200, 90), (85, 10, 95, 30))
    ignored = InstanceData(bboxes=boxes((50, 0, 100, 50)))
    for config in assigners:
        if config.type == "HungarianAssigner":
            # Set prediction knows no such regions (README); M3FD has none.
            assert cfg.train_dataloader.dataset.type == "mmspec.M3FDDataset"
            continue
        assigner = TASK_UTILS.build(config)
        truth = InstanceData(
            bboxes=boxes((0, 0, 20, 40), (85, 10, 95, 30)), labels=torch.tensor([0, 0])
        )
        found = assigner.assign(InstanceData(priors=priors), truth, ignored)
        assert found.gt_inds.tolist() == [1, -1, 0, 2]
        assert found.labels.tolist() == [0, -1, -1, 0]
        # A crop without objects.
        none = InstanceData(bboxes=boxes(), labels=torch.zeros(0, dtype=torch.long))
        found = assigner.assign(InstanceData(priors=priors), none, ignored)
        assert found.gt_inds.tolist() == [0, -1, 0, -1]
        # Nothing to ignore: as mmdet's own.
        found = assigner.assign(InstanceData(priors=priors), truth, InstanceData(bboxes=boxes()))
        assert found.gt_inds.tolist() == [1, 0, 0, 2]
        found = assigner.assign(InstanceData(priors=boxes()), truth, ignored)
        assert found.gt_inds.tolist() == []


def steps(cfg) -> list:
    """Every step of the training pipelines, those inside other steps too."""
    return [step for step in walk(list(find(cfg.train_dataloader, "pipeline"))) if "type" in step]


@pytest.mark.parametrize("name", CONFIGS)
def test_crops_leave_no_slivers_among_the_labels(name):
    cfg = read(name)
    sequence = steps(cfg)
    for step, following in zip(sequence, [*sequence[1:], {}]):
        kind = step["type"].rpartition(".")[2]
        if kind == "RandomCrop":
            assert name.startswith("det/") and step.bbox_clip_border is False
            assert not step.get("recompute_bbox")
            assert following["type"] == "mmspec.ClipBoxes"
        elif "Crop" in kind and kind not in ("TargetCrop", "SegmentationCrop"):
            assert name.startswith(("pretrain/", "matching/")), f"{name}: {kind} of labelled images"


@pytest.mark.parametrize("name", CONFIGS)
def test_no_crop_is_drawn_for_a_share_that_two_classes_cannot_keep_to(name):
    cfg = read(name)
    ratios = [step.get("cat_max_ratio", 1.0) for step in steps(cfg)]
    if set(find(cfg.model, "num_classes")) in ({2}, {1}) and not name.startswith("det/"):
        assert set(ratios) <= {1.0}


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_values_at_the_top_act(path):
    check_file(path)


BANDS = [f"# {'=' * 12} {often} changed {'=' * 12}" for often in ("Often", "Sometimes", "Rarely")]


@pytest.mark.parametrize("name", CONFIGS)
def test_values_lie_in_the_bands_of_the_head(name):
    """What is changed often, sometimes, rarely; a file that only changes parts has no head."""
    lines = (ROOT / name).read_text().splitlines()
    tree = ast.parse("\n".join(lines))
    assert tree.body[0].targets[0].id == "_base_"
    first = tree.body[1]
    found = [line for line in lines if line.startswith("# ==")]
    if isinstance(first.value, ast.Constant | ast.Tuple | ast.List):
        assert found and found == [band for band in BANDS if band in found]
        assert found[-1] == BANDS[2] and lines[tree.body[0].end_lineno + 1] == found[0]
    else:
        assert not found


@pytest.mark.parametrize("name", CONFIGS)
def test_draws_repeat_and_differ_by_rank(name):
    cfg = read(name)
    hooks = [*cfg.default_hooks.values(), *cfg.get("custom_hooks", [])]
    kinds = [hook["type"] for hook in hooks if hook]
    assert kinds.count("mmspec.RepeatableDrawsHook") == 1
    assert kinds.count("mmspec.InheritedValuesHook") == 1
    assert cfg.randomness.seed is not None and not cfg.randomness.get("diff_rank_seed")
    # What mmengine can skip to without loading what was seen.
    assert cfg.train_dataloader.get("batch_sampler") is None
    sets = cfg.train_dataloader.dataset
    for dataset in sets.get("datasets", [sets]):
        assert issubclass(DATASETS.get(dataset.type), RepeatableSamplesMixin)


def pipelines(cfg):
    return cfg.train_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline


@pytest.mark.parametrize("name", CONFIGS)
def test_batch_and_schedule_are_those_of_the_name(name):
    cfg = read(name)
    gpus, batch = map(int, re.search(r"_(\d+)xb(\d+)-", name).groups())
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch
    first, last = cfg.param_scheduler[0], cfg.param_scheduler[-1]
    if name.startswith("pretrain/"):
        named = re.search(r"-(\d+)e_", name)
        epochs = int(named[1]) if named else cfg.max_epochs
        assert cfg.train_cfg.max_epochs == last.end == epochs
        assert not first.by_epoch or first.end == last.begin
        return
    assert cfg.train_cfg.max_iters == last.end == 1000 * int(re.search(r"-(\d+)k[_.]", name)[1])
    assert first.get("begin", 0) == 0
    if len(cfg.param_scheduler) == 2 and last.type != "MultiStepLR":
        assert first.end == last.begin
    if not name.startswith("matching/"):
        assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval
    # The paper's data sets have no part to choose by; data of one's own are split in two.
    assert ("save_best" in cfg.default_hooks.checkpoint) == ("/custom_" in name)


@pytest.mark.parametrize(
    "name", [n for n in of_folder("det", "seg", "irstd", "sod") if "/custom_" not in n]
)
def test_sizes_are_those_of_the_name(name):
    cfg = read(name)
    named = re.search(r"-(\d+)x(\d+)\.py", name)
    size = tuple(map(int, named.groups())) if named else (768, 1024)  # M3FD's
    train, test = pipelines(cfg) if "_vt5000-" not in name else (
        cfg.train_dataloader.dataset.pipeline, cfg.val_dataloader.dataset.pipeline
    )  # fmt: skip
    crops = {tuple(step.crop_size) for step in train if "crop_size" in step}
    scales = {tuple(step.scale)[::-1] for step in (*train, *test) if "scale" in step}
    if name.startswith("det/"):
        if named:
            assert scales == {size}
        if is_pair(cfg) or "-infrared-" in name or "-visible-" in name:
            assert cfg.model.data_preprocessor.pad_size_divisor in (32, size[0])
        else:
            assert train[0].color_type == "color"
        assert cfg.test_dataloader.dataset.test_mode
        init_default_scope("mmdet")
        for step in [step for step in train if step.type == "RandomCrop"]:
            # mmdet's takes (width, height); all data sets here have landscape images.
            width, height = step.crop_size
            cropped = TRANSFORMS.build(step)(dict(img=np.zeros((1536, 2048, 3), np.uint8)))["img"]
            assert cropped.shape == (height, width, 3) and height <= width
        return
    assert crops == {size} == {tuple(cfg.model.data_preprocessor.size)}
    if name.startswith("seg/") and not is_pair(cfg):
        assert scales == {size}


@pytest.mark.parametrize("name", [name for name in CONFIGS if "/scratch" in name])
def test_scratch_configs_differ_by_the_weights_alone(name):
    if "synthetic" in name:
        return  # has no pre-trained sibling
    scratch, pretrained = read(name).to_dict(), read(name.replace("scratch", "infmae")).to_dict()
    assert scratch["model"]["backbone"].pop("init_cfg") is None
    assert pretrained["model"]["backbone"].pop("init_cfg")
    assert scratch == pretrained


@pytest.mark.parametrize("name", of_folder("irstd"))
def test_small_targets_are_tested_at_native_size_and_on_other_images(name):
    cfg = read(name)
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    assert cfg.val_dataloader == cfg.test_dataloader
    assert not any("Resize" in s.type or "Crop" in s.type for s in test.pipeline)
    assert not any("Resize" in s.type for s in train.pipeline)
    assert cfg.test_dataloader.batch_size == 1
    assert train.type == test.type
    key = "seed" if train.type == "mmspec.SyntheticInfrared" else "split"
    assert train[key] != test[key]
    assert cfg.test_evaluator.type == "mmspec.SmallTargetMetric"
    assert cfg.default_hooks.visualization.type == "mmspec.SmallTargetPictureHook"


@pytest.mark.parametrize("name", of_folder("irstd"))
def test_a_network_of_small_targets_starts_with_few(name):
    cfg = read(name)
    further = cfg.model.get("auxiliary_head") or []
    heads = [cfg.model.decode_head, *([further] if isinstance(further, dict) else further)]
    init_default_scope("mmseg")
    for head in map(MODELS.build, heads):
        head.init_weights()
        assert torch.sigmoid(head.conv_seg.bias).tolist() == pytest.approx([0.01], rel=0.01)


@pytest.mark.parametrize("name", of_folder("matching"))
def test_matching_is_tested_on_other_pairs_and_reads_the_encoder(name):
    cfg = read(name)
    lists = [loader.dataset.ann_file for loader in (cfg.train_dataloader, cfg.test_dataloader)]
    assert lists == ["train.txt", "test.txt"]
    backbone = cfg.model.backbone
    init_default_scope(cfg.default_scope)
    encoder = MODELS.build({**backbone, "init_cfg": None})
    assert cfg.model.head.in_channels == [encoder.embed_dims] * len(backbone.out_indices)
    assert encoder_of(cfg).init_cfg.type == "mmspec.PretrainedEncoder"


ENCODERS = ("scratch_convvit-base", "mae_vit-base", "mcmae_convvit-base", "infmae_convvit-base")


@pytest.mark.parametrize(
    ("folder", "data", "expected"),
    [
        (
            "seg",
            "240k_msrs-480x640",
            {f"{e}_{h}" for e in (*ENCODERS, "um-mae_swin-tiny") for h in ("fcn", "upernet")}
            | {"upernet_r50", "deeplabv3plus_r50-d8", "dnlnet_r101-d8", "ddrnet_23"},
        ),
        (
            "det",
            "260k_m3fd",
            {f"{e}_{h}" for e in ENCODERS for h in ("mask-rcnn", "cascade-rcnn")}
            | {"detr_r101", "sparse-rcnn_r50", "dino_swin-large"}
            | {"infmae_convvit-base_simple-fpn_mask-rcnn"},  # not the paper's
        ),
        (
            "irstd",
            "irstd1k",
            {f"{e}_unet" for e in (*ENCODERS, "um-mae_swin-tiny")}
            | {"infmae_convvit-base_upernet", "unet-s5_fcn"}
            # not the paper's
            | {"unet16-s5_fcn", "unet16-s5_fcn-deep", "dnanet_fcn", "scratch_convvit-tiny_unet"}
            | {"infmae_convvit-tiny_unet", "mae_vit-tiny_unet"},
        ),
    ],
)  # fmt: skip
def test_every_row_of_tables_1_to_3_has_a_config(folder, data, expected):
    names = [Path(name).name for name in of_folder(folder) if data in name]
    assert {name.split("_1xb")[0] for name in names} == expected
