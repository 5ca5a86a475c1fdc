"""Which patches are seen: tensors in, patches out; no registry, no config, no data set."""

from .cmss import (
    Mixture,
    Schedule,
    advance_schedule,
    choose_nearest,
    draw_targets,
    mixture_statistics,
    random_mixture,
    structural_sparsity,
    target_distribution,
    updated_mixture,
)
from .information import entropy, grid_of, intensity, projection, variance
from .patch_mask import PatchMask
from .random import random_keep
from .selection import information_keep, select_by_rank, visible_count
from .uniform import UniformMask, secondary_mask, uniform_keep

#: The scores that need the image alone, by the name that configs use.
SCORES = {"intensity": intensity, "variance": variance, "entropy": entropy}

__all__ = [
    "SCORES",
    "Mixture",
    "PatchMask",
    "Schedule",
    "UniformMask",
    "advance_schedule",
    "choose_nearest",
    "draw_targets",
    "entropy",
    "grid_of",
    "information_keep",
    "intensity",
    "mixture_statistics",
    "projection",
    "random_keep",
    "random_mixture",
    "secondary_mask",
    "select_by_rank",
    "structural_sparsity",
    "target_distribution",
    "uniform_keep",
    "updated_mixture",
    "variance",
    "visible_count",
]
