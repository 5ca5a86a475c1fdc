"""Read many files by several processes."""

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from rich.progress import track


def in_parallel(call: Callable, items: Sequence, workers: int, description: str) -> list:
    """``call`` of each item by so many processes, in order, with a bar; 1: by this one.

    Raises:
        LostWorkerError: the system has killed one of them.
    """
    show = partial(track, total=len(items), description=description)
    if workers == 1:
        return list(show(map(call, items)))
    # Not multiprocessing.Pool: after an error it ends its workers by SIGTERM and waits for ever for
    # one that has inherited a handler of it; and so it does for one that the system has killed.
    with ProcessPoolExecutor(
        workers, initializer=signal.signal, initargs=(signal.SIGTERM, signal.SIG_DFL)
    ) as pool:
        try:
            return list(show(pool.map(call, items, chunksize=8)))
        except BrokenProcessPool as error:
            raise LostWorkerError(
                f"{description}: one of {workers} processes was killed, most often for want of"
                " memory; give fewer (--workers)"
            ) from error


class LostWorkerError(RuntimeError):
    """A process that was killed from outside; the message has the way out."""
