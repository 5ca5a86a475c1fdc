"""Checkpoints that a kill, at whatever moment, cannot take away, and from which a run goes on."""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.checkpoints.work_dir import FINISHED, RESUME_NAME, is_readable, saved_checkpoints
from mmspec.registry import HOOKS

from .launch import LaunchError
from .model_and_batch import bare_model
from .preemption import StopSignals
from .repeatable import RepeatableDrawsHook, images_per_step

PARTIAL = ".partial"
WAITING = "waiting_gradients"  # in a checkpoint


class Pending(str):
    """Files to write; a string, as mmengine makes JSON of a backend's arguments."""

    def __init__(self, name: str = "") -> None:
        self.files: list[tuple[bytes, Path]] = []


@register_backend("mmspec.durable")
class DurableBackend(LocalBackend):
    """Local files that appear whole or not at all; their removal waits for its call.

    Args:
        pending: where :meth:`put` leaves contents and path for a later :meth:`write`; without it,
            ``put`` writes.
    """

    def __init__(self, pending: Pending | None = None) -> None:
        self.pending = pending
        self.outdated: list[Path] = []

    def put(self, obj: bytes, filepath: str | Path) -> None:
        if self.pending is None:
            self.write(obj, Path(filepath))
        else:
            self.pending.files.append((obj, Path(filepath)))

    def write(self, obj: bytes, path: Path) -> None:
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


def _gradients_wait(runner: Runner) -> bool:
    """Whether gradients are accumulated that no step has used yet."""
    due = getattr(runner.optim_wrapper, "should_update", None)
    return due is not None and not due()


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

    The state is copied to host memory, and one thread writes it while training goes on: beside its
    place, flushed to the disk and renamed; then the outdated file goes. At least two are kept, so
    that a damaged newest leaves one to resume from. A file that cannot be written ends the run.
    When training ends, the file ``finished`` in the work directory names the last checkpoint.

    Between mmengine's checkpoints, ``resume_iter_N.pth`` is written by time or iterations, also
    inside an epoch, where a resumed run then goes on. The two newest are kept until training ends.
    On SIGTERM or SIGUSR1 one is written at once, and the run ends with status 75
    (:mod:`mmspec.engine.preemption`).

    Args:
        minutes: write ``resume_iter_N.pth`` where no checkpoint was written for so long.
        iters: write it whenever so many iterations are done, counted from the start of training.
        max_keep_ckpts: as in mmengine, of mmengine's own checkpoints; at least 2.
        **kwargs: of mmengine's ``CheckpointHook``: ``interval``, ``by_epoch``, ``save_best``, ...
    """

    def __init__(
        self,
        *args: Any,
        minutes: float | None = None,
        iters: int | None = None,
        max_keep_ckpts: int = -1,
        **kwargs: Any,
    ) -> None:
        for name, value in (("minutes", minutes), ("iters", iters)):
            if value is not None and value <= 0:
                raise ValueError(f"DurableCheckpointHook: {name}={value}, must be more than 0")
        if max_keep_ckpts == 1:
            print_log("max_keep_ckpts=1: two are kept, in case the newest is damaged", "current")
            max_keep_ckpts = 2
        self.pending = Pending()
        backend = dict(backend="mmspec.durable", pending=self.pending)
        super().__init__(*args, max_keep_ckpts=max_keep_ckpts, backend_args=backend, **kwargs)
        if "://" in str(self.out_dir):
            raise ValueError(
                f"DurableCheckpointHook writes local files, not to {self.out_dir}; set "
                "default_hooks.checkpoint.type=CheckpointHook"
            )
        self.minutes, self.iters = minutes, iters
        self.signals = StopSignals()
        self.writer = ThreadPoolExecutor(1, "checkpoints")
        self.writing: Future | None = None
        self.waiting: dict[str, Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self.logger = runner.logger
        self.inside_epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
        repeats = any(isinstance(hook, RepeatableDrawsHook) for hook in runner.hooks)
        if self.inside_epochs and (self.minutes or self.iters) and not repeats:
            raise LaunchError(
                "DurableCheckpointHook: minutes and iters save inside epochs, where only "
                "RepeatableDrawsHook resumes; set default_hooks.draws.type=mmspec."
                "RepeatableDrawsHook, or leave them out"
            )
        if repeats or not self.inside_epochs:
            self.signals.listen(runner)
        for name, parameter in bare_model(runner).named_parameters():
            if name in self.waiting:
                parameter.grad = self.waiting[name].to(parameter)
        self.waiting = {}
        self._saved(runner.iter)
        if is_main_process():
            (Path(runner.work_dir) / FINISHED).unlink(missing_ok=True)
            for path in Path(self.out_dir).glob(f"*{PARTIAL}"):  # of a run that was killed
                path.unlink()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep gradients that wait for those of other iterations; of processes the first's."""
        if "optimizer" in checkpoint and _gradients_wait(runner):
            checkpoint[WAITING] = {
                name: parameter.grad.detach().cpu()
                for name, parameter in bare_model(runner).named_parameters()
                if parameter.grad is not None
            }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.waiting = checkpoint.pop(WAITING, {}) if runner._resume else {}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None
    ) -> None:
        if self.writing is not None and self.writing.done():
            self._wait()
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if _gradients_wait(runner):
            return  # soon they do not
        if self.signals.agreed():
            self._save_for_resuming(runner, batch_idx)
            self._wait()
            self.signals.leave(runner)
        done, due = runner.iter + 1, False
        if self.iters:
            due = done // self.iters > self.saved_iteration // self.iters
        if self.minutes:  # the first process alone writes, by its clock
            due |= time.monotonic() - self.saved_time >= 60 * self.minutes
        if due and not self._saves_this_epoch(runner, batch_idx):
            self._save_for_resuming(runner, batch_idx)

    def _saves_this_epoch(self, runner: Runner, batch_idx: int) -> bool:
        """Whether mmengine saves right after this iteration, as its epoch ends."""
        if not (self.by_epoch and self.end_of_epoch(runner.train_dataloader, batch_idx)):
            return False
        return self.every_n_epochs(runner, self.interval, self.save_begin) or (
            self.save_last and self.is_last_train_epoch(runner)
        )

    def _save_for_resuming(self, runner: Runner, batch_idx: int) -> None:
        self._wait()
        done = runner.iter + 1
        self._saved(done)
        if not is_main_process():
            return
        meta = dict(epoch=runner.epoch, iter=done)
        if self.inside_epochs:
            meta["images_of_epoch"] = (batch_idx + 1) * images_per_step(runner)
        name = RESUME_NAME.format(done)
        runner.logger.info(f"Saving {name} in epoch {runner.epoch + 1}")
        settings = dict(by_epoch=False, meta=meta, backend_args=self.backend_args, **self.args)
        runner.save_checkpoint(self.out_dir, name, **settings)
        self._write(lambda: self._name_newest(runner, Path(self.out_dir) / name))

    def _saved(self, iteration: int) -> None:
        self.saved_iteration, self.saved_time = iteration, time.monotonic()

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self._wait()
        self._saved(meta["iter"])
        last = Path(runner.work_dir) / "last_checkpoint"
        before = last.read_text() if last.is_file() else None
        super()._save_checkpoint_with_step(runner, step, meta)
        if is_main_process():  # it names the new file, which is not there yet
            last.unlink() if before is None else last.write_text(before)
        self._write(lambda: self._name_newest(runner, Path(self.last_ckpt)))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        self._wait()
        super()._save_best_checkpoint(runner, metrics)
        if self.pending.files:
            self._wait()
            self._write(lambda: None)

    def _write(self, then: Callable[[], None]) -> None:
        """Have the thread write what waits for it, and delete what that makes outdated."""
        files, self.pending.files = self.pending.files, []
        best = getattr(self, "best_ckpt_path_dict", {}).values()
        keep = {self.last_ckpt, getattr(self, "best_ckpt_path", None), *best}
        if is_main_process():
            self.writing = self.writer.submit(self._in_thread, files, keep, then)

    def _in_thread(
        self, files: list[tuple[bytes, Path]], keep: set[str], then: Callable[[], None]
    ) -> None:
        try:
            while files:
                self.file_backend.write(*files.pop(0))
            then()
            self.file_backend.remove_outdated(keep)
        except Exception as error:  # a run that ends otherwise would not ask for it
            # Not print_log: mmengine may hold the lock on its loggers for good, as it does after an
            # error in the constructor of one, and the thread would wait for ever.
            self.logger.error(str(error))
            raise

    def _name_newest(self, runner: Runner, path: Path) -> None:
        last = Path(runner.work_dir) / "last_checkpoint"
        beside = last.with_name(last.name + PARTIAL)  # so that nobody finds it empty
        beside.write_text(str(path))
        beside.replace(last)
        for older in self._for_resuming()[2:]:
            older.unlink(missing_ok=True)

    def _for_resuming(self) -> list[Path]:
        """Files between mmengine's checkpoints, newest first."""
        found = Path(self.out_dir).glob(RESUME_NAME.format("*"))
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def _wait(self) -> None:
        """Wait for the thread, and raise its error."""
        writing, self.writing = self.writing, None
        if writing is not None:
            writing.result()

    def after_train(self, runner: Runner) -> None:
        self._wait()
        self.signals.ignore()
        if is_main_process():
            self._finish(runner)

    def _finish(self, runner: Runner) -> None:
        super().after_train(runner)
        last = self.last_ckpt or runner.message_hub.runtime_info.get("last_ckpt")
        if last is not None:
            last = Path(self.out_dir) / Path(last).name
            name = os.path.relpath(last, runner.work_dir)
            DurableBackend().put(f"{name}\n".encode(), Path(runner.work_dir) / FINISHED)
            for path in self._for_resuming():
                path.unlink()


@HOOKS.register_module()
class ResumeHook(Hook):
    """Resume from the newest readable checkpoint, and refuse where nothing can go on.

    mmengine takes the file that ``last_checkpoint`` names, whatever its state, and without that
    file starts from scratch. With ``resume='if-any'`` a run without a checkpoint starts, too.

    Raises:
        LaunchError: no checkpoint in the work directory, one without the state of a training, or
            one that is past the end of training.
        CheckpointError: the checkpoints are cut short or damaged.
    """

    def before_run(self, runner: Runner) -> None:
        if runner._resume == "if-any" or (runner._resume and runner._load_from is None):
            hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
            found = [None]
            if is_main_process():  # the others may see another state of a shared disk
                found = [_newest(runner, *hooks[:1])]
            broadcast_object_list(found)
            if isinstance(found[0], LaunchError) and runner._resume == "if-any":
                runner._resume = False
                runner.logger.info("A new training: there is no checkpoint to resume")
            elif isinstance(found[0], Exception):
                raise found[0]
            else:
                runner._load_from = found[0]
                return
        if runner._load_from is not None:
            path = Path(runner._load_from)
            start = b""
            if path.is_file():  # what is not local, or not of torch.save, its reader judges
                with path.open("rb") as content:
                    start = content.read(2) or b"PK"
            if start == b"PK" and not is_readable(path):
                raise CheckpointError(f"checkpoint {path} is cut short or damaged")

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
        meta, end = checkpoint["meta"], getattr(loop, f"max_{unit}s")
        done = meta[unit] + bool(meta.get("images_of_epoch"))
        if done > end:
            raise LaunchError(
                f"{name} is of {unit} {done}, and training ends at {end}; set "
                f"train_cfg.max_{unit}s, or resume from an earlier checkpoint"
            )
        if meta[unit] == end:
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
