"""From the pixels of either modality, or of both, to what encoders see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

INFRARED = ("infrared",) * 3
VISIBLE = ("red", "green", "blue")
#: Channels of a normalised pair, by the names that data samples give to theirs.
CHANNELS = (*INFRARED, *VISIBLE)

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class ModalityNormalization:
    """Mixin of data preprocessors that know each modality's own mean and std.

    Every data sample says in ``channels`` which channel of its pixels is what, and pixels are put
    in order by these names: ('infrared', 'red', 'green', 'blue') and the six channels of
    ``LoadRGBTImageFromFile`` give the same images, and so do blue, green, red and red, green, blue.
    """

    def _register_statistics(
        self,
        mean_infrared: Sequence[float],
        std_infrared: Sequence[float],
        mean_visible: Sequence[float],
        std_visible: Sequence[float],
    ) -> None:
        mean, std = (*mean_infrared, *mean_visible), (*std_infrared, *std_visible)
        if len(mean) != 6 or len(std) != 6:
            raise ValueError(
                "mean and std of each modality have 3 values, got "
                f"{len(mean_infrared)}, {len(mean_visible)} and {len(std_infrared)}, "
                f"{len(std_visible)}"
            )
        for name, values in (("mean", mean), ("std", std)):
            values = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def _in_order(self, pixels: Tensor, channels: Sequence[str]) -> Tensor:
        """(..., C, H, W) to (..., C', H, W) in the order of CHANNELS, or of one modality's half."""
        # Not pixels[..., order, :, :]: a list of indices is copied to the device each time.
        order = [channels.index(name) for name in CHANNELS[_half(channels)]]
        return torch.stack([pixels[..., i, :, :] for i in order], dim=-3)

    def _normalize(self, ordered: Tensor, channels: Sequence[str]) -> Tensor:
        """What :meth:`_in_order` gave, as float."""
        half = _half(channels)
        return (ordered.float() - self.mean[half]) / self.std[half]


def _half(channels: Sequence[str]) -> slice:
    """The part of CHANNELS that an image of these channels has."""
    return slice(0 if "infrared" in channels else 3, 6 if "red" in channels else 3)


def check_channels(channels: Sequence[str], needed: Sequence[str] = ()) -> None:
    """Raises ValueError for names that are none, a part of red, green, blue, or what is absent."""
    if {*VISIBLE} & set(channels):
        needed = (*needed, *VISIBLE)
    if absent := set(needed) - set(channels):
        raise ValueError(f"channels {tuple(channels)}: no {', '.join(sorted(absent))}")
    if unknown := set(channels) - set(CHANNELS):
        known = ", ".join(dict.fromkeys(CHANNELS))
        raise ValueError(
            f"channels {tuple(channels)}: unknown {', '.join(sorted(unknown))}; known: {known}"
        )


def stated_channels(samples: Iterable | None, inputs: Sequence[Tensor]) -> tuple[str, ...]:
    """The names of the channels of a batch, as its data samples state them.

    Args:
        samples: of the images.
        inputs: images (C, H, W), or a tensor (B, C, H, W).

    Raises:
        ValueError: They state nothing, not the same, or not one name a channel.
    """
    stated = {sample.get("channels") for sample in samples or [{}]}
    counts = {len(image) for image in inputs}
    channels = next(iter(stated))
    if len(stated) > 1 or channels is None or counts != {len(channels)}:
        raise ValueError(
            f"images of {sorted(counts)} channels whose data samples state"
            f" {sorted(stated, key=str)}: every sample of a batch must state the same, and one name"
            " a channel. Load by mmspec.LoadRGBTImageFromFile, and pack with 'channels' among the"
            " meta_keys of PackInputs, PackDetInputs or PackSegInputs"
        )
    return channels
