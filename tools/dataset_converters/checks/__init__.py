"""What the check of a data set is; one file a task."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

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
