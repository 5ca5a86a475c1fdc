"""Initial weights."""

from __future__ import annotations

import math

from torch import Tensor, nn


def xavier_of_patches_(weight: Tensor) -> Tensor:
    """Xavier-uniform weights of a convolution as a linear map of flattened patches, as in MAE.

    In place whatever the memory format: ``flatten`` would copy channels-last weights.
    """
    bound = math.sqrt(6 / (weight.shape[0] + weight[0].numel()))
    return nn.init.uniform_(weight, -bound, bound)
