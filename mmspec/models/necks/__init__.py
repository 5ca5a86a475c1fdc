"""Decoders and feature pyramids."""

from .patch_decoders import DualModalityDecoder, InfMAEDecoder
from .simple_fpn import SimpleFPN

__all__ = ["DualModalityDecoder", "InfMAEDecoder", "SimpleFPN"]
