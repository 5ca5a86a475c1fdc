"""A run with a seed repeats, and a resumed run goes on as if it had not stopped."""

from __future__ import annotations

import itertools
import logging

from mmengine.dataset import ConcatDataset, InfiniteSampler, RepeatDataset
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, DataLoader

from mmspec.datasets.repeatable import RepeatableSampler, RepeatableSamplesMixin, seed_generators
from mmspec.registry import HOOKS


# The second name is of the time when it served epochs alone.
@HOOKS.register_module(name=["RepeatableDrawsHook", "RepeatableEpochsHook"])
class RepeatableDrawsHook(Hook):
    """Make every draw of a training a function of the run's seed, the iteration and the rank.

    What is random in a step (drop path, dropout, sampled proposals, masks made in the model) is
    seeded by (seed, iteration, rank) before the step; ranks differ, although one seed orders their
    samples. What is random in a sample (crops, flips, noise) is seeded as ``RepeatableSampler``
    says, where the data set derives from ``RepeatableSamplesMixin``; a warning names others.

    A resumed run by iterations also starts at the right sample: mmengine 0.10.7 and earlier would
    load all that was seen before; here its sampler skips there.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        loop, loader = runner.train_loop, runner.train_loop.dataloader
        if not isinstance(loader.batch_sampler, BatchSampler):
            self._warn(f"a loader with {type(loader.batch_sampler).__name__} for a batch sampler")
            return
        sampler = loader.batch_sampler.sampler
        drawn = runner.iter * loader.batch_sampler.batch_size
        loader.batch_sampler.sampler = RepeatableSampler(
            sampler, runner.seed, drawn, get_rank(), get_world_size()
        )
        way_out = "derive it from mmspec.datasets.repeatable.RepeatableSamplesMixin first"
        for name in sorted(_not_repeatable(loader.dataset)):
            self._warn(f"{name}: {way_out}")
        iterator = getattr(loop, "dataloader_iterator", None)
        if iterator is not None and not hasattr(iterator, "skip_iter"):
            loop.dataloader_iterator = _from_iteration(runner.iter, sampler, type(iterator), loader)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        # The last number keeps the seeds apart from those of samples.
        seed_generators(runner.seed, runner.iter, get_rank(), 1)

    def _warn(self, what: str) -> None:
        print_log(
            "RepeatableDrawsHook: crops, flips and noise depend on the workers, not on seed and"
            f" iteration, and a resumed run sees others: {what}",
            logger="current",
            level=logging.WARNING,
        )


def _from_iteration(iteration: int, sampler, kind: type, loader: DataLoader):
    """Batches for the loop of mmengine 0.10.7, which throws away so many, and has begun to load."""
    if not isinstance(sampler, InfiniteSampler):
        return kind(loader)
    indices = InfiniteSampler(sampler.dataset, sampler.shuffle, sampler.seed).indices
    sampler.indices = itertools.islice(indices, iteration * loader.batch_sampler.batch_size, None)
    return itertools.chain(itertools.repeat(None, iteration), kind(loader))


def _not_repeatable(dataset) -> set[str]:
    """Names of the classes of data sets, inside wrappers too, whose samples do not follow."""
    inner = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    if isinstance(dataset, RepeatableSamplesMixin):
        return set()
    if isinstance(dataset, ConcatDataset | RepeatDataset):  # hand the seeded index on
        return set().union(*map(_not_repeatable, inner))
    return {type(dataset).__name__}
