"""What the check of a data set is; one file a task."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

import numpy as np
from rich.progress import track

from mmspec.datasets.files import Fault


class Check(Protocol):
    """What a kind of data set brings along to be checked; tasks that follow add theirs."""

    faults: list[Fault]

    def __len__(self) -> int: ...

    def read_all(self, workers: int) -> None:
        """Read every sample and add to ``faults``."""

    def summary(self) -> Iterator[str]:
        """Lines to print."""

    def sheet(self) -> np.ndarray | None:
        """(H, W, 3) uint8 picture of samples; None if none is without a fault."""


def in_parallel(read: Callable, samples: Iterable, workers: int) -> list:
    show = partial(track, total=len(samples), description="Reading")
    if workers == 1:
        return list(show(map(read, samples)))
    with multiprocessing.Pool(workers) as pool:
        return list(show(pool.imap(read, samples, chunksize=8)))
