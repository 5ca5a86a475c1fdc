"""Schedules of learning rate and momentum, over the length of a run and over resumed ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

from mmengine.hooks import Hook
from mmengine.optim import (
    BaseOptimWrapper,
    ConstantParamScheduler,
    CosineAnnealingParamScheduler,
    LinearParamScheduler,
    MultiStepParamScheduler,
    OptimWrapperDict,
    StepParamScheduler,
    _ParamScheduler,
)
from mmengine.optim.scheduler.param_scheduler import INF
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmspec.registry import HOOKS

from .launch import LaunchError

# What a scheduler counts; the rest of its state is its settings.
_COUNTERS = {
    *("last_step", "_global_step", "_last_value", "verbose"),
    *("best", "num_bad_epochs", "cooldown_counter"),
}


@HOOKS.register_module()
class ScheduleHook(Hook):
    """Let a resumed run follow the config's schedule, and warn of one that does not fit.

    It warns, too, of a learning rate that is for more or fewer images a step than the run takes.

    mmengine restores schedulers with the settings of the run that saved them: with a longer
    schedule the rate then stays where the old one ended. Here the rate of a resumed run is that of
    a run that had the config from its start.

    Raises:
        LaunchError: a schedule that depends on metrics and is not that of the checkpoint.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers
        if not runner._resume or not schedulers or "optimizer" not in checkpoint:
            return
        saved, state = checkpoint.get("param_schedulers", []), checkpoint["optimizer"]
        if isinstance(wrapper, OptimWrapperDict):
            checkpoint["param_schedulers"] = {
                name: self._continue(
                    schedulers[name],
                    dict(saved).get(name, []),
                    wrapper[name],
                    state[name],
                    runner,
                    checkpoint["meta"],
                )
                for name in schedulers
            }
        elif isinstance(wrapper, BaseOptimWrapper):
            checkpoint["param_schedulers"] = self._continue(
                schedulers, saved, wrapper, state, runner, checkpoint["meta"]
            )

    def _continue(
        self,
        schedulers: Sequence[_ParamScheduler],
        saved: list[dict],
        wrapper: BaseOptimWrapper,
        optimizer: dict,
        runner: Runner,
        meta: dict,
    ) -> list[dict]:
        """States of the schedulers to resume with; sets the values in the optimizer's state too."""
        states = [scheduler.state_dict() for scheduler in schedulers]
        if [_settings(state) for state in states] == [_settings(state) for state in saved]:
            return saved
        ends = f"{_ends(saved)} in the checkpoint, {_ends(states)} in the config"
        if any(getattr(scheduler, "need_val_args", False) for scheduler in schedulers):
            raise LaunchError(
                f"the schedule of the checkpoint is not the config's (it ends with {ends}), and "
                "one that follows metrics cannot be replayed; resume with the checkpoint's schedule"
            )
        _replay(schedulers, runner, meta)
        names = {scheduler.param_name for scheduler in schedulers}
        names |= {f"initial_{name}" for name in names}
        if any(getattr(scheduler, "use_betas", False) for scheduler in schedulers):
            names.add("betas")
        for group, now in zip(_groups(optimizer), _groups(wrapper.state_dict())):
            group.update({name: now[name] for name in names if name in now})
        rate = next(iter(wrapper.get_lr().values()))[0]
        runner.logger.warning(
            f"The schedule of the checkpoint is not the config's (it ends with {ends}): going on "
            f"by the config's, at learning rate {rate:.3g}"
        )
        return [scheduler.state_dict() for scheduler in schedulers]

    def before_train(self, runner: Runner) -> None:
        schedulers = runner.param_schedulers or []
        for part in schedulers.values() if isinstance(schedulers, dict) else [schedulers]:
            for message in misfits(part, runner):
                runner.logger.warning(message)
        scale = runner.auto_scale_lr or {}
        asked, taken = scale.get("base_batch_size"), images_a_step(runner)
        if asked and not scale.get("enable") and taken not in (None, asked):
            runner.logger.warning(
                f"The learning rate is for {asked} images a step, this run takes {taken}: scale it"
                " by --auto-scale-lr (auto_scale_lr.enable=True), or make up the batch by"
                " optim_wrapper.accumulative_counts"
            )


def images_a_step(runner: Runner) -> int | None:
    """Images between two updates of the weights, of all processes; None if it is no one number."""
    batch = getattr(runner.train_dataloader.batch_sampler, "batch_size", None)
    counts = getattr(runner.optim_wrapper, "_accumulative_counts", None)  # several optimizers: none
    return batch and counts and runner.world_size * batch * counts


def misfits(schedulers: Sequence[_ParamScheduler], runner: Runner) -> Iterator[str]:
    """What of built schedulers does not fit the length of a run."""
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    lengths = [runner.max_epochs if s.by_epoch else runner.max_iters for s in schedulers]
    for scheduler, last in zip(schedulers, lengths):
        name = f"{type(scheduler).__name__} of {scheduler.param_name}"
        unit = "epoch" if scheduler.by_epoch else "iteration"
        if scheduler.by_epoch and not by_epoch:
            yield f"{name} counts epochs and training iterations: it never moves; by_epoch=False"
            continue
        constant = isinstance(scheduler, LinearParamScheduler | ConstantParamScheduler)
        if constant and scheduler.end - scheduler.begin == 1:
            yield f"{name} has a single step: the value stays at its start; set a later end"
        end = _end(scheduler)
        followed = any(
            other.param_name == scheduler.param_name and _end(other) / length > end / last
            for other, length in zip(schedulers, lengths)
        )
        rising = isinstance(scheduler, ConstantParamScheduler) or (
            isinstance(scheduler, LinearParamScheduler)
            and scheduler.end_factor >= scheduler.start_factor
        )
        steps = isinstance(scheduler, MultiStepParamScheduler | StepParamScheduler)
        if end > last or (0 < end < last and not (followed or rising or steps)):
            yield (
                f"The schedule does not end where training ends: {name} ends at {unit} {end}, "
                f"training at {last}; `--epochs N` or `--iters N` of tools/train.py scale it"
            )


def _end(scheduler: _ParamScheduler) -> int:
    """Epoch or iteration in which a scheduler reaches its last value; 0 where it has none."""
    if isinstance(scheduler, MultiStepParamScheduler):
        return scheduler.begin + max(scheduler.milestones, default=0)
    end = scheduler.end
    if isinstance(scheduler, CosineAnnealingParamScheduler):
        end = scheduler.begin + scheduler.T_max  # it rises again if its `end` is later
    return 0 if end >= INF else end


def _replay(schedulers: Sequence[_ParamScheduler], runner: Runner, meta: dict) -> None:
    """Step fresh schedulers as often as a run would have that had them from its start."""
    length = len(runner.train_dataloader)
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    iterations = meta["epoch"] * length if by_epoch else meta["iter"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no optimizer stepped
        for iteration in range(1, iterations + 1):
            epoch_ends = by_epoch and iteration % length == 0
            for scheduler in schedulers:
                if not scheduler.by_epoch or epoch_ends:
                    scheduler.step()


def _settings(state: dict) -> dict:
    return {key: value for key, value in state.items() if key not in _COUNTERS}


def _groups(optimizer: dict) -> list[dict]:
    """Parameter groups of an optimizer wrapper's state, with the one that shows the base rate."""
    base = optimizer.get("base_param_settings")
    return [*optimizer["param_groups"], *([base] if base else [])]


def _ends(states: list[dict]) -> str:
    if not states:
        return "no schedule"
    last = states[-1]
    return f"{last['param_name']} at {'epoch' if last['by_epoch'] else 'iteration'} {last['end']}"
