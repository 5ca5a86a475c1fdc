"""Pictures of masks, reconstructions, losses and segmentations."""

from .loss_curve import save_loss_curve
from .masks import mask_sheet
from .reconstruction import reconstruction_sheet
from .segmentation import segmentation_picture

__all__ = ["mask_sheet", "reconstruction_sheet", "save_loss_curve", "segmentation_picture"]
