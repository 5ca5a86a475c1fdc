"""Pictures of masks and reconstructions."""

from .reconstruction import mask_overlay, reconstruction_sheet

__all__ = ["mask_overlay", "reconstruction_sheet"]
