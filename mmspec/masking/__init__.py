"""Which patches are seen: tensors in, patches out; no registry, no config, no data set."""

from .information import entropy, grid_of, intensity, projection, variance
from .patch_mask import PatchMask
from .random import random_keep
from .selection import information_keep, select_by_rank, visible_count

#: The scores that need the image alone, by the name that configs use.
SCORES = {"intensity": intensity, "variance": variance, "entropy": entropy}

__all__ = [
    "SCORES",
    "PatchMask",
    "entropy",
    "grid_of",
    "information_keep",
    "intensity",
    "projection",
    "random_keep",
    "select_by_rank",
    "variance",
    "visible_count",
]
