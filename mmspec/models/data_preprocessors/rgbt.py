"""From the pixels of pairs, or of one modality, to what encoders take.

Where mmdet or mmseg is missing, or refuses the installed mmcv, stand-ins are registered that say so
when a config asks for one.
"""

from collections.abc import Iterable, Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmspec.optional import IMPORT_ERRORS, stand_ins
from mmspec.pairs import PAIR, VISIBLE
from mmspec.registry import MODELS

from .views import ViewsMixin

#: Of what comes out, for a pair.
CHANNELS = ("infrared",) * 3 + VISIBLE
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class PairNormalization:
    """Mixin that normalises each modality by its own mean and std.

    Every data sample says in ``channels`` which channel of its pixels is what, and pixels are put
    in order by these names.
    """

    def __init__(
        self,
        mean_infrared: Sequence[float] = IMAGENET_MEAN,
        std_infrared: Sequence[float] = IMAGENET_STD,
        mean_visible: Sequence[float] = IMAGENET_MEAN,
        std_visible: Sequence[float] = IMAGENET_STD,
        **kwargs,
    ) -> None:
        for key in ("mean", "std", "bgr_to_rgb", "rgb_to_bgr"):
            if key in kwargs:
                raise TypeError(
                    f"{type(self).__name__}: {key} has no meaning here; give mean_infrared,"
                    " std_infrared, mean_visible (red, green, blue) and std_visible; channels are"
                    " ordered by the names in the data samples"
                )
        super().__init__(**kwargs)
        statistics = dict(mean=(mean_infrared, mean_visible), std=(std_infrared, std_visible))
        for name, sides in statistics.items():
            if [len(side) for side in sides] != [3, 3]:
                raise ValueError(f"{name} of each modality has 3 values, got {sides}")
            values = torch.tensor([*sides[0], *sides[1]], dtype=torch.float32)
            self.register_buffer(name, values.view(-1, 1, 1), persistent=False)

    def normalize(self, pixels: Tensor, channels: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Uint8 pixels in the order of ``CHANNELS``, as they are and normalised.

        From (..., C, H, W), both (..., 6, H, W), or (..., 3, H, W) of one modality.
        """
        half = slice(0 if "infrared" in channels else 3, 6 if "red" in channels else 3)
        # Not pixels[..., order, :, :]: a list of indices is copied to the device each time.
        order = [channels.index(name) for name in CHANNELS[half]]
        ordered = torch.stack([pixels[..., i, :, :] for i in order], dim=-3)
        return ordered, (ordered.float() - self.mean[half]) / self.std[half]

    def images_of(self, pixels: Tensor, channels: Sequence[str]) -> Tensor:
        """What encoders take of pixels (..., C, H, W): float in the order of ``CHANNELS``."""
        return self.normalize(pixels, channels)[1]


@MODELS.register_module()
class RGBTDataPreprocessor(ViewsMixin, PairNormalization, BaseDataPreprocessor):
    """Move a batch of pairs to the device and normalise each modality by its own mean and std.

    Args:
        views: see :class:`RandomViews`.
        mean_infrared, std_infrared: of three equal infrared channels, in gray levels 0..255.
        mean_visible, std_visible: of red, green, blue.
        non_blocking: see ``BaseDataPreprocessor``.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """``dict(inputs, data_samples)`` with uint8 pixels (B, 4, H, W) to float (B, 6, H, W).

        The channels that come out are those of ``CHANNELS``. Without data samples, as ``PackImage``
        leaves them out, those of the batch are a pair's in their one order. With ``sizes`` (B, 2)
        where ``collate_padded`` padded images.
        """
        data = self.on_device(data, training)
        inputs, samples = data["inputs"], data.get("data_samples")
        known = [dict(channels=PAIR)] if samples is None else samples
        channels = stated_channels(known, inputs, PAIR)
        return dict(inputs=self.images_of(inputs, channels), data_samples=samples)


class _BeforeFramework(PairNormalization):
    """What stands before a framework's data preprocessor, which then stacks and pads."""

    def forward(self, data: dict, training: bool = False) -> dict:
        """The framework's forward of normalised images.

        From ``dict(inputs, data_samples)``, with uint8 images (C, H, W), each a size of its own,
        whose samples state their ``channels``, to float images (B, 6, H, W) in the order of
        ``CHANNELS``, or (B, 3, H, W) if the samples have one modality alone. Images are padded by
        0, the mean. A modality that is black throughout is all 0: absent, see
        :class:`RGBTBackbone`.
        """
        data = self.cast_data(data)
        channels = stated_channels(data.get("data_samples"), data["inputs"])
        images = [self.images_of(image, channels) for image in data["inputs"]]
        return super().forward({**data, "inputs": images}, training)

    def images_of(self, pixels: Tensor, channels: Sequence[str]) -> Tensor:
        """Normalised, with 0 in place of a modality of a pair whose pixels are all 0."""
        ordered, images = self.normalize(pixels, channels)
        if images.shape[-3] == 3:
            return images
        # A factor on the device; a condition would wait for it. Compared first: ONNX casts to whole
        # numbers, where a fraction is 0.
        seen = (ordered != 0).unflatten(-3, (2, 3)).flatten(-3).any(dim=-1)
        return images * seen[..., None].expand(*seen.shape, 3).flatten(-2)[..., None, None]


try:
    from mmdet.models.data_preprocessors import DetDataPreprocessor
except IMPORT_ERRORS as error:
    globals().update(stand_ins(MODELS, ["RGBTDetDataPreprocessor"], "mmdet", error))
else:

    @MODELS.register_module()
    class RGBTDetDataPreprocessor(_BeforeFramework, DetDataPreprocessor):
        """mmdet's data preprocessor for pairs, or for one modality of them.

        Takes the statistics of :class:`RGBTDataPreprocessor` and the other arguments of
        ``DetDataPreprocessor``, without ``bgr_to_rgb`` and ``rgb_to_bgr``.
        """


try:
    from mmseg.models import SegDataPreProcessor
except IMPORT_ERRORS as error:
    globals().update(stand_ins(MODELS, ["RGBTSegDataPreprocessor"], "mmseg", error))
else:

    @MODELS.register_module()
    class RGBTSegDataPreprocessor(_BeforeFramework, SegDataPreProcessor):
        """mmseg's, likewise, with the other arguments of ``SegDataPreProcessor``."""


def stated_channels(
    samples: Iterable | None, inputs: Sequence[Tensor], needed: Sequence[str] = ()
) -> tuple[str, ...]:
    """The names of the channels of a batch (images or a tensor), as its data samples state them.

    ValueError where they state nothing, not the same, not one name a channel, a name that is none,
    a part of red, green and blue, or not what is needed.
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
    needed = {*needed, *(VISIBLE if {*VISIBLE} & {*channels} else ())}
    if absent := needed - {*channels}:
        raise ValueError(f"channels {tuple(channels)}: no {', '.join(sorted(absent))}")
    if unknown := {*channels} - {*PAIR}:
        raise ValueError(
            f"channels {tuple(channels)}: unknown {', '.join(sorted(unknown))}; known:"
            f" {', '.join(PAIR)}"
        )
    return channels
