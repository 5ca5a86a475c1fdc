"""Which patches are seen: tensors in, patches out; no registry, no config, no data set."""

from .information import entropy, grid_of, intensity, projection, variance
from .patch_mask import PatchMask
from .random import random_keep
from .selection import information_keep, select_by_rank, visible_count
from .uniform import UniformMask, secondary_mask, uniform_keep

#: The scores that need the image alone, by the name that configs use.
SCORES = {"intensity": intensity, "variance": variance, "entropy": entropy}

__all__ = [
    "SCORES",
    "PatchMask",
    "UniformMask",
    "entropy",
    "grid_of",
    "information_keep",
    "intensity",
    "projection",
    "random_keep",
    "secondary_mask",
    "select_by_rank",
    "uniform_keep",
    "variance",
    "visible_count",
]
