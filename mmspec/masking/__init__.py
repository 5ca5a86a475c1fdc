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
from .information import (
    SCORES,
    InformationMasking,
    deviation,
    entropy,
    grid_of,
    intensity,
    projection,
    variance,
)
from .patch_mask import PatchMask
from .selection import random_keep, select_by_rank, visible_count
from .uniform import UniformMask, uniform_mask

__all__ = [
    "SCORES",
    "InformationMasking",
    "Mixture",
    "PatchMask",
    "Schedule",
    "UniformMask",
    "advance_schedule",
    "choose_nearest",
    "deviation",
    "draw_targets",
    "entropy",
    "grid_of",
    "intensity",
    "mixture_statistics",
    "projection",
    "random_keep",
    "random_mixture",
    "select_by_rank",
    "structural_sparsity",
    "target_distribution",
    "uniform_mask",
    "updated_mixture",
    "variance",
    "visible_count",
]
