"""Decoders and feature pyramids."""

from .dual_decoder import DualModalityDecoder
from .infmae_decoder import InfMAEDecoder
from .simple_fpn import SimpleFPN

__all__ = ["DualModalityDecoder", "InfMAEDecoder", "SimpleFPN"]
