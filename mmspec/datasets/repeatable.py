"""Random numbers of the data pipeline as a function of seed, epoch and sample."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def isolated_random(*entropy: int) -> Iterator[None]:
    """Seeds Python's, NumPy's and torch's CPU generators inside, and puts them back afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


class RepeatableSamplesMixin:
    """Makes each sample of a :class:`mmengine.dataset.BaseDataset` a function of (seed, epoch,
    index).

    A worker's generators otherwise go on from epoch to epoch, so that a resumed run, whose workers
    start anew, sees other crops than the run that was not stopped. The epoch lies in shared memory,
    where workers that persist over epochs see it change; ``RepeatableEpochsHook`` sets it. Until
    then samples are drawn from the process's generators, as with any other data set.
    """

    def __init__(self, *args, **kwargs) -> None:
        self._seed_and_epoch = torch.full((2,), -1, dtype=torch.int64).share_memory_()
        super().__init__(*args, **kwargs)

    def set_epoch(self, seed: int, epoch: int) -> None:
        """Draws the samples of an epoch (from 0) of the run with this seed from now on."""
        self._seed_and_epoch[0] = seed
        self._seed_and_epoch[1] = epoch

    def __getitem__(self, idx: int) -> dict:
        seed, epoch = self._seed_and_epoch.tolist()
        if seed < 0:
            return super().__getitem__(idx)
        with isolated_random(seed, epoch, int(idx)):
            return super().__getitem__(idx)
