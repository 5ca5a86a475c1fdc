"""The probe of a training: what it says, where, and that the training does not notice."""

from types import SimpleNamespace

import pytest
import torch
from layouts import write_any
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.runner import IterBasedTrainLoop
from torch import nn

from mmspec.engine import ProbeHook
from mmspec.models.backbones import ConvViT
from mmspec.probing import FrozenEncoder, ProbeError

ARGS = dict(dataset="EyeDataset", size=32, num_images=3)


@pytest.fixture
def eyes(tmp_path):
    write_any(tmp_path / "eyes", "EyeDataset", ("train", "test"), count=5)
    return str(tmp_path / "eyes")


def runner(tmp_path, scalars: list, lines: list) -> SimpleNamespace:
    backbone = ConvViT("tiny", pretraining=True, drop_path_rate=0.5)
    return SimpleNamespace(
        model=nn.ModuleDict({"backbone": backbone}),
        epoch=0,
        iter=0,
        max_epochs=3,
        work_dir=str(tmp_path),
        visualizer=SimpleNamespace(add_scalars=lambda found, step: scalars.append((step, found))),
        logger=SimpleNamespace(info=lines.append),
        message_hub=SimpleNamespace(log_scalars={}),
        train_dataloader=range(2),
        train_loop=None,
        _resume=True,
    )


@pytest.mark.parametrize("judge", ["neighbours", "linear"])
def test_every_second_epoch_and_the_last(eyes, tmp_path, judge):
    scalars, lines = [], []
    run = runner(tmp_path, scalars, lines)
    run.model.backbone = run.model["backbone"]
    hook = ProbeHook(data_root=eyes, interval=2, judge=judge, **ARGS)
    hook.is_last_train_epoch = lambda runner: runner.epoch + 1 == 3
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    hook.before_train(run)
    assert "loss" not in hook.history
    losses = run.message_hub.log_scalars["train/loss"] = HistoryBuffer()
    for run.epoch in range(3):
        losses.update(9 - run.epoch)
        losses.update(8 - run.epoch)
        hook.after_train_epoch(run)
    assert hook.history["loss"] == [(2, 7.5), (3, 6.5)]  # the mean of the epoch that ends
    assert torch.equal(torch.rand(3), expected), "the probe drew from the training's numbers"
    assert [step for step, _ in scalars] == [0, 2, 3]
    names = ["probe/F1", "probe/F2", "probe/F3", "probe/all"]
    assert all(list(found) == names for _, found in scalars)
    assert scalars[0][1] == scalars[1][1]  # the same weights
    assert "probe after 3 epochs" in lines[-1] and "% of the training's time" in lines[-1]
    assert (tmp_path / "probe.png").stat().st_size > 5000
    assert run.model.backbone.training and all(
        weight.requires_grad for weight in run.model.backbone.parameters()
    )
    saved = {}
    hook.before_save_checkpoint(run, saved)
    again = ProbeHook(data_root=eyes, **ARGS)
    again.after_load_checkpoint(run, saved)
    assert again.history == hook.history and len(hook.history["F3"]) == 3


def test_a_run_resumed_inside_its_first_epoch_has_had_its_first_probe(eyes, tmp_path):
    run = runner(tmp_path, scalars := [], [])
    run.iter = 1
    ProbeHook(data_root=eyes, **ARGS).before_train(run)
    assert scalars == []


def test_what_is_wrong_is_said_at_the_start_and_later_costs_no_training(eyes, tmp_path, caplog):
    run = runner(tmp_path, [], [])
    run.model.backbone = run.model["backbone"]
    hook = ProbeHook(data_root=eyes, **ARGS)
    run.model.backbone.forward = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError):
        hook.before_train(run)
    assert run.model.backbone.training
    logger = MMLogger.get_instance("probe", logger_name="probe")
    logger.addHandler(caplog.handler)
    hook.after_train_epoch(run)
    assert "the probe: ZeroDivisionError" in caplog.text


def test_the_encoder_of_a_training_is_left_as_it_is():
    backbone = ConvViT("tiny", pretraining=True)
    encoder = FrozenEncoder(backbone)
    assert encoder.names == ("F1", "F2", "F3") and not list(encoder.parameters())
    image = torch.zeros(1, 1, 32, 32)
    maps = encoder(image)
    assert not maps["F3"].requires_grad and next(backbone.parameters()).requires_grad
    assert backbone.training
    torch.testing.assert_close(maps["F3"], FrozenEncoder(backbone.eval())(image)["F3"])


def test_a_backbone_is_known_by_its_weights_as_they_are():
    backbone = ConvViT("tiny", pretraining=True)
    encoder = FrozenEncoder(backbone)
    first = encoder.key
    assert first == encoder.key == FrozenEncoder(backbone).key
    assert first != FrozenEncoder(backbone, maps=["F1"]).key
    torch.nn.init.zeros_(next(backbone.parameters()))
    assert encoder.key not in (first, FrozenEncoder(ConvViT("tiny", pretraining=True)).key)


def test_an_encoder_of_one_channel():
    backbone = ConvViT("tiny", in_channels=1, pretraining=True)
    levels = torch.full((1, 1, 32, 32), 108.375)  # the mean: zero for the network
    expected = backbone(torch.zeros(1, 1, 32, 32))
    torch.testing.assert_close(list(FrozenEncoder(backbone)(levels).values()), list(expected))


def test_a_judge_that_is_none_is_told_before_anything_is_read():
    with pytest.raises(ProbeError, match="judge 'forest': neighbours, linear"):
        ProbeHook("EyeDataset", "nowhere", judge="forest")


def test_a_run_by_iterations_is_told_that_it_has_no_epochs(eyes, tmp_path):
    lines = []
    run = runner(tmp_path, [], lines)
    run.model.backbone = run.model["backbone"]
    run.logger.warning = lines.append
    run.train_loop = object.__new__(IterBasedTrainLoop)
    ProbeHook(data_root=eyes, interval=5, **ARGS).before_train(run)
    assert "ProbeHook: interval=5 counts epochs, and this run counts iterations" in lines[0]
