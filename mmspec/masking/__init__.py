"""Which patches are seen: tensors in, patches out; no registry, no config, no data set."""

from .cmss import choose_nearest
from .information import (
    SCORES,
    deviation,
    entropy,
    grid_of,
    intensity,
    projection,
    variance,
)
from .noise import NOISES
from .patch_mask import PatchMask, random_keep, select_by_rank, visible_count
from .selection import InformationMasking
from .uniform import UniformMask, uniform_mask

__all__ = [
    "NOISES",
    "SCORES",
    "InformationMasking",
    "PatchMask",
    "UniformMask",
    "choose_nearest",
    "deviation",
    "entropy",
    "grid_of",
    "intensity",
    "projection",
    "random_keep",
    "select_by_rank",
    "uniform_mask",
    "variance",
    "visible_count",
]
