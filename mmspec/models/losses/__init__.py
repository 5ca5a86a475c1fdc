"""Losses of heads. Importing this module registers them."""

from .dual_softmax import DualSoftmaxLoss
from .small_target import SLSLoss, SoftIoULoss
from .weighted_cross_entropy import WeightedCrossEntropyLoss

__all__ = ["DualSoftmaxLoss", "SLSLoss", "SoftIoULoss", "WeightedCrossEntropyLoss"]
