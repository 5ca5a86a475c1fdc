"""Losses of segmentation heads. Importing this module registers them."""

from .small_target import SLSLoss, SoftIoULoss

__all__ = ["SLSLoss", "SoftIoULoss"]
