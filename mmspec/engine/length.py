"""The length of a training, and of the schedules in its config with it."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.optim import ConstantParamScheduler, LinearParamScheduler
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner

from .launch import LaunchError

# Arguments of mmengine's schedulers that are numbers of epochs or iterations.
_POINTS = ("begin", "end", "T_max", "total_steps", "step_size")
_FRACTIONS = ("begin", "end", "T_max")


def set_length(cfg: Config, *, epochs: int | None = None, iters: int | None = None) -> None:
    """Set for how long a config trains; its warm-up and decay shrink or grow in proportion.

    Intervals of checkpoints and validations, and their first, become at most the new length.

    Raises:
        LaunchError: a length below 1, or a config that counts in the other unit.
    """
    unit, count = ("epochs", epochs) if epochs is not None else ("iters", iters)
    train_cfg = cfg.get("train_cfg") or {}
    before = train_cfg.get(f"max_{unit}")
    if before is None:
        other = "iters" if unit == "epochs" else "epochs"
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
        for key in _POINTS:
            if scheduler.get(key) is not None:
                value = scheduler[key] * count / before
                # A schedule of epochs that mmengine converts may begin and end within one.
                if not (scheduler.get("convert_to_iter_based") and key in _FRACTIONS):
                    value = max(round(value), key not in ("begin", "end"))
                scheduler[key] = int(value) if value == int(value) else value
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
