"""Encoders."""

from .conv_vit import ConvViT
from .dense_nested import DenseNestedUNet
from .masked_swin import MaskedSwin
from .masked_vit import MaskedViT
from .rgbt import RGBTBackbone

__all__ = ["ConvViT", "DenseNestedUNet", "MaskedSwin", "MaskedViT", "RGBTBackbone"]
