"""Pictures of masks, reconstructions, predictions and curves.

A picture is (H, W, 3) uint8 RGB. An image that is drawn is (H, W) gray levels, shown under a
display gain (see :mod:`~mmspec.visualization.panels`), or (H, W, 3) uint8 RGB, shown as it is; of a
pair ``infrared`` is the one and ``visible`` the other.
"""

from .cmss import (
    CMSSPicture,
    MixtureRecord,
    cmss_pictures,
    cmss_sheet,
    save_mixture_history,
    visible_history_sheet,
)
from .curves import save_miss_rate_curves, save_pr_curves, save_roc_curve
from .matching import match_picture
from .reconstruction import mask_sheet, pair_reconstruction_sheet, reconstruction_sheet
from .segmentation import saliency_picture, segmentation_picture
from .small_target import small_target_picture

__all__ = [
    "CMSSPicture",
    "MixtureRecord",
    "cmss_pictures",
    "cmss_sheet",
    "mask_sheet",
    "match_picture",
    "pair_reconstruction_sheet",
    "reconstruction_sheet",
    "saliency_picture",
    "save_miss_rate_curves",
    "save_mixture_history",
    "save_pr_curves",
    "save_roc_curve",
    "segmentation_picture",
    "small_target_picture",
    "visible_history_sheet",
]
