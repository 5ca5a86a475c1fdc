import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmpretrain.structures import DataSample

from mmspec.engine import StopOnInvalidLossHook, ThroughputHook
from mmspec.engine.deferred_log import DeferredHistory, update_deferred


def runner(**scalars) -> SimpleNamespace:
    hub = MessageHub.get_instance(f"test-{torch.rand(1).item()}")
    for name, value in scalars.items():
        hub.update_scalar(f"train/{name}", value)
    return SimpleNamespace(
        message_hub=hub,
        epoch=2,
        iter=70,
        work_dir="work_dirs/x",
        train_dataloader=SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=8)),
        optim_wrapper=SimpleNamespace(get_lr=lambda: {"lr": [0.5]}),
        logger=logging.getLogger("test"),
    )


def test_throughput_counts_the_images_of_a_step():
    run = runner(time=0.5)
    last = dict(inputs=torch.zeros(3, 1, 2, 2))  # of an epoch; the mean time is that of others
    ThroughputHook().after_train_iter(run, 0, last)
    assert run.message_hub.get_scalar("train/images_per_s").current() == 16


def test_throughput_counts_the_iterations_that_waited():
    run = runner()
    for seconds in (0.1, 0.1, 1.0):
        run.message_hub.update_scalar("train/time", seconds)
        ThroughputHook().after_train_iter(run, 0, {})
    rate = run.message_hub.get_scalar("train/images_per_s").current()
    assert rate == pytest.approx(24 / 1.2)


def test_a_finite_loss_goes_on():
    StopOnInvalidLossHook().after_train_iter(runner(loss=1.0), 0, {})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_invalid_loss_stops_and_names_the_images(value):
    data_samples = [DataSample(metainfo=dict(img_path=f"a/{i}.png")) for i in range(6)]
    with pytest.raises(FloatingPointError) as error:
        StopOnInvalidLossHook().after_train_iter(
            runner(loss=value), 3, dict(data_samples=data_samples)
        )
    for part in (f"loss is {value}", "epoch 3, iteration 71", "rate 0.5", "a/0.png", "2 more",
                 "work_dirs/x"):  # fmt: skip
        assert part in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_invalid_loss_is_left_to_a_gradient_scaler_unless_they_follow_each_other(value, caplog):
    run, hook = runner(), StopOnInvalidLossHook(in_a_row=3)
    run.optim_wrapper.loss_scaler = SimpleNamespace(is_enabled=lambda: True)

    def step(loss):
        run.message_hub.update_scalar("train/loss", loss)
        hook.after_train_iter(run, 0, {})

    for loss in (value, value, 1.0, value, value, 0.5, value, value):
        step(loss)
    assert caplog.text.count(f"loss is {value} in epoch 3, iteration 71: its step is left out") == 6
    with pytest.raises(FloatingPointError, match=r"iteration 71 \(3 times in a row\), at learning"):
        step(value)


def test_a_scaler_that_is_off_leaves_nothing_out():
    run = runner(loss=float("nan"))
    run.optim_wrapper.loss_scaler = SimpleNamespace(is_enabled=lambda: False)
    with pytest.raises(FloatingPointError):
        StopOnInvalidLossHook().after_train_iter(run, 0, {})


def test_on_a_gpu_losses_are_looked_at_together_and_the_first_bad_one_is_named(monkeypatch):
    monkeypatch.setattr(DeferredHistory, "is_at_hand", False)
    run, hook = runner(), StopOnInvalidLossHook(interval=4)
    samples = [DataSample(metainfo=dict(img_path=f"{i}.png")) for i in range(4)]
    for i, loss in enumerate((1.0, float("nan"), 2.0)):
        run.iter = i
        update_deferred(run.message_hub, "train/loss", torch.tensor(loss))
        hook.after_train_iter(run, i, dict(data_samples=samples[i : i + 1]))
    run.iter = 3
    update_deferred(run.message_hub, "train/loss", torch.tensor(3.0))
    with pytest.raises(FloatingPointError, match=r"nan in epoch 3, iteration 2, .*Images: 1\.png"):
        hook.after_train_iter(run, 3, dict(data_samples=samples[3:]))


def test_no_spoilt_weights_are_saved_before_they_are_looked_at(monkeypatch):
    monkeypatch.setattr(DeferredHistory, "is_at_hand", False)
    run, hook = runner(), StopOnInvalidLossHook()
    for loss in (1.0, float("inf")):
        update_deferred(run.message_hub, "train/loss", torch.tensor(loss))
        hook.after_train_iter(run, 0, {})
    with pytest.raises(FloatingPointError):
        hook.before_save_checkpoint(run, {})
