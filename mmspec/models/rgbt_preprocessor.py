"""From the pixels of aligned pairs to what the encoder of both modalities sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmspec.registry import MODELS

#: Channels of a normalised pair, by the names that data samples give to theirs.
CHANNELS = ("infrared", "infrared", "infrared", "red", "green", "blue")


@MODELS.register_module()
class RGBTDataPreprocessor(BaseDataPreprocessor):
    """Moves a batch of pairs to the device and normalises each modality by its own mean and std.

    Every data sample says in ``channels`` which channel of its pixels is what, and pixels are put
    in order by these names: ('infrared', 'red', 'green', 'blue') and the six channels of
    ``LoadRGBTImageFromFile`` give the same images.

    Args:
        mean_thermal, std_thermal: of three equal infrared channels, in gray levels 0..255.
        mean_visible, std_visible: of red, green, blue.
        non_blocking: see ``BaseDataPreprocessor``.
    """

    def __init__(
        self,
        mean_thermal: Sequence[float] = (123.675, 116.28, 103.53),
        std_thermal: Sequence[float] = (58.395, 57.12, 57.375),
        mean_visible: Sequence[float] = (123.675, 116.28, 103.53),
        std_visible: Sequence[float] = (58.395, 57.12, 57.375),
        non_blocking: bool = False,
    ) -> None:
        super().__init__(non_blocking)
        mean, std = (*mean_thermal, *mean_visible), (*std_thermal, *std_visible)
        if len(mean) != 6 or len(std) != 6:
            raise ValueError(
                "mean and std of each modality have 3 values, got "
                f"{len(mean_thermal)}, {len(mean_visible)} and {len(std_thermal)}, "
                f"{len(std_visible)}"
            )
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """``dict(inputs, data_samples)`` with uint8 pixels (B, C, H, W) to float (B, 6, H, W).

        The channels that come out are those of :data:`CHANNELS`.
        """
        data = self.cast_data(data)
        inputs, samples = data["inputs"], data["data_samples"]
        if isinstance(inputs, list):
            inputs = torch.stack(inputs)
        order = _order({sample.get("channels") for sample in samples}, inputs)
        pairs = torch.stack([inputs[:, i] for i in order], dim=1).float()
        return dict(inputs=(pairs - self.mean) / self.std, data_samples=samples)


def _order(stated: set, inputs: Tensor) -> list[int]:
    """Where each of :data:`CHANNELS` stands in the pixels."""
    channels = stated.pop()
    if stated or channels is None or len(channels) != inputs.shape[1]:
        raise ValueError(
            f"pixels {tuple(inputs.shape)} whose data samples state the channels "
            f"{[channels, *stated]}: every sample of a batch must state the same, and one name a "
            "channel. Load by mmspec.LoadRGBTImageFromFile and pack by "
            "PackInputs(meta_keys=['channels', ...])"
        )
    if absent := set(CHANNELS) - set(channels):
        raise ValueError(f"channels {tuple(channels)}: no {', '.join(sorted(absent))}")
    return [channels.index(name) for name in CHANNELS]
