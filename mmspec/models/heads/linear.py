"""The segmentation head of a linear probe."""

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor

from mmspec.registry import MODELS


@MODELS.register_module()
class LinearHead(BaseDecodeHead):
    """One 1x1 convolution over the standardised maps of a frozen encoder.

    The protocol of ``mmspec.probing`` for mmseg: a batch norm without weights of its own, then the
    convolution. Several maps are brought to the size of the first and put side by side.

    Args:
        in_channels: channels of the maps.
        in_index: which of the maps of the backbone; by default the first ones.
        norm_cfg: of the standardisation; by default SyncBN.
        dropout_ratio, kwargs: of mmseg's BaseDecodeHead, whose own dropout is 0.1.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        in_index: Sequence[int] | None = None,
        norm_cfg: dict | None = None,
        dropout_ratio: float = 0.0,
        **kwargs,
    ) -> None:
        norm_cfg = dict(norm_cfg or dict(type="SyncBN"), affine=False)
        super().__init__(
            list(in_channels),
            sum(in_channels),
            in_index=list(range(len(in_channels))) if in_index is None else list(in_index),
            input_transform="resize_concat",
            norm_cfg=norm_cfg,
            dropout_ratio=dropout_ratio,
            **kwargs,
        )
        self.norm = build_norm_layer(norm_cfg, self.channels)[1]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps (B, C_i, H_i, W_i) of the backbone to logits (B, classes, H_0, W_0)."""
        return self.cls_seg(self.norm(self._transform_inputs(inputs)))
