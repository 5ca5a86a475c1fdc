"""A run with a seed repeats, and a resumed run goes on as if it had not stopped."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmengine.dataset import RepeatDataset
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmspec.registry import HOOKS


@HOOKS.register_module()
class RepeatableEpochsHook(Hook):
    """Seeds every epoch by (seed of the run, epoch, rank), and its samples by (seed, epoch, index).

    What is random in a step (drop path, masks made in the model) and in the data pipeline (crops,
    flips, phases of masks) then no longer depends on how a run came to this epoch. The order of the
    samples is already so, by mmengine's ``DefaultSampler``. Samples follow where the data set
    derives from ``RepeatableSamplesMixin``.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise TypeError(
                "RepeatableEpochsHook seeds epochs and needs an EpochBasedTrainLoop, got "
                f"{type(runner.train_loop).__name__}; take it out of custom_hooks"
            )

    def before_train_epoch(self, runner: Runner) -> None:
        _set_epoch(runner.train_dataloader.dataset, runner.seed, runner.epoch)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        # Not before the epoch: a loader draws a number when its workers start, in the first epoch
        # of a process but not in later ones.
        if batch_idx != 0:
            return
        entropy = np.random.SeedSequence([runner.seed, runner.epoch, get_rank()])
        seed = int(entropy.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


def _set_epoch(dataset, seed: int, epoch: int) -> None:
    """Tells a data set, or those inside a wrapper (``ConcatDataset``)."""
    if isinstance(dataset, RepeatDataset):
        raise TypeError(
            "RepeatableEpochsHook: RepeatDataset would show each crop several times an epoch; "
            "train more epochs instead"
        )
    if hasattr(dataset, "set_epoch"):
        dataset.set_epoch(seed, epoch)
    for inner in getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]:
        if inner is not None:
            _set_epoch(inner, seed, epoch)
