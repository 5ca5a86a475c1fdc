"""Losses of heads. Importing this module registers them."""

from .dual_softmax import DualSoftmaxLoss
from .small_target import SLSLoss, SoftIoULoss

__all__ = ["DualSoftmaxLoss", "SLSLoss", "SoftIoULoss"]
