"""Checkpoints that a kill, at whatever moment, cannot take away."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process, master_only
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.checkpoints.work_dir import FINISHED
from mmspec.registry import HOOKS

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
        super().__init__(
            *args,
            max_keep_ckpts=max_keep_ckpts,
            backend_args=dict(backend="mmspec.durable"),
            **kwargs,
        )
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
        self.file_backend.remove_outdated(
            {self.last_ckpt, getattr(self, "best_ckpt_path", None), *best}
        )

    @master_only
    def after_train(self, runner: Runner) -> None:
        super().after_train(runner)
        last = self.last_ckpt or runner.message_hub.runtime_info.get("last_ckpt")
        if last is not None:
            last = os.path.relpath(Path(self.out_dir) / Path(last).name, runner.work_dir)
            DurableBackend().put(f"{last}\n".encode(), Path(runner.work_dir) / FINISHED)
