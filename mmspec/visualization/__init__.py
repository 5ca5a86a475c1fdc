"""Pictures of masks, reconstructions and losses."""

from .loss_curve import save_loss_curve
from .masks import mask_sheet
from .reconstruction import reconstruction_sheet

__all__ = ["mask_sheet", "reconstruction_sheet", "save_loss_curve"]
