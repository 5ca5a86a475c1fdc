"""GMM-CMSS progressive masking of RGB-thermal pairs (M-SpecGene, arXiv 2507.16318).

A metric of how flat a patch is in both modalities, an online mixture of its values, targets drawn
around means that move from low to high over the epochs, the patches nearest to the targets, and the
epoch-wise schedule of those means.
"""

from .choice import choose_nearest
from .metric import structural_sparsity
from .mixture import Mixture, mixture_statistics, random_mixture, updated_mixture
from .schedule import Schedule, advance_schedule, largest_keep_shift
from .targets import draw_targets, target_distribution

__all__ = [
    "Mixture",
    "Schedule",
    "advance_schedule",
    "choose_nearest",
    "draw_targets",
    "largest_keep_shift",
    "mixture_statistics",
    "random_mixture",
    "structural_sparsity",
    "target_distribution",
    "updated_mixture",
]
