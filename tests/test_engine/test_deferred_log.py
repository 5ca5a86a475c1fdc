import math

import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from toy_run import toy_run

from mmspec.engine.deferred_log import DeferredHistory, update_deferred


@pytest.fixture
def hub() -> MessageHub:
    return MessageHub.get_instance(f"test-{torch.rand(1).item()}")


def test_values_are_those_of_mmengine(hub):
    values = torch.rand(7)
    for value in values:
        update_deferred(hub, "train/loss", value)
        hub.update_scalar("train/plain", value)
    ours, plain = hub.get_scalar("train/loss"), hub.get_scalar("train/plain")
    assert isinstance(ours, DeferredHistory)
    assert ours.current() == plain.current()
    for name in ("mean", "min", "max"):
        assert getattr(ours, name)(3) == getattr(plain, name)(3)
    assert [list(part) for part in ours.data] == [list(part) for part in plain.data]


def test_values_wait_until_somebody_reads(hub, monkeypatch):
    update_deferred(hub, "train/loss", torch.tensor(1.0))  # the first one is read
    with monkeypatch.context() as patched:
        patched.setattr(torch.Tensor, "item", lambda _: pytest.fail("a wait"))
        patched.setattr(torch.Tensor, "tolist", lambda _: pytest.fail("a wait"))
        for value in (2.0, 3.0):
            update_deferred(hub, "train/loss", torch.tensor(value, requires_grad=True))
    assert hub.get_scalar("train/loss").mean() == 2.0


def test_a_checkpoint_holds_a_buffer_of_mmengine(hub):
    for value in (1.0, 2.0):
        update_deferred(hub, "train/loss", torch.tensor(value))
    copied = hub.state_dict()["log_scalars"]["train/loss"]
    assert type(copied) is HistoryBuffer
    assert list(copied.data[0]) == [1.0, 2.0]
    hub.log_scalars["train/loss"] = copied  # as after a resume
    update_deferred(hub, "train/loss", torch.tensor(3.0))
    assert hub.get_scalar("train/loss").max() == 3.0


def test_values_of_other_shapes_and_types_are_one_log(hub):
    for value in (torch.tensor(1.0), torch.tensor([2.0]), torch.tensor(3), torch.tensor([[4.0]])):
        update_deferred(hub, "train/loss", value)
    assert list(hub.get_scalar("train/loss").data[0]) == [1.0, 2.0, 3.0, 4.0]


def test_values_that_nobody_reads_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("mmspec.engine.deferred_log.MOST_WAITING", 3)
    history = DeferredHistory([], [], max_length=4)
    for value in range(6):
        history.update(torch.tensor(float(value)))
    assert history._waiting == []
    assert list(history.data[0]) == [2.0, 3.0, 4.0, 5.0]
    assert list(history.data[1]) == [1, 1, 1, 1]


def test_a_run_logs_what_it_logs_with_mmengine(tmp_path):
    logged = []
    for name, kind in (("ours", "mmspec.DeferredLogHook"), ("mmengine's", "RuntimeInfoHook")):
        runner = toy_run(
            tmp_path / name,
            schedule=[],
            iters=6,
            wrapper=dict(clip_grad=dict(max_norm=0.5)),
            hooks=dict(runtime_info=dict(type=kind)),
        )
        runner.train()
        scalars = runner.message_hub.log_scalars
        logged.append({key: list(scalars[f"train/{key}"].data[0]) for key in ("loss", "grad_norm")})
    assert logged[0] == logged[1]
    assert len(logged[0]["grad_norm"]) == 6
    assert all(map(math.isfinite, logged[0]["loss"]))
