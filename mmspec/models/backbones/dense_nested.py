"""Nested U-Net whose skip pathways keep small targets through all resolutions."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmspec.registry import MODELS


@MODELS.register_module()
class DenseNestedUNet(BaseModule):
    """DNANet (Li et al., TIP 2023, arXiv 2106.00487, section III) up to its prediction layers.

    Node (i, j) has the resolution 1 / 2^i and is the j-th of its row, from 0. The first of each row
    are the encoder. Every other node takes all earlier ones of its row, the one of its number in
    the row above, pooled, and the one before it in the row below, enlarged (dense nested
    interactive module). A node is a chain of residual blocks with channel and spatial attention.
    The last nodes of all rows, brought to full resolution, are fused (feature pyramid fusion
    module).

    Args:
        in_channels: of the images.
        channels: width of each row, finest first.
        blocks: residual blocks of a node, of each row.
        dense: False leaves a plain U-Net: of each row the encoder's node, and one of the decoder
            that takes it and, enlarged, what the row below decodes.
        attention: whether blocks have channel and spatial attention.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        blocks: Sequence[int] = (1, 2, 2, 2, 2),
        *,
        dense: bool = True,
        attention: bool = True,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type="Kaiming", layer="Conv2d"))
        if len(channels) < 2 or len(blocks) != len(channels):
            raise ValueError(f"channels={channels}, blocks={blocks}: of two rows or more, one each")
        self.rows = len(channels)
        self.dense = dense
        norm_cfg = norm_cfg or dict(type="BN")

        def chain(width_in: int, width: int, count: int) -> nn.Sequential:
            widths = [width_in] + [width] * (count - 1)
            return nn.Sequential(*(_Block(w, width, attention, norm_cfg) for w in widths))

        self.nodes = nn.ModuleDict()
        for row, number in self._order():
            # Of the encoder's node, what the finer row hands down.
            width = (channels[row - 1] if row else in_channels) if dense or not number else 0
            if number:
                width = width * (row > 0) + channels[row] * (number if dense else 1)
                width += channels[row + 1]
            self.nodes[f"{row}_{number}"] = chain(width, channels[row], blocks[row])
        self.laterals = nn.ModuleList(
            ConvModule(width, channels[0], 1, norm_cfg=norm_cfg) for width in channels
        )
        self.fusion = chain(channels[0] * self.rows, channels[0], 1)
        self.pool = nn.MaxPool2d(2)
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def _order(self) -> list[tuple[int, int]]:
        """The nodes, (row, number), each after those that it takes."""
        last = self.rows - 1
        return [
            (diagonal - number, number)
            for diagonal in range(self.rows)
            for number in range(diagonal + 1)
            if self.dense or number == 0 or diagonal == last
        ]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Decode images (B, in_channels, H, W), whose sides 2^(rows - 1) divides.

        Returns maps (B, channels[0], H, W): the nodes of the first row but the encoder's, each
        deeper than the one before, and the fused one.
        """
        maps: list[list[Tensor]] = [[] for _ in range(self.rows)]
        for row, number in self._order():
            inputs = list(maps[row])
            if row and (self.dense or not number):
                inputs.append(self.pool(maps[row - 1][number]))
            if number:
                inputs.append(self.enlarge(maps[row + 1][-1]))
            elif not row:
                inputs = [x]
            maps[row].append(self.nodes[f"{row}_{number}"](torch.cat(inputs, dim=1)))
        size = x.shape[2:]
        fused = [
            nn.functional.interpolate(lateral(row[-1]), size, mode="bilinear", align_corners=False)
            for lateral, row in zip(self.laterals, maps)
        ]
        return (*maps[0][1:], self.fusion(torch.cat(fused, dim=1)))


class _Block(nn.Module):
    """Two 3x3 convolutions with a shortcut, and channel and spatial attention before the sum."""

    def __init__(self, width_in: int, width: int, attention: bool, norm_cfg: dict) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            ConvModule(width_in, width, 3, padding=1, norm_cfg=norm_cfg),
            ConvModule(width, width, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None),
        )
        self.shortcut = (
            nn.Identity()
            if width_in == width
            else ConvModule(width_in, width, 1, norm_cfg=norm_cfg, act_cfg=None)
        )
        self.attention = (
            nn.Sequential(_ChannelAttention(width), _SpatialAttention())
            if attention
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.attention(self.convs(x)) + self.shortcut(x))


class _ChannelAttention(nn.Module):
    """Equation 5: weights of channels from their maximum and mean, by one perceptron."""

    def __init__(self, width: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(width // reduction, 1)
        self.perceptron = nn.Sequential(
            nn.Linear(width, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, width, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        weights = self.perceptron(x.amax((2, 3))) + self.perceptron(x.mean((2, 3)))
        return x * weights.sigmoid()[:, :, None, None]


class _SpatialAttention(nn.Module):
    """Equation 6: weights of places from maximum and mean over channels, by a 7x7 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)
        return x * self.conv(pooled).sigmoid()
