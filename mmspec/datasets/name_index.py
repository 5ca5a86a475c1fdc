"""Names of a data set's files as bytes, found by the first of several processes for all."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from mmengine import dist
from torch.utils.data import get_worker_info

from mmspec.thermal.errors import FileError

_LOOKED_AT = 32  # files that every process must see as the first one does


class RanksDifferError(FileError):
    """Processes of one run that do not see the same files."""


class NameIndex:
    """The names of each sample's files, one after the other in UTF-8.

    As ``BaseDataset`` keeps its samples, for 1 byte a letter in place of Python's 60 and more a
    name; workers that are forked share them.

    Attributes:
        data: uint8.
        ends: (number of samples,) int64, where each sample ends in ``data``.
    """

    def __init__(self, data: np.ndarray, ends: np.ndarray) -> None:
        self.data, self.ends = data, ends

    @classmethod
    def of(cls, samples: Iterable[Sequence[str]]) -> NameIndex:
        data, ends = bytearray(), array("q")
        for names in samples:
            data += "\0".join(names).encode("utf-8", "surrogateescape")
            ends.append(len(data))
        return cls(np.frombuffer(data, np.uint8), np.frombuffer(ends, np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, sample: int) -> list[str]:
        start = self.ends[sample - 1] if sample else 0
        name = self.data[start : self.ends[sample]].tobytes()
        return name.decode("utf-8", "surrogateescape").split("\0")

    def digest(self) -> str:
        digest = hashlib.sha256(self.data)
        digest.update(self.ends)
        return digest.hexdigest()


def found_once(find: Callable[[], NameIndex], path_of: Callable[[str], str]) -> NameIndex:
    """What ``find`` gives in the first process of a run, in all of them.

    All processes have to ask for it. A worker of a data loader, which the others know nothing of,
    finds for itself.

    Args:
        find: looks for the files; called in the first process alone.
        path_of: the path of a name, to look whether it is there.

    Raises:
        RanksDifferError: a process got other names, or does not see the files that the first sees.
        Exception: what ``find`` raised, in every process.
    """
    if dist.get_world_size() == 1 or get_worker_info() is not None:
        return find()
    index, told = None, [None]
    if dist.get_rank() == 0:
        try:
            index = find()
            told = [(len(index.data), len(index), index.digest())]
        except Exception as error:  # the others would wait for ever
            told = [error]
    dist.broadcast_object_list(told)
    if isinstance(told[0], Exception):
        raise told[0]
    letters, number, digest = told[0]
    index = index or NameIndex(np.empty(letters, np.uint8), np.empty(number, np.int64))
    for values in (index.data, index.ends):
        dist.broadcast(torch.from_numpy(values))
    spread = range(0, number, max(1, number // _LOOKED_AT))
    there = [os.path.exists(path_of(name)) for sample in spread for name in index[sample]]
    seen = dist.all_gather_object((len(index), index.digest(), there))
    for rank, (count, other, visible) in enumerate(seen):
        if (count, other) != (number, digest):
            raise RanksDifferError(
                f"process {rank} has {count:,} samples ({other[:8]}), the first {number:,}"
                f" ({digest[:8]}): do all build the same data sets in the same order?"
            )
        if visible != seen[0][2]:
            names = [name for sample in spread for name in index[sample]]
            name = next(n for n, mine, first in zip(names, visible, seen[0][2]) if mine != first)
            raise RanksDifferError.of(
                path_of(name),
                f"the first process and process {rank} do not both see this file: data_root must"
                " hold the same on every node",
            )
    return index
