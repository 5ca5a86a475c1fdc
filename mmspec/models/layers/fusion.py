"""Ways to make one map of the maps of two modalities."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConcatFusion(nn.Module):
    """Both maps side by side, infrared first (M-SpecGene): twice the channels."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = 2 * in_channels

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        return torch.cat([infrared, visible], dim=1)


class SumFusion(nn.Module):
    """The sum of both maps."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = in_channels

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        return infrared + visible


class MaxFusion(nn.Module):
    """The larger value at each place and channel."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.out_channels = in_channels

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        return torch.maximum(infrared, visible)


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
        gate = self.gate(torch.cat([infrared, visible], dim=1)).sigmoid()
        return visible + gate * (infrared - visible)


FUSIONS = dict(concat=ConcatFusion, sum=SumFusion, max=MaxFusion, gated=GatedFusion)
