"""Schedules of learning rate and momentum: over a run, a shorter one, and a resumed one."""

import warnings
from collections.abc import Iterator, Sequence

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import (
    ConstantParamScheduler,
    CosineAnnealingParamScheduler,
    LinearParamScheduler,
    MultiStepParamScheduler,
    StepParamScheduler,
    _ParamScheduler,
)
from mmengine.optim.scheduler.param_scheduler import INF
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmspec.registry import HOOKS

from .launch import LaunchError
from .repeatable import batches_of_epoch

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
    a run that had the config from its start. Several optimizers are left to mmengine.

    Raises:
        LaunchError: a schedule that depends on metrics and is not that of the checkpoint.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers
        one = isinstance(schedulers, list) and schedulers and "optimizer" in checkpoint
        if not (runner._resume and one):
            return
        saved = checkpoint.get("param_schedulers", [])
        states = [scheduler.state_dict() for scheduler in schedulers]
        if [_settings(state) for state in states] == [_settings(state) for state in saved]:
            return
        ends = f"{_ends(saved)} in the checkpoint, {_ends(states)} in the config"
        if any(getattr(scheduler, "need_val_args", False) for scheduler in schedulers):
            raise LaunchError(
                f"the schedule of the checkpoint is not the config's (it ends with {ends}), and "
                "one that follows metrics cannot be replayed; resume with the checkpoint's schedule"
            )
        _replay(schedulers, runner, checkpoint["meta"])
        checkpoint["param_schedulers"] = [scheduler.state_dict() for scheduler in schedulers]
        names = {scheduler.param_name for scheduler in schedulers}
        names |= {f"initial_{name}" for name in names}
        if any(getattr(scheduler, "use_betas", False) for scheduler in schedulers):
            names.add("betas")
        for group, now in zip(_groups(checkpoint["optimizer"]), _groups(wrapper.state_dict())):
            group.update({name: now[name] for name in names if name in now})
        rate = next(iter(wrapper.get_lr().values()))[0]
        runner.logger.warning(
            f"The schedule of the checkpoint is not the config's (it ends with {ends}): going on "
            f"by the config's, at learning rate {rate:.3g}"
        )

    def before_train(self, runner: Runner) -> None:
        schedulers = runner.param_schedulers or []
        for part in schedulers.values() if isinstance(schedulers, dict) else [schedulers]:
            for message in misfits(part, runner):
                runner.logger.warning(message)
        scale = runner.auto_scale_lr or {}
        # Images between two updates, of all processes; none where they are no one number.
        batch = getattr(runner.train_dataloader.batch_sampler, "batch_size", None)
        counts = getattr(runner.optim_wrapper, "_accumulative_counts", None)
        taken = batch and counts and runner.world_size * batch * counts
        asked = scale.get("base_batch_size")
        if asked and not scale.get("enable") and taken not in (None, asked):
            runner.logger.warning(
                f"The learning rate is for {asked} images a step, this run takes {taken}: scale it"
                " by --auto-scale-lr (auto_scale_lr.enable=True), or make up the batch by"
                " optim_wrapper.accumulative_counts"
            )


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
        constant = isinstance(scheduler, ConstantParamScheduler)
        linear = isinstance(scheduler, LinearParamScheduler)
        if (constant or linear) and scheduler.end - scheduler.begin == 1:
            yield f"{name} has a single step: the value stays at its start; set a later end"
        end = _end(scheduler)
        # What may end early: followed by another, a warm-up, steps.
        early = constant or (linear and scheduler.end_factor >= scheduler.start_factor)
        early |= isinstance(scheduler, MultiStepParamScheduler | StepParamScheduler) or any(
            other.param_name == scheduler.param_name and _end(other) / length > end / last
            for other, length in zip(schedulers, lengths)
        )
        if end > last or (0 < end < last and not early):
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
    iterations = meta["iter"]
    if by_epoch:
        iterations = meta["epoch"] * length + batches_of_epoch(runner, meta)
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


def set_length(cfg: Config, *, epochs: int | None = None, iters: int | None = None) -> None:
    """Set for how long a config trains; its warm-up and decay shrink or grow in proportion.

    Intervals of checkpoints and validations, and their first, become at most the new length.

    Raises:
        LaunchError: a length below 1, or a config that counts in the other unit.
    """
    unit, count, other = (
        ("epochs", epochs, "iters") if epochs is not None else ("iters", iters, "epochs")
    )
    train_cfg = cfg.get("train_cfg") or {}
    before = train_cfg.get(f"max_{unit}")
    if before is None:
        raise LaunchError(
            f"--{unit} {count}: {cfg.filename} trains for max_{other}="
            f"{train_cfg.get(f'max_{other}')}; give --{other}"
        )
    if count < 1:
        raise LaunchError(f"--{unit} {count}: train for at least 1")
    train_cfg[f"max_{unit}"] = count
    checkpoint = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    intervals = [(train_cfg, "val_interval"), (train_cfg, "val_begin")]
    if checkpoint.get("by_epoch", True) == (unit == "epochs"):
        intervals += [(checkpoint, "interval"), (checkpoint, "save_begin")]
    for settings, key in intervals:
        if settings.get(key, 0) > count:
            settings[key] = count
    for scheduler in _schedulers(cfg.get("param_scheduler")):
        converted = scheduler.get("convert_to_iter_based")
        begin, end, period = (scheduler.get(key) for key in ("begin", "end", "T_max"))
        to_the_end = None not in (end, period) and (begin or 0) + period == end
        for key in ("begin", "end", "T_max", "total_steps", "step_size"):
            if scheduler.get(key) is not None:
                value = scheduler[key] * count / before
                # A schedule of epochs that mmengine converts may begin and end within one.
                if not (converted and key in ("begin", "end", "T_max")):
                    value = max(round(value), key not in ("begin", "end"))
                scheduler[key] = int(value) if value == int(value) else value
        if to_the_end and scheduler["end"] > scheduler.get("begin", 0):
            scheduler["T_max"] = scheduler["end"] - scheduler.get("begin", 0)
        if "milestones" in scheduler:  # rounded down: at the end of training none would be felt
            scheduler["milestones"] = [max(1, v * count // before) for v in scheduler["milestones"]]
        if "periods" in scheduler:  # rounded up: mmengine fails behind the last
            scheduler["periods"] = [-(-v * count // before) for v in scheduler["periods"]]


def drop_short_phases(runner: Runner) -> None:
    """Take out warm-ups of fewer than two steps, and let what follows begin where they did.

    Their first value is that of the start; mmengine gives the full one only at a second step, so
    that the rate would stay at its start. Other schedulers go if they have no step at all.
    """
    schedulers = runner.param_schedulers
    if not isinstance(schedulers, list):
        return
    for short in list(schedulers):
        kind = short["type"]
        kind = kind if isinstance(kind, type) else PARAM_SCHEDULERS.get(kind)
        least = 2 if issubclass(kind, LinearParamScheduler | ConstantParamScheduler) else 1
        unit = len(runner.train_dataloader) if short.get("convert_to_iter_based") else 1
        begin, end = short.get("begin", 0), short.get("end")
        if end is None or int(end * unit) - int(begin * unit) >= least:
            continue
        schedulers.remove(short)
        by_epoch = short.get("by_epoch", True)
        for follower in schedulers:
            if (follower.get("begin"), follower.get("by_epoch", True)) == (end, by_epoch):
                follower["begin"] = begin
        runner.logger.warning(
            f"Left out: {short['type']} from {begin} to {end} has fewer than {least} steps"
        )


def _schedulers(config: dict | list | None) -> list[dict]:
    """Configs of schedulers, one, several, or several for each of several optimizers."""
    if isinstance(config, dict) and "type" not in config:
        return [scheduler for part in config.values() for scheduler in _schedulers(part)]
    return [config] if isinstance(config, dict) else list(config or [])
