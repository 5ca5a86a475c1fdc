"""A run with a seed repeats, and a resumed run goes on as if it had not stopped."""

import itertools
import logging
from collections.abc import Iterator

from mmengine.dataset import ConcatDataset, DefaultSampler, InfiniteSampler, RepeatDataset
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, DataLoader

from mmspec.datasets.repeatable import (
    RemainingBatches,
    RepeatableSampler,
    RepeatableSamplesMixin,
    seed_generators,
)
from mmspec.registry import HOOKS


# The second name is of the time when it served epochs alone.
@HOOKS.register_module(name=["RepeatableDrawsHook", "RepeatableEpochsHook"])
class RepeatableDrawsHook(Hook):
    """Make every draw of a training a function of the run's seed, the iteration and the rank.

    What is random in a step (drop path, dropout, sampled proposals, masks made in the model) is
    seeded by (seed, iteration, rank) before the step; ranks differ, although one seed orders their
    samples. What is random in a sample (crops, flips, noise) is seeded as ``RepeatableSampler``
    says, where the data set derives from ``RepeatableSamplesMixin``; a warning names others.

    A resumed run starts at the right sample, inside an epoch too, and loads nothing of what was
    seen before; mmengine would begin the epoch anew, or load all of it. With another batch size or
    number of processes it goes on behind the images that were seen.
    """

    priority = "VERY_HIGH"
    seed_of_loader: int | None = None
    resumed: dict | None = None
    #: Of a loop by iterations: the first one, images seen before it, images of a pass.
    start: tuple[int, int, int | None] | None = None

    def before_run(self, runner: Runner) -> None:
        self.seed_of_loader = runner.seed

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.resumed = checkpoint.get("meta") if runner._resume else None

    def before_train(self, runner: Runner) -> None:
        loop, loader = runner.train_loop, runner.train_loop.dataloader
        batches = loader.batch_sampler
        if not isinstance(batches, BatchSampler):
            self._warn(f"a loader with {type(batches).__name__} for a batch sampler")
            return
        sampler, drawn, self.start = batches.sampler, 0, None
        if getattr(sampler, "seed", None) == self.seed_of_loader is not None:
            sampler.seed = runner.seed  # without one in the config, that of the checkpoint
        if not isinstance(loop, EpochBasedTrainLoop):
            endless = isinstance(sampler, InfiniteSampler)
            whole = None if endless else len(sampler) * get_world_size()
            if isinstance(sampler, DefaultSampler):  # without those that fill up the processes
                whole = len(sampler.dataset)
            seen = (self.resumed or {}).get("images_seen")
            if seen is None:
                seen = _images_seen(runner, runner.iter, 0, whole)
            self.start = runner.iter, seen, whole
            passes, drawn = _skip_images(runner, seen, whole)
            if hasattr(loop, "dataloader_iterator"):
                replaced = loop.dataloader_iterator
                loop.dataloader_iterator = _Batches(loader, replaced, runner.iter, passes)
        elif self.resumed and batches_of_epoch(runner, self.resumed):
            self._go_on_in_epoch(runner, batches_of_epoch(runner, self.resumed))
        batches.sampler = RepeatableSampler(
            sampler, runner.seed, drawn, get_rank(), get_world_size()
        )
        way_out = "derive it from mmspec.datasets.repeatable.RepeatableSamplesMixin first"
        for name in sorted(_not_repeatable(loader.dataset)):
            self._warn(f"{name}: {way_out}")

    def _go_on_in_epoch(self, runner: Runner, first: int) -> None:
        loop = runner.train_loop
        runner.logger.info(
            f"Going on in epoch {runner.epoch + 1}, after {first} of {len(loop.dataloader)} batches"
        )
        _skip_batches(loop.dataloader, first)
        run_iter = loop.run_iter
        # Hooks and log count the batches of the epoch.
        loop.run_iter = lambda index, batch: run_iter(first + index, batch)

    def after_train_epoch(self, runner: Runner) -> None:
        vars(runner.train_loop).pop("run_iter", None)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self.start is not None:
            first, *before = self.start
            batches = checkpoint["meta"]["iter"] - first
            checkpoint["meta"]["images_seen"] = _images_seen(runner, batches, *before)

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


def images_per_step(runner: Runner) -> int:
    """Images that all processes take between two iterations."""
    return getattr(runner.train_dataloader.batch_sampler, "batch_size", 1) * get_world_size()


def batches_of_epoch(runner: Runner, meta: dict) -> int:
    """How many batches of its unfinished epoch a run by epochs had seen, by its checkpoint.

    With another number of images a step it is rounded down: some are seen again.
    """
    return meta.get("images_of_epoch", 0) // images_per_step(runner)


def _images_seen(runner: Runner, batches: int, before: int, whole: int | None) -> int:
    """Images that all processes have taken after so many batches more.

    Args:
        before: images until then.
        whole: images of a pass over the data, whose last batch may be a smaller one; None: passes
            have no end.
    """
    step = images_per_step(runner)
    if whole is None:
        return before + batches * step
    passes, inside = divmod(before, whole)
    more, inside = divmod(inside // step + batches, len(runner.train_dataloader))
    return (passes + more) * whole + inside * step


def _skip_images(runner: Runner, seen: int, whole: int | None) -> tuple[int, int]:
    """Let a loader begin behind images that were seen.

    Gives the passes that are over, and the draws that the sampler leaves out.
    """
    loader, step = runner.train_dataloader, images_per_step(runner)
    batches = loader.batch_sampler
    if whole is not None:
        passes, inside = divmod(seen, whole)
        _skip_batches(loader, inside // step)
        return passes, 0
    drawn, sampler = 0, batches.sampler
    if type(batches) is BatchSampler:
        drawn = seen // get_world_size()
    else:
        _skip_batches(loader, seen // step)
    indices = InfiniteSampler(sampler.dataset, sampler.shuffle, sampler.seed).indices
    sampler.indices = itertools.islice(indices, drawn, None)
    return seen // step // len(loader), drawn


def _skip_batches(loader: DataLoader, first: int) -> None:
    # DataLoader refuses another batch sampler, as its workers may have begun; here none has.
    object.__setattr__(loader, "batch_sampler", RemainingBatches(loader.batch_sampler, first))


class _Batches:
    """Batches for a loop by iterations, loaded from the first call on.

    mmengine 0.10.7 has begun to load by now, and throws as many away as there were iterations.
    """

    def __init__(self, loader: DataLoader, replaced: Iterator, iteration: int, passes: int) -> None:
        self.loader, self.kind, self.passes = loader, type(replaced), passes
        self.thrown_away = 0 if hasattr(replaced, "skip_iter") else iteration
        self.iterator: Iterator | None = None

    def skip_iter(self, number: int) -> None:
        """Do nothing: the sampler has skipped them."""

    def __next__(self):
        if self.thrown_away:
            self.thrown_away -= 1
            return None
        if self.iterator is None:
            # Now: mmengine's hook for samplers takes the epoch, which no loop by iterations has.
            if hasattr(sampler := self.loader.batch_sampler.sampler, "set_epoch"):
                sampler.set_epoch(self.passes)
            self.iterator = self.kind(self.loader)
            self.iterator._epoch = self.passes
        return next(self.iterator)


def _not_repeatable(dataset) -> set[str]:
    """Names of the classes of data sets, inside wrappers too, whose samples do not follow."""
    inner = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    if isinstance(dataset, RepeatableSamplesMixin):
        return set()
    if isinstance(dataset, ConcatDataset | RepeatDataset):  # hand the seeded index on
        return set().union(*map(_not_repeatable, inner))
    return {type(dataset).__name__}
