"""A run that a scheduler asks to end: it saves its state and says by its status that it goes on."""

import functools
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.runner import Runner

from .launch import leave_process_group

#: Exit status of a run that was asked to end and can be resumed (EX_TEMPFAIL of sysexits.h).
PREEMPTED = 75
#: SIGTERM from torchrun and clouds; SIGUSR1 from Slurm, some time before a job's limit.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
#: Variable with a file for the status, as torchrun ends with 1, whatever that of its processes is.
STATUS_FILE = "MMSPEC_STATUS_FILE"
#: Steps from one agreement of the processes to the next: each waits for the device.
STEPS = 10


class StopSignals:
    """Signals to end a run, on which its processes agree; they may reach one of them alone."""

    def __init__(self) -> None:
        self.received = self.steps = 0
        self.owner = os.getpid()
        self.replaced: dict[int, object] = {}

    def listen(self, runner: Runner) -> None:
        """Take note of the signals from now on, instead of ending at once."""
        if threading.current_thread() is not threading.main_thread():
            return  # where Python has no signals
        for number in SIGNALS:
            self.replaced[number] = signal.signal(number, self._note)
        for loop in (runner.train_loop, runner.val_loop):
            if loop is not None:
                loader = loop.dataloader
                worker = _outlive_signals, loader.worker_init_fn, os.getpid()
                loader.worker_init_fn = functools.partial(*worker)

    def ignore(self) -> None:
        """Give the signals back to those who had them."""
        while self.replaced:
            signal.signal(*self.replaced.popitem())

    def _note(self, number: int, frame: object) -> None:
        self.received = number
        if os.getpid() != self.owner:  # forked, as a pool's are, which are ended by SIGTERM
            self.ignore()
            os.kill(os.getpid(), number)

    def agreed(self) -> bool:
        """Whether a process was asked to end; all call it after each step and get one answer."""
        if get_world_size() == 1:
            return bool(self.received)
        self.steps += 1
        if self.steps % STEPS:
            return False
        received = torch.tensor(self.received)
        all_reduce(received, "max")
        agreed = int(received)
        # One that came meanwhile is for the next agreement.
        self.received = self.received or agreed
        return bool(agreed)

    def leave(self, runner: Runner) -> None:
        """End all processes with the status ``PREEMPTED``, once all are here."""
        runner.logger.warning(
            f"{signal.Signals(self.received).name} after iteration {runner.iter + 1}: its state is "
            f"saved; to go on, give the same command with --resume (status {PREEMPTED})"
        )
        if STATUS_FILE in os.environ:
            Path(os.environ[STATUS_FILE]).write_text(f"{PREEMPTED}")
        barrier()  # a launcher kills the others when the first process has ended
        runner.visualizer.close()
        self.ignore()
        leave_process_group()
        raise SystemExit(PREEMPTED)


def _outlive_signals(init: Callable[[int], None] | None, owner: int, worker: int) -> None:
    """Let a loader's worker live while its process saves: launchers signal the whole group.

    As by PyTorch's own handler, it ends on a SIGTERM of the process whose loader it is, which is
    not its parent where a server forks.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_heed, args=[owner], daemon=True).start()
    if init is not None:
        init(worker)


def _heed(owner: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != owner:
        pass
    os._exit(os.EX_OK)
