"""From the pixels of aligned pairs to what the encoder of both modalities sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor

from mmspec.registry import MODELS

from .normalization import (
    CHANNELS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    ModalityNormalization,
    check_channels,
    stated_channels,
)


@MODELS.register_module()
class RGBTDataPreprocessor(ModalityNormalization, BaseDataPreprocessor):
    """Move a batch of pairs to the device and normalise each modality by its own mean and std.

    Every data sample says in ``channels`` which channel of its pixels is what, and pixels are put
    in order by these names: ('infrared', 'red', 'green', 'blue') and the six channels of
    ``LoadRGBTImageFromFile`` give the same images.

    Args:
        mean_infrared, std_infrared: of three equal infrared channels, in gray levels 0..255.
        mean_visible, std_visible: of red, green, blue.
        non_blocking: see ``BaseDataPreprocessor``.
    """

    def __init__(
        self,
        mean_infrared: Sequence[float] = IMAGENET_MEAN,
        std_infrared: Sequence[float] = IMAGENET_STD,
        mean_visible: Sequence[float] = IMAGENET_MEAN,
        std_visible: Sequence[float] = IMAGENET_STD,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(non_blocking)
        self._register_statistics(mean_infrared, std_infrared, mean_visible, std_visible)

    def forward(self, data: dict, training: bool = False) -> dict:
        """``dict(inputs, data_samples)`` with uint8 pixels (B, C, H, W) to float (B, 6, H, W).

        The channels that come out are those of ``CHANNELS``.
        """
        data = self.cast_data(data)
        inputs, samples = data["inputs"], data["data_samples"]
        channels = stated_channels(samples, inputs)
        check_channels(channels, CHANNELS)
        if isinstance(inputs, list):
            inputs = torch.stack(inputs)
        pairs = self._normalize(self._in_order(inputs, channels), channels)
        return dict(inputs=pairs, data_samples=samples)
