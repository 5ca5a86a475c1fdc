"""Heads against the classes of the data, before the first iteration."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.config import Config
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmseg.registry import MODELS as MMSEG_MODELS
from torch import nn

from mmspec.engine import HeadClassesHook
from mmspec.engine.head_classes import class_heads
from mmspec.engine.launch import LaunchError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
VEHICLES = ("person", "bicycle", "car")


def data(*classes: str | None) -> BaseDataset:
    metainfo = {} if classes == (None,) else dict(classes=classes)
    return BaseDataset(metainfo=metainfo, serialize_data=False, lazy_init=True)


def runner(model: nn.Module, **sets) -> SimpleNamespace:
    loaders = {f"{name}_dataloader": SimpleNamespace(dataset=d) for name, d in sets.items()}
    val_loop = sets.get("val")
    return SimpleNamespace(
        model=model,
        logger=logging.getLogger("classes"),
        val_loop=val_loop,
        _train_loop=None,
        _resume=False,
        _load_from="theirs.pth",
        **loaders,
    )


def start(model: nn.Module, dataset, role: str = "train", **more) -> None:
    getattr(HeadClassesHook(), f"before_{role}")(runner(model, **{role: dataset}, **more))


def det(num_classes: int, **cfg) -> nn.Module:
    return MMDET_MODELS.build(dict(num_classes=num_classes, in_channels=8, **cfg))


ANCHORS = dict(type="AnchorGenerator", scales=[8], ratios=[1.0], strides=[8])
BOXES = dict(type="Shared2FCBBoxHead", fc_out_channels=8, roi_feat_size=2)
MASKS = dict(type="FCNMaskHead", num_convs=1, conv_out_channels=8)
FOCAL = dict(type="mmdet.FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25)
DETR = dict(type="DeformableDETRHead", as_two_stage=True, embed_dims=8, loss_cls=FOCAL)
HEADS = {
    "boxes": lambda n: det(n, **BOXES),
    "boxes of a cascade": lambda n: nn.ModuleList([det(3, **BOXES), det(n, **BOXES)]),
    "masks": lambda n: det(n, **MASKS),
    "anchors": lambda n: det(n, type="RetinaHead", feat_channels=8, anchor_generator=ANCHORS),
    "points": lambda n: det(n, type="FCOSHead", feat_channels=8, strides=[8], norm_cfg=None),
    "DETR": lambda n: MMDET_MODELS.build(dict(DETR, num_classes=n)),
    "queries": lambda n: MMDET_MODELS.build(
        dict(
            type="DIIHead",
            num_classes=n,
            num_heads=2,
            in_channels=8,
            feedforward_channels=8,
            dynamic_conv_cfg=dict(
                type="DynamicConv", in_channels=8, feat_channels=4, out_channels=8
            ),
        )
    ),
    "segmentation": lambda n: seg(n),
    "an auxiliary head": lambda n: nn.ModuleDict({"decode": seg(3), "auxiliary_head": seg(n)}),
    "UperNet": lambda n: seg(n, "UPerHead", in_channels=[8, 8], in_index=[0, 1]),
}


def seg(num_classes: int, kind: str = "FCNHead", **cfg) -> nn.Module:
    settings = dict(in_channels=8, channels=8, num_classes=num_classes) | cfg
    return MMSEG_MODELS.build(dict(type=kind, **settings))


@pytest.mark.parametrize("role", ["train", "val", "test"])
@pytest.mark.parametrize("kind", HEADS)
def test_heads_of_every_kind_are_compared(kind, role):
    start(nn.ModuleDict({"head": HEADS[kind](3)}), data(*VEHICLES), role)
    for wrong in (2, 4):
        message = rf"model\.head.*num_classes={wrong} .* 3 classes, \(person, bicycle, car\)"
        with pytest.raises(LaunchError, match=message):
            start(nn.ModuleDict({"head": HEADS[kind](wrong)}), data(*VEHICLES), role)


def test_what_is_not_of_the_data_set_is_not_compared():
    model = nn.ModuleDict(
        {
            "rpn_head": det(1, type="RPNHead", feat_channels=8, anchor_generator=ANCHORS),
            # A proposal network alone has its head under the name of detectors of one stage.
            "of_proposals": det(1, type="GARPNHead", feat_channels=8),
            "mask_head": det(80, **MASKS, class_agnostic=True),
            "semantic_head": seg(50),
            "backbone": nn.ModuleDict({"head": seg(1000)}),
            "bbox_head": det(3, **BOXES, reg_class_agnostic=True),
        }
    )
    assert [name for name, _ in class_heads(model)] == ["bbox_head"]
    start(model, data(*VEHICLES))
    start(nn.Linear(1, 1), data(None))


@pytest.mark.parametrize("kind", ["FCNHead", "mmspec.SmallTargetHead"])
def test_one_channel_tells_two_classes(kind):
    in_channels = [8, 8] if kind != "FCNHead" else 8
    bce = dict(type="CrossEntropyLoss", use_sigmoid=True)
    head = seg(2, kind, in_channels=in_channels, out_channels=1, threshold=0.5, loss_decode=bce)
    model = nn.ModuleDict({"decode_head": head})
    start(model, data("background", "target"))
    with pytest.raises(LaunchError, match="has 3 classes"):
        start(model, data("background", "iris", "pupil"))
    with pytest.raises(LaunchError, match=r"has 1 classes, \(target\)"):
        start(model, data("target"))


def test_every_set_inside_a_wrapper_is_compared():
    model = nn.ModuleDict({"head": det(3, **BOXES)})
    parts = [data(*VEHICLES), data(*VEHICLES[:2])]
    both = ConcatDataset(parts, lazy_init=True, ignore_keys=["classes"])
    with pytest.raises(LaunchError, match="has 2 classes"):
        start(model, both)
    start(model, RepeatDataset(data(*VEHICLES), 2, lazy_init=True))


def test_validation_is_checked_before_training():
    model = nn.ModuleDict({"head": det(3, **BOXES)})
    with pytest.raises(LaunchError, match="the validation set BaseDataset has 2 classes"):
        start(model, data(*VEHICLES), val=data("person", "car"))
    with pytest.raises(LaunchError, match="'car' is class 2 of the one and 0 of the other"):
        start(model, data(*VEHICLES), val=data("car", "bicycle", "person"))


def test_one_name_without_a_comma():
    with pytest.raises(LaunchError, match=r"write \('person',\)"):
        start(
            nn.ModuleDict({"head": det(6, **BOXES)}),
            SimpleNamespace(metainfo=dict(classes="person")),
        )


def test_unknown_classes_are_said(caplog):
    start(nn.ModuleDict({"head": det(3, **BOXES)}), data(None))
    assert "does not tell its classes" in caplog.text


def test_a_test_in_another_scale_than_the_training_is_said_once(caplog):
    parts = [data(None), data(None)]
    for part in parts:
        part._metainfo["infrared_scale"] = dict(range=(20, 40))
    model = nn.Linear(1, 1)
    run = runner(model, test=ConcatDataset(parts, lazy_init=True))
    for meta in ({}, dict(infrared_scale=dict(range=(20, 40))), dict(infrared_scale={})):
        assert not caplog.text
        hook = HeadClassesHook()
        meta = dict(dataset_meta=meta)
        hook.after_load_checkpoint(run, dict(meta=meta, state_dict=model.state_dict()))
        hook.before_test(run)
    assert caplog.text.count("infrared_scale={'range': (20, 40)} of the test set is taken") == 1
    assert "theirs.pth was trained with {}" in caplog.text


@pytest.mark.parametrize("role", ["val", "test"])
def test_a_checkpoint_of_other_classes(role, caplog):
    model = nn.ModuleDict({"head": det(3, **BOXES)})

    def tested(*learned: str, resume: bool = False, role: str = role) -> None:
        hook = HeadClassesHook()
        run = runner(model, **{role: data(*VEHICLES)})
        run._resume = resume
        meta = dict(dataset_meta=dict(classes=learned)) if learned else {}
        hook.after_load_checkpoint(run, dict(meta=meta, state_dict=model.state_dict()))
        getattr(hook, f"before_{role}")(run)

    tested()
    tested(*VEHICLES)
    assert not caplog.text
    with pytest.raises(LaunchError, match=r"checkpoint has the classes \(bicycle, person, car\)"):
        tested("bicycle", "person", "car")
    with pytest.raises(LaunchError, match="'car' is class 1 of the one and 2 of the other"):
        tested("lamp", "car", "bus")
    tested("People", "Bicycle", "Car")
    assert "other names" in caplog.text
    # A training may start from any, and goes on from its own.
    tested("car", "bicycle", "person", role="train")
    with pytest.raises(LaunchError, match="'person' is class 2 of the one and 0"):
        tested("car", "bicycle", "person", role="train", resume=True)


@pytest.mark.parametrize("change", ["absent", "shorter"])
def test_a_test_and_a_resumed_run_take_a_whole_checkpoint(change):
    model = nn.ModuleDict({"backbone": nn.Linear(64, 64), "head": det(3, **BOXES)})
    state = model.state_dict()
    bias = state.pop("head.fc_cls.bias")
    if change == "shorter":
        state["head.fc_cls.bias"] = bias[:3]
    run = runner(model)
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    for run._train_loop, run._resume in ((None, False), (dict(max_epochs=1), False), (loop, True)):
        with pytest.raises(LaunchError, match="theirs.pth is of another .* as head.fc_cls.bias"):
            HeadClassesHook().after_load_checkpoint(run, state)
    # A training may start from it.
    run._train_loop, run._resume = loop, False
    HeadClassesHook().after_load_checkpoint(run, state)


class Segmentor(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.decode_head = seg(2)

    def forward(self, *args, **kwargs):
        raise AssertionError("an iteration began")


class Nothing(BaseMetric):
    def process(self, data_batch, data_samples) -> None: ...

    def compute_metrics(self, results) -> dict:
        return {}


@pytest.mark.parametrize("role", ["train", "val", "test"])
def test_a_run_ends_before_its_first_iteration(role, tmp_path):
    loader = dict(batch_size=1, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False))
    samples = [dict(image=0)] * 2
    dataset = data(*VEHICLES)
    dataset.load_data_list = lambda: samples
    loops = {f"{role}_cfg": dict(by_epoch=True, max_epochs=1) if role == "train" else {}}
    if role != "train":
        loops[f"{role}_evaluator"] = Evaluator(Nothing())
    else:
        loops["optim_wrapper"] = dict(optimizer=dict(type="SGD", lr=0.1))
    run = Runner(
        Segmentor(),
        str(tmp_path),
        **{f"{role}_dataloader": dict(loader, dataset=dataset)},
        **loops,
        default_hooks=Config.fromfile(CONFIGS / "_base_" / "runtime.py").default_hooks,
        experiment_name=f"classes_{role}",
        default_scope="mmseg",
    )
    with pytest.raises(LaunchError, match="model.decode_head.num_classes=2"):
        getattr(run, role)()


@pytest.mark.parametrize("task", ["det", "seg", "irstd", "sod"])
def test_configs_have_the_hook(task):
    for path in sorted((CONFIGS / task).glob("*tiny*.py")):
        hooks = Config.fromfile(path).default_hooks
        assert hooks.head_classes.type == "mmspec.HeadClassesHook", path.name
