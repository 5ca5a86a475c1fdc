"""Pictures of masks, reconstructions, losses, segmentations and small targets."""

from .cmss import (
    CMSSPicture,
    MixtureRecord,
    cmss_pictures,
    cmss_sheet,
    save_mixture_history,
    visible_history_sheet,
)
from .curves import save_miss_rate_curves, save_pr_curves, save_roc_curve
from .masks import mask_sheet
from .matching import match_picture
from .reconstruction import pair_reconstruction_sheet, reconstruction_sheet
from .saliency import saliency_picture
from .segmentation import segmentation_picture
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
