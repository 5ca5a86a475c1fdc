"""Read many files by several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from functools import partial

from rich.progress import track


def in_parallel(call: Callable, items: Sequence, workers: int, description: str) -> list:
    """``call`` of each item by so many processes, in order, with a bar; 1: by this one."""
    show = partial(track, total=len(items), description=description)
    if workers == 1:
        return list(show(map(call, items)))
    with multiprocessing.Pool(workers) as pool:
        results = list(show(pool.imap(call, items, chunksize=8)))
        # They end by themselves: the signal by which the pool would end one that has just been
        # forked is lost where this process has a handler of it, and the pool then waits for ever.
        pool.close()
        pool.join()
    return results
