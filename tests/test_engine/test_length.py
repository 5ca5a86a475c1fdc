"""A training of another length: its schedule, and that of every config."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS
from toy_run import toy_run

from mmspec.engine.launch import LaunchError, read_config
from mmspec.engine.schedule import drop_short_phases, misfits, set_length

REPO = Path(__file__).resolve().parents[2]
CONFIGS = sorted((REPO / "configs").glob("[!_]*/*.py"))


def by_epochs(warmup: int, epochs: int) -> dict:
    convert = dict(by_epoch=True, convert_to_iter_based=True)
    return dict(
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=5),
        param_scheduler=[
            dict(type="LinearLR", start_factor=1e-4, begin=0, end=warmup, **convert),
            dict(type="CosineAnnealingLR", begin=warmup, end=epochs, **convert),
        ],
        default_hooks=dict(checkpoint=dict(interval=5)),
    )


def test_epochs_scale_warm_up_and_decay():
    cfg = Config(by_epochs(2, 20))
    set_length(cfg, epochs=5)
    assert cfg.to_dict() == by_epochs(0.5, 5)
    set_length(cfg, epochs=40)
    assert cfg.to_dict() == by_epochs(4, 40)
    set_length(cfg, epochs=3)
    assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == 3


def test_iterations_scale_all_that_counts_them():
    schedule = [
        dict(type="LinearLR", begin=0, end=500, by_epoch=False),
        dict(type="MultiStepLR", milestones=[8000, 9000], begin=500, end=10000, by_epoch=False),
        dict(type="CosineRestartLR", periods=[4000, 6000], by_epoch=False),
        dict(type="StepLR", step_size=1000, by_epoch=False),
        dict(type="CosineAnnealingMomentum", T_max=9500, begin=500, by_epoch=False),
    ]
    cfg = Config(dict(train_cfg=dict(max_iters=10000, val_interval=1000), param_scheduler=schedule))
    set_length(cfg, iters=1000)
    assert cfg.train_cfg == dict(max_iters=1000, val_interval=1000)
    warm_up, steps, restarts, step, momentum = cfg.param_scheduler
    assert (warm_up.begin, warm_up.end) == (0, 50)
    assert (steps.milestones, steps.begin, steps.end) == ([800, 900], 50, 1000)
    assert (restarts.periods, step.step_size) == ([400, 600], 100)
    assert (momentum.T_max, momentum.begin) == (950, 50)
    set_length(cfg, iters=1)
    assert cfg.param_scheduler[1].milestones == [1, 1]


def test_decays_and_restarts_stay_within_a_shorter_training():
    """mmdet's 1x halved: both decays are felt; a cosine with T_max does not rise again."""
    schedule = [
        dict(type="MultiStepLR", milestones=[8, 11], begin=0, end=12, by_epoch=True),
        dict(type="CosineAnnealingLR", begin=1, T_max=9, end=10, convert_to_iter_based=True),
    ]
    cfg = Config(dict(train_cfg=dict(max_epochs=12), param_scheduler=schedule))
    set_length(cfg, epochs=6)
    assert cfg.param_scheduler[0].milestones == [4, 5]
    assert cfg.param_scheduler[1] == {**schedule[1], "begin": 0.5, "T_max": 4.5, "end": 5}


@pytest.mark.parametrize("epochs", [5, 25, 7])
def test_a_cosine_ends_with_the_training_however_it_is_rounded(epochs):
    schedule = [
        dict(type="LinearLR", begin=0, end=40, by_epoch=True),
        dict(type="CosineAnnealingLR", begin=40, T_max=360, end=400, by_epoch=True),
    ]
    cfg = Config(dict(train_cfg=dict(max_epochs=400), param_scheduler=schedule))
    set_length(cfg, epochs=epochs)
    _, cosine = cfg.param_scheduler
    assert cosine.begin + cosine.T_max == cosine.end == epochs


def test_restarts_cover_a_shorter_training(tmp_path):
    """7 * 13 / 40 rounded is 2, three of which end before iteration 7, where mmengine fails."""
    cfg = Config(dict(train_cfg=dict(max_iters=40)))
    restarts = dict(periods=[13, 13, 14], restart_weights=[1, 1, 1], eta_min=0, end=40)
    cfg.param_scheduler = [dict(type="CosineRestartLR", by_epoch=False, **restarts)]
    set_length(cfg, iters=7)
    toy_run(tmp_path, schedule=list(cfg.param_scheduler), iters=7).train()


def test_checkpoints_counted_in_the_other_unit_keep_their_interval():
    cfg = Config(by_epochs(2, 20))
    cfg.default_hooks.checkpoint = dict(interval=500, by_epoch=False)
    set_length(cfg, epochs=3)
    assert cfg.default_hooks.checkpoint.interval == 500


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (dict(iters=5), r"--iters 5: .* trains for max_epochs=20; give --epochs"),
        (dict(epochs=-1), r"--epochs -1: train for at least 1"),
    ],
)
def test_a_length_that_cannot_be(length, message):
    with pytest.raises(LaunchError, match=message):
        set_length(Config(by_epochs(2, 20)), **length)


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_a_shorter_run_reaches_the_full_rate_and_ends_low(epochs, tmp_path):
    """4 iterations an epoch: of 20 epochs with a warm-up of 2, one epoch has less than a step."""
    cfg = Config(by_epochs(2, 20))
    set_length(cfg, epochs=epochs)
    runner = toy_run(tmp_path, schedule=list(cfg.param_scheduler), epochs=epochs)
    drop_short_phases(runner)
    rates = []
    step = runner.model.train_step

    def record(data, optim_wrapper):
        rates.append(optim_wrapper.get_lr()["base_lr"][0])
        return step(data, optim_wrapper=optim_wrapper)

    runner.model.train_step = record
    runner.train()
    assert len(rates) == 4 * epochs
    assert max(rates) == pytest.approx(0.1)
    assert rates[-1] <= 0.25 * max(rates)
    assert list(misfits(runner.param_schedulers, runner)) == []


class Length:
    """What is asked of a runner: the units of its loop, with ten iterations an epoch."""

    def __init__(self, cfg: Config) -> None:
        from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

        epochs = cfg.train_cfg.get("max_epochs")
        loop = IterBasedTrainLoop if epochs is None else EpochBasedTrainLoop
        self.train_loop = loop.__new__(loop)
        self.max_epochs = epochs or 1
        self.max_iters = cfg.train_cfg.get("max_iters") or 10 * epochs


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_ends_where_its_schedule_does_and_keeps_its_checkpoints(path):
    cfg = read_config(str(path))
    optimizer = OptimWrapper(torch.optim.AdamW(torch.nn.Linear(1, 1).parameters()))
    schedulers = [
        PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer, epoch_length=10))
        for scheduler in cfg.param_scheduler
    ]
    assert list(misfits(schedulers, Length(cfg))) == []
    hooks = cfg.default_hooks
    assert hooks.checkpoint.type == "mmspec.DurableCheckpointHook"
    assert hooks.checkpoint.max_keep_ckpts >= 2
    assert hooks.resume.type == "mmspec.ResumeHook" and hooks.schedule.type == "mmspec.ScheduleHook"
