"""Samples that are the same in every run, and random numbers by its seed and their place."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import BatchSampler, Sampler


def evenly_spaced(items: Sequence, most: int | None = None) -> list:
    """At most so many of the items (None or 0: all): the first, and the last if there are two."""
    count = min(most or len(items), len(items))
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def seed_generators(*entropy: int) -> None:
    """Seed Python's, NumPy's and torch's generators, those of all devices, by some integers."""
    seed = _seed(entropy)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def isolated_random(*entropy: int) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's CPU generators inside, and put them back afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed = _seed(entropy)
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _seed(entropy: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


class SampleIndex(int):
    """Index of a sample that says by which integers the sample's random numbers are seeded.

    It travels to the workers, which persist over epochs and load ahead, so that nothing else tells
    them where in the run a sample belongs.
    """

    entropy: tuple[int, ...]

    def __new__(cls, index: int, entropy: tuple[int, ...]) -> SampleIndex:
        self = super().__new__(cls, index)
        self.entropy = entropy
        return self

    def __getnewargs__(self) -> tuple[int, tuple[int, ...]]:
        return int(self), self.entropy

    def __sub__(self, other: int) -> SampleIndex:
        """Keep the seed in a ``ConcatDataset``."""
        return SampleIndex(int(self) - other, self.entropy)

    def __mod__(self, other: int) -> SampleIndex:
        """Keep the seed in a ``RepeatDataset``."""
        return SampleIndex(int(self) % other, self.entropy)


class RepeatableSampler(Sampler):
    """What a sampler yields as :class:`SampleIndex`, seeded by the run's seed and by the place.

    The place is the epoch and the index with ``DefaultSampler``; with others that count epochs,
    which may give an index again, the time and the rank too; or else, as with ``InfiniteSampler``,
    the position among the draws of all ranks. With mmengine's, several ranks thus load the samples
    that one process with the whole batch would load.

    Args:
        sampler: of mmengine or mmdet; its other attributes are there as well.
        seed: of the run.
        drawn: indices that this rank took from the sampler before, in the run that is resumed.
        rank, world_size: of this process.
    """

    def __init__(
        self, sampler: Sampler, seed: int, drawn: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.sampler = sampler
        self.seed, self.drawn = seed, drawn
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[SampleIndex]:
        times: Counter[int] = Counter()
        for number, index in enumerate(self.sampler, self.drawn):
            place = (number * self.world_size + self.rank,)
            if hasattr(self.sampler, "epoch"):
                place = (self.sampler.epoch, index)
                if not isinstance(self.sampler, DefaultSampler):  # it may give an index again
                    place += (times[index], self.rank)
                    times[index] += 1
            yield SampleIndex(index, (self.seed, *place))

    def __len__(self) -> int:
        return len(self.sampler)

    def __getattr__(self, name: str):
        if name == "sampler":
            raise AttributeError(name)
        return getattr(self.sampler, name)


class RemainingBatches(BatchSampler):
    """Batches of a batch sampler, in the first pass without its first ones, which nobody loads.

    Its length is that of a whole pass; its other attributes are the batch sampler's.
    """

    def __init__(self, batches: BatchSampler, first: int) -> None:
        self.batches, self.first = batches, first

    def __iter__(self) -> Iterator[list[int]]:
        # At the first batch, not before: a loader with workers asks for two iterators.
        first, self.first = self.first, 0
        yield from itertools.islice(self.batches, first, None)

    def __len__(self) -> int:
        return len(self.batches)

    def __getattr__(self, name: str):
        if name == "batches":
            raise AttributeError(name)
        return getattr(self.batches, name)


class RepeatableSamplesMixin:
    """Make each sample of a :class:`mmengine.dataset.BaseDataset` a function of its index and of
    the seed that a :class:`SampleIndex` brings.

    A worker's generators otherwise go on from sample to sample, so that a resumed run, whose
    workers start anew, sees other crops than the run that was not stopped. Samples asked for by a
    plain integer are drawn from the process's generators, as with any other data set.
    """

    def __getitem__(self, idx: int) -> dict:
        if not isinstance(idx, SampleIndex) or not self._draws():
            return super().__getitem__(int(idx))
        with isolated_random(*idx.entropy):
            return super().__getitem__(int(idx))

    def _draws(self) -> bool:
        """Whether a sample takes random numbers; to seed them takes longer than to read pixels."""
        steps = getattr(getattr(self, "pipeline", None), "transforms", ())  # a wrapper has none
        in_place_of_broken = getattr(self, "skip_broken", False)
        return (
            not steps or in_place_of_broken or any(getattr(step, "draws", True) for step in steps)
        )
