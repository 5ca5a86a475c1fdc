"""Decoder and segmentation head of infrared small targets."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.upsample import PixelShufflePack
from mmengine.model import bias_init_with_prob
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import DiceLoss
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmspec.registry import MODELS

#: Share of target pixels that an untrained head of one channel predicts.
PRIOR = 0.01
SMALL_LOGITS = dict(
    type="Normal",
    std=0.01,
    bias=bias_init_with_prob(PRIOR),
    override=[dict(name="conv_seg"), dict(name="deep_seg")],
)


@MODELS.register_module()
class SmallTargetHead(BaseDecodeHead):
    """A light U-Net decoder of maps at several strides, whose logits may be finer than any of them.

    Every map is brought to ``channels`` by a 1x1 convolution. From the coarsest map on, what is
    decoded is enlarged, put beside the next finer map and convolved (3x3). Pixel shuffles then take
    the result to the resolution of the logits: a target of some pixels lies within one or two cells
    of a map at 1/4, so that where it is and what shape it has is in the channels of these cells and
    cannot be interpolated between them. Each shuffle doubles the resolution and halves the width.

    Inspired by ISTR (Liu et al., TIP 2023, arXiv 2109.14379), the detector whose encoder InfMAE
    (arXiv 2402.00407) replaces for small targets: a transformer, a decoder with skip connections as
    in U-Net, and a segmentation head. Its code is not public: no parity is claimed.

    Args:
        in_channels: channels of the maps, finest first.
        channels: width of the decoder.
        in_index: which of the maps of the backbone or neck; by default the first ones.
        upscale: logits for a finest map of 1/s of the image are at ``upscale`` / s: 1, 2 or 4. Of a
            ConvViT, whose finest is at 1/4, 2 gives 1/2 and 4 full resolution.
        deep_supervision: weight of the losses of what is decoded at each map, by 1x1 convolutions
            that only training uses; 0: none. The truth of a cell is target if any of its pixels is
            (as in MSHNet, arXiv 2403.19366). Losses that count their calls (``SLSLoss.warmup``) are
            then called 1 + ``len(in_channels)`` times a step.
        num_classes, out_channels, threshold, dropout_ratio, init_cfg, kwargs: of mmseg's
            BaseDecodeHead, whose own threshold is 0.3 and dropout 0.1. Background and target share
            one channel, a sigmoid, unless ``out_channels`` is 2. mmseg's DiceLoss takes the one
            channel for the background; give it two, ``use_sigmoid=False`` and ``ignore_index=0``
            (of classes: the background).
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 64,
        *,
        in_index: Sequence[int] | None = None,
        upscale: int = 4,
        deep_supervision: float = 0.0,
        num_classes: int = 2,
        out_channels: int = 1,
        threshold: float = 0.5,
        dropout_ratio: float = 0.0,
        init_cfg: dict | list[dict] | None = SMALL_LOGITS,
        **kwargs,
    ) -> None:
        in_index = tuple(range(len(in_channels))) if in_index is None else tuple(in_index)
        if len(in_index) != len(in_channels):
            raise ValueError(f"in_index={in_index} and in_channels={in_channels}: one each a map")
        if upscale not in (1, 2, 4) or channels % upscale:
            raise ValueError(
                f"upscale={upscale}, channels={channels}: 1, 2 or 4, which divides the channels"
            )
        if deep_supervision < 0:
            raise ValueError(f"deep_supervision={deep_supervision}: a weight, or 0 for none")
        super().__init__(
            list(in_channels),
            channels,
            num_classes=num_classes,
            out_channels=out_channels,
            threshold=threshold,
            in_index=in_index,
            input_transform="multiple_select",
            dropout_ratio=dropout_ratio,
            init_cfg=init_cfg,
            **kwargs,
        )
        losses = self.loss_decode
        losses = losses if isinstance(losses, nn.ModuleList) else [losses]
        if out_channels == 1 and any(isinstance(loss, DiceLoss) for loss in losses):
            raise ValueError(
                "DiceLoss of mmseg takes a single channel for that of the background: give"
                " out_channels=2 and DiceLoss(use_sigmoid=False, ignore_index=0), or SoftIoULoss"
            )
        self.deep_supervision = deep_supervision
        layers = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg, conv_cfg=self.conv_cfg)
        self.laterals = nn.ModuleList(
            ConvModule(width, channels, 1, **layers) for width in in_channels
        )
        self.fusions = nn.ModuleList(
            ConvModule(2 * channels, channels, 3, padding=1, **layers) for _ in in_channels[1:]
        )
        unfold, width = [], channels
        while channels // width < upscale:
            width //= 2
            # Not before the logits: the first steps push all of them down, by negative weights on
            # each channel if none is ever negative, and then no target can exceed the bias.
            act_cfg = self.act_cfg if channels // width < upscale else None
            unfold += [
                PixelShufflePack(2 * width, width, scale_factor=2, upsample_kernel=1),
                ConvModule(width, width, 3, padding=1, **dict(layers, act_cfg=act_cfg)),
            ]
        self.unfold = nn.Sequential(*unfold)
        self.conv_seg = nn.Conv2d(width, self.out_channels, 1)
        self.deep_seg = nn.ModuleList(
            nn.Conv2d(channels, self.out_channels, 1)
            for _ in (in_channels if deep_supervision else ())
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps (B, C_i, H_i, W_i), finest first, to logits (B, out_channels, u H_0, u W_0)."""
        return self.cls_seg(self.unfold(self._decode(inputs)[-1]))

    def loss(
        self, inputs: Sequence[Tensor], batch_data_samples: list, train_cfg: dict
    ) -> dict[str, Tensor]:
        """Losses by name, those of coarser results with ``.deep0`` (the coarsest) ... behind it.

        Pixel accuracy, which mmseg's heads add, is left out: that of background alone is over 99 %.
        """
        decoded = self._decode(inputs)
        losses = self._losses(self.cls_seg(self.unfold(decoded[-1])), batch_data_samples)
        for number, (conv, features) in enumerate(zip(self.deep_seg, decoded)):
            cells = self._cells(batch_data_samples, features.shape[2:])
            for name, value in self._losses(conv(features), cells).items():
                losses[f"{name}.deep{number}"] = self.deep_supervision * value
        return losses

    def _decode(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What is decoded at each map, coarsest first, each (B, channels, H_i, W_i)."""
        maps = self._transform_inputs(inputs)
        skips = [lateral(x) for lateral, x in zip(self.laterals, maps)]
        decoded = [skips.pop()]
        for fusion in self.fusions:
            skip = skips.pop()
            coarse = resize(
                decoded[-1], skip.shape[2:], mode="bilinear", align_corners=self.align_corners
            )
            decoded.append(fusion(torch.cat([skip, coarse], dim=1)))
        return decoded

    def _cells(self, batch_data_samples: list, size: tuple[int, int]) -> list[SegDataSample]:
        """The truth at the size (rows, columns) of a coarser map; ignored where no pixel counts."""
        labels = self._stack_batch_gt(batch_data_samples)
        target = F.adaptive_max_pool2d((labels == 1).float(), size).long()
        counted = F.adaptive_max_pool2d((labels != self.ignore_index).float(), size)
        cells = target.masked_fill(counted == 0, self.ignore_index)
        return [SegDataSample(gt_sem_seg=PixelData(data=truth)) for truth in cells]

    def _losses(self, logits: Tensor, batch_data_samples: list) -> dict[str, Tensor]:
        losses = self.loss_by_feat(logits, batch_data_samples)
        del losses["acc_seg"]
        return losses
