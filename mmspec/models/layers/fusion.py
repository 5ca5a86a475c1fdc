"""Ways to make one map of the maps of two modalities."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn


class PlainFusion(nn.Module):
    """A function of both maps without weights, which gives ``widening`` times their channels."""

    def __init__(self, in_channels: int, function: Callable, widening: int = 1) -> None:
        super().__init__()
        self.out_channels = widening * in_channels
        self.function = function

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        return self.function(infrared, visible)


class GatedFusion(nn.Module):
    """``g * infrared + (1 - g) * visible`` with a gate for each place and channel.

    ``g`` is the sigmoid of a 1x1 convolution of both maps (gated multimodal units, Arevalo et al.,
    arXiv 1702.01992, equation for two modalities, on the maps as they are). It starts at 1/2.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = in_channels
        self.gate = nn.Conv2d(2 * in_channels, in_channels, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        gate = self.gate(_side_by_side(infrared, visible)).sigmoid()
        return visible + gate * (infrared - visible)


def _side_by_side(infrared: Tensor, visible: Tensor) -> Tensor:
    return torch.cat([infrared, visible], dim=1)


FUSIONS = dict(
    concat=partial(PlainFusion, function=_side_by_side, widening=2),  # M-SpecGene
    sum=partial(PlainFusion, function=torch.add),
    max=partial(PlainFusion, function=torch.maximum),  # at each place and channel
    gated=GatedFusion,
)
