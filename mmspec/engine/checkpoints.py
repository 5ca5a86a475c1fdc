"""Checkpoints that a kill, at whatever moment, cannot take away, and from which a run goes on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process, master_only
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.checkpoints.work_dir import FINISHED, is_readable, saved_checkpoints
from mmspec.registry import HOOKS

from .launch import LaunchError

PARTIAL = ".partial"


@register_backend("mmspec.durable")
class DurableBackend(LocalBackend):
    """Local files that appear whole or not at all; their removal waits for its call."""

    def __init__(self) -> None:
        self.outdated: list[Path] = []

    def put(self, obj: bytes, filepath: str | Path) -> None:
        path = Path(filepath)
        beside = path.with_name(path.name + PARTIAL)
        try:
            super().put(obj, beside)
            _flush(beside)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise CheckpointError(
                f"checkpoint {path} was not written ({error}); those before it are whole"
            ) from error
        beside.replace(path)
        with suppress(OSError):  # not every file system can
            _flush(path.parent)  # the directory holds the new name

    def remove(self, filepath: str | Path) -> None:
        self.outdated.append(Path(filepath))

    def remove_outdated(self, keep: set[str]) -> None:
        while self.outdated:
            path = self.outdated.pop()
            if str(path) not in keep:
                path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook`` for local files, which writes before it deletes.

    A checkpoint is written beside its place, flushed to the disk and renamed; then the outdated one
    goes. At least two are kept, so that a damaged newest leaves one to resume from. When training
    ends, the file ``finished`` in the work directory names the last checkpoint.
    """

    def __init__(self, *args: Any, max_keep_ckpts: int = -1, **kwargs: Any) -> None:
        if max_keep_ckpts == 1:
            print_log("max_keep_ckpts=1: two are kept, in case the newest is damaged", "current")
            max_keep_ckpts = 2
        fixed = dict(max_keep_ckpts=max_keep_ckpts, backend_args=dict(backend="mmspec.durable"))
        super().__init__(*args, **fixed, **kwargs)
        if "://" in str(self.out_dir):
            raise ValueError(
                f"DurableCheckpointHook writes local files, not to {self.out_dir}; set "
                "default_hooks.checkpoint.type=CheckpointHook"
            )

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        if is_main_process():
            (Path(runner.work_dir) / FINISHED).unlink(missing_ok=True)
            for path in Path(self.out_dir).glob(f"*{PARTIAL}"):  # of a run that was killed
                path.unlink()

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        super()._save_checkpoint_with_step(runner, step, meta)
        self._remove_outdated()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        super()._save_best_checkpoint(runner, metrics)
        if self.save_best:
            self._remove_outdated()

    def _remove_outdated(self) -> None:
        best = getattr(self, "best_ckpt_path_dict", {}).values()
        keep = {self.last_ckpt, getattr(self, "best_ckpt_path", None), *best}
        self.file_backend.remove_outdated(keep)

    @master_only
    def after_train(self, runner: Runner) -> None:
        super().after_train(runner)
        last = self.last_ckpt or runner.message_hub.runtime_info.get("last_ckpt")
        if last is not None:
            last = os.path.relpath(Path(self.out_dir) / Path(last).name, runner.work_dir)
            DurableBackend().put(f"{last}\n".encode(), Path(runner.work_dir) / FINISHED)


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
            path = Path(runner._load_from)
            start = b""
            if (
                path.is_file()
            ):  # what is not local, or not of torch.save, is for its reader to judge
                with path.open("rb") as content:
                    start = content.read(2) or b"PK"
            if start == b"PK" and not is_readable(path):
                raise CheckpointError(f"checkpoint {path} is cut short or damaged")
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
