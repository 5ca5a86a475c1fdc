"""What holds for every config, whoever adds the next."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import mmspec  # noqa: F401  (stands in for mmcv's operators before mmdet asks for them)
from mmspec.datasets.repeatable import RepeatableSamplesMixin
from mmspec.engine.inheritance import check_file
from mmspec.registry import DATASETS

ROOT = Path(__file__).resolve().parent.parent / "configs"
CONFIGS = sorted(
    str(path.relative_to(ROOT)) for path in ROOT.glob("*/*.py") if path.parent.name != "_base_"
)
DETECTION = [name for name in CONFIGS if name.startswith("det/")]


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

    cfg = Config.fromfile(ROOT / name)
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


def steps(cfg: Config) -> list:
    """Every step of the training pipelines, those inside other steps too."""
    return [step for step in walk(list(find(cfg.train_dataloader, "pipeline"))) if "type" in step]


def walk(node) -> Iterator[dict]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from walk(child)


@pytest.mark.parametrize("name", CONFIGS)
def test_crops_leave_no_slivers_among_the_labels(name):
    cfg = Config.fromfile(ROOT / name)
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
    cfg = Config.fromfile(ROOT / name)
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
    cfg = Config.fromfile(ROOT / name)
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
