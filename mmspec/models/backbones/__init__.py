"""Encoders."""

from .conv_vit import ConvViT
from .masked_vit import MaskedViT

__all__ = ["ConvViT", "MaskedViT"]
