"""What the check of a data set is; one file a task."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mmspec.datasets.files import Fault
from mmspec.parallel import in_parallel

from .images import FileRecord


class Check:
    """A kind of data set to be checked: a subclass says what its samples are and reads one.

    Attributes:
        samples: what ``read`` takes, one at a time, in other processes.
        faults: what is wrong, files and names that do not match from the start.
    """

    samples: Sequence
    read: Callable[..., FileRecord]
    records: Sequence[FileRecord] = ()
    faults: list[Fault]
    tile_width: int  # of the sheet, in pixels

    def __len__(self) -> int:
        return len(self.samples)

    def read_all(self, workers: int) -> None:
        """Read every sample and add to ``faults``."""
        self.records = in_parallel(self.read, self.samples, workers, "Reading")
        self.faults = self.faults + [fault for record in self.records for fault in record.faults]

    def tile_size(self, first: int) -> tuple[int, int]:
        """Width and height of the sheet's tiles, in the proportions of a sample."""
        height, width = self.records[first].size
        return self.tile_width, min(self.tile_width, round(self.tile_width * height / width))

    def summary(self) -> Iterator[str]:
        """Lines to print."""
        raise NotImplementedError

    def sheet(self) -> np.ndarray | None:
        """(H, W, 3) uint8 picture of samples; None if none is without a fault."""
        raise NotImplementedError
