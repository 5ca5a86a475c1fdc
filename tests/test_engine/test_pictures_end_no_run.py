"""Hooks that draw: what cannot be drawn is warned of, and the run goes on."""

import logging
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.structures import BaseDataElement, InstanceData

from mmspec.engine import (
    CMSSVisualizationHook,
    DetectionPictureHook,
    MatchingPictureHook,
    ReconstructionVisualizationHook,
    SaliencyPictureHook,
    SegmentationOverlayHook,
    SmallTargetPictureHook,
)
from mmspec.engine import cmss as cmss_hook

HOOKS = [
    DetectionPictureHook,
    MatchingPictureHook,
    SaliencyPictureHook,
    SegmentationOverlayHook,
    SmallTargetPictureHook,
]


class Images:
    metainfo: ClassVar = dict(classes=("person", "car"))

    def __len__(self) -> int:
        return 3


@pytest.fixture
def log(caplog):
    logger = MMLogger.get_instance("pictures", logger_name="pictures")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        yield caplog


def run_of(folder, **more):
    loader = SimpleNamespace(dataset=Images())
    loaders = dict(test_dataloader=loader, val_dataloader=loader, iter=7)
    return SimpleNamespace(work_dir=str(folder), **loaders, **more)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_sample_without_what_is_drawn(hook, tmp_path, log):
    hook, run = hook(), run_of(tmp_path)
    sample = BaseDataElement(metainfo=dict(img_path="somewhere/a.png", ori_shape=(30, 40)))
    batch = dict(inputs=[torch.zeros(3, 30, 40, dtype=torch.uint8)])
    hook.before_test_epoch(run)
    hook.after_test_iter(run, 0, batch, [sample])
    hook.before_val_epoch(run)
    hook.after_val_iter(run, 0, batch, [sample])
    assert "no picture of somewhere/a.png: AttributeError" in log.text


def detected() -> BaseDataElement:
    sample = BaseDataElement(metainfo=dict(img_path="somewhere/a.png", ori_shape=(20, 3)))
    found = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 2, 9], [0, 0, torch.nan, 5]]),
        scores=torch.tensor([0.9, 0.9]),
        labels=torch.tensor([5, 0]),
    )
    sample.set_data(dict(pred_instances=found))
    return sample


def test_a_full_disk(tmp_path, log):
    """A file stands where the folder should be; the odd picture itself can be drawn."""
    hook, run = DetectionPictureHook(), run_of(tmp_path)
    batch = dict(inputs=[torch.zeros(3, 20, 3, dtype=torch.uint8)])
    hook.after_test_iter(run, 0, batch, [detected()])
    assert not log.text and [p.name for p in tmp_path.rglob("*.png")] == ["0000_a.png"]
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "detections").write_text("")
    DetectionPictureHook().after_test_iter(run_of(blocked), 0, batch, [detected()])
    assert "no picture of somewhere/a.png: " in log.text


@pytest.mark.parametrize(
    "hook", [DetectionPictureHook, SaliencyPictureHook, SmallTargetPictureHook]
)
def test_curves_that_cannot_be_drawn(hook, tmp_path, log):
    hook().after_test_epoch(run_of(tmp_path, test_evaluator=None))
    assert "no picture of the curves of the test: AttributeError" in log.text


def test_reconstructions_and_masking_of_a_training(tmp_path, log, monkeypatch):
    run = run_of(tmp_path, epoch=0, max_epochs=1, seed=0, model=torch.nn.Identity())
    hook = ReconstructionVisualizationHook(interval=1)
    hook.after_train_epoch(run)  # a model that reconstructs nothing
    assert "no picture of reconstructions: AttributeError" in log.text

    run.model.data_preprocessor = lambda batch, training: dict(inputs=None)
    monkeypatch.setattr(cmss_hook, "cmss_pictures", lambda *_: ["odd"])
    hook = CMSSVisualizationHook(interval=1)
    hook.batch, hook.masking, hook.masks = {}, None, []
    hook.after_train_epoch(run)
    assert "no picture of the masking: AttributeError" in log.text


def test_what_can_be_drawn_raises_nothing(tmp_path, log):
    hook, run = SegmentationOverlayHook(), run_of(tmp_path)
    sample = BaseDataElement(metainfo=dict(img_path="somewhere/a.png", ori_shape=(20, 3)))
    labels = torch.from_numpy(np.full((1, 20, 3), 9))
    sample.set_data(dict(pred_sem_seg=SimpleNamespace(data=labels)))
    hook.after_val_iter(run, 0, dict(inputs=[torch.zeros(3, 20, 3, dtype=torch.uint8)]), [sample])
    assert not log.text and len(list(tmp_path.rglob("*.png"))) == 1
