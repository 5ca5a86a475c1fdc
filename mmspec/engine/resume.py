"""From which checkpoint a run goes on, and when it cannot."""

from __future__ import annotations

from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.checkpoints.work_dir import is_readable, saved_checkpoints
from mmspec.registry import HOOKS

from .launch import LaunchError


@HOOKS.register_module()
class ResumeHook(Hook):
    """Resume from the newest readable checkpoint, and refuse where nothing can go on.

    mmengine takes the file that ``last_checkpoint`` names, whatever its state, and without that
    file starts from scratch.

    Raises:
        LaunchError: no checkpoint in the work directory, one without the state of a training, or
            one that is past the end of training.
        CheckpointError: the checkpoints are cut short or damaged.
    """

    def before_run(self, runner: Runner) -> None:
        if runner._load_from is not None:
            _refuse_damaged(runner._load_from)
        elif runner._resume:
            hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
            found = [None]
            if is_main_process():  # the others may see another state of a shared disk
                found = [_newest(runner, *hooks[:1])]
            broadcast_object_list(found)
            if isinstance(found[0], Exception):
                raise found[0]
            runner._load_from = found[0]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if not runner._resume:
            return
        name = runner._load_from
        missing = [key for key in ("meta", "message_hub", "optimizer") if key not in checkpoint]
        if missing:
            raise LaunchError(
                f"{name} cannot be resumed, it holds no {' and no '.join(missing)}; to start from "
                "its weights set load_from to it, and leave out --resume"
            )
        loop = runner.train_loop
        unit = "epoch" if isinstance(loop, EpochBasedTrainLoop) else "iter"
        done, end = checkpoint["meta"][unit], getattr(loop, f"max_{unit}s")
        if done > end:
            raise LaunchError(
                f"{name} is of {unit} {done}, and training ends at {end}; set "
                f"train_cfg.max_{unit}s, or resume from an earlier checkpoint"
            )
        if done == end:
            runner.logger.warning(f"Training had ended: {name} is of {unit} {done}, the last one")


def _newest(runner: Runner, hook: CheckpointHook | None = None) -> str | Exception | None:
    """The newest readable checkpoint, or why there is none."""
    folder, template = Path(runner.work_dir), "*_{}.pth"
    if hook is not None:
        template = hook.filename_tmpl
        if "://" in str(hook.out_dir):
            return None  # mmengine's own way
        if hook.out_dir is not None:
            folder = Path(hook.out_dir) / folder.name
    checkpoints = saved_checkpoints(folder, template)
    if not checkpoints:
        return LaunchError(
            f"nothing to resume: no {template.format('N')} in {folder}; correct "
            "--work-dir, or leave out --resume to start a new training"
        )
    for path in checkpoints:
        if is_readable(path):
            return str(path)
        runner.logger.warning(f"{path} is cut short or damaged; trying the one before it")
    return CheckpointError(
        f"every checkpoint in {folder} is cut short or damaged; leave out --resume to start anew"
    )


def _refuse_damaged(file: str) -> None:
    """Refuse a local archive of ``torch.save`` that is not whole, and an empty file."""
    path = Path(file)
    if not path.is_file():
        return
    with path.open("rb") as content:
        start = content.read(2)
    if start in (b"PK", b"") and not is_readable(path):
        raise CheckpointError(f"checkpoint {path} is cut short or damaged")
