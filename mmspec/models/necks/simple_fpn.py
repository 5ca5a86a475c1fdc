"""The simple feature pyramid of ViTDet."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.utils import LayerNorm2d
from torch import Tensor, nn

from mmspec.registry import MODELS


@MODELS.register_module()
class SimpleFPN(BaseModule):
    """A pyramid from the one map of a plain backbone (ViTDet, arXiv 2203.16527, section 3).

    From the map at 1/16 two 2x2 deconvolutions (with LayerNorm and GELU between them) make 1/4, one
    makes 1/8, a 2x2 max-pool makes 1/32; then at each scale a 1x1 and a 3x3 convolution, each with
    LayerNorm (appendix A.2). The fifth map, 1/64, takes every second place of 1/32, for the RPN.

    Maps of an odd size are rounded up when they shrink, so that no place is lost (ViTDet pads its
    images to multiples of 32, where nothing is to round).

    Args:
        in_channels: channels of the map, a multiple of 4: 768 of a base encoder, 1536 of two
            modalities side by side.
        out_channels: channels of every map of the pyramid.
        num_outs: 4 (to 1/32) or 5 (to 1/64).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        num_outs: int = 5,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if init_cfg is None:  # as mmdet's FPN
            init_cfg = dict(type="Xavier", layer="Conv2d", distribution="uniform")
        super().__init__(init_cfg)
        if not isinstance(in_channels, int) or in_channels % 4:
            raise ValueError(
                f"SimpleFPN: in_channels={in_channels}: the channels of one map, a multiple of 4"
            )
        if num_outs not in (4, 5):
            raise ValueError(f"SimpleFPN: num_outs={num_outs}: 4 (to 1/32) or 5 (to 1/64)")
        self.in_channels = in_channels
        self.num_outs = num_outs
        half, quarter = in_channels // 2, in_channels // 4
        finest = (
            nn.ConvTranspose2d(in_channels, half, 2, 2),
            LayerNorm2d(half, eps=1e-6),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, 2),
        )
        scales = [
            (quarter, *finest),
            (half, nn.ConvTranspose2d(in_channels, half, 2, 2)),
            (in_channels,),
            (in_channels, nn.MaxPool2d(2, 2, ceil_mode=True)),
        ]
        self.scales = nn.ModuleList(
            nn.Sequential(
                *layers,
                nn.Conv2d(dims, out_channels, 1, bias=False),
                LayerNorm2d(out_channels, eps=1e-6),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                LayerNorm2d(out_channels, eps=1e-6),
            )
            for dims, *layers in scales
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The pyramid of a tuple or list that holds one map at 1/16, (B, in_channels, H, W).

        ``num_outs`` maps with ``out_channels`` channels: (4H, 4W), (2H, 2W), (H, W), (H/2, W/2)
        and, of five, (H/4, W/4), rounded up.
        """
        if not isinstance(inputs, (tuple, list)) or len(inputs) != 1:
            given = f"{len(inputs)} maps" if isinstance(inputs, (tuple, list)) else type(inputs)
            raise ValueError(
                f"SimpleFPN takes a tuple of one map at 1/16, got {given}: give the backbone "
                "out_indices=(2,) (mmspec.ConvViT), or use mmdet's FPN"
            )
        x = inputs[0]
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f"SimpleFPN(in_channels={self.in_channels}) got a map of {x.shape[1]} channels"
            )
        maps = [scale(x) for scale in self.scales]
        if self.num_outs == 5:
            maps.append(F.max_pool2d(maps[-1], 1, 2))
        return tuple(maps)
