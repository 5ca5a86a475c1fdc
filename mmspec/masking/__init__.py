"""Which patches are seen: tensors in, patches out; no registry, no config, no data set."""

from .cmss import choose_nearest
from .information import SCORES, grid_of, projection
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
    "grid_of",
    "projection",
    "random_keep",
    "select_by_rank",
    "uniform_mask",
    "visible_count",
]
