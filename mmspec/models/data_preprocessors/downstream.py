"""Data preprocessors of mmdet and mmseg for pairs of infrared and visible images.

Where mmdet or mmseg is missing, or refuses the installed mmcv, stand-ins are registered that say so
when a config asks for one.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mmspec.optional import IMPORT_ERRORS, stand_ins
from mmspec.registry import MODELS

from .normalization import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ModalityNormalization,
    check_channels,
    stated_channels,
)


class _PairPreprocessing(ModalityNormalization):
    """What stands before a framework's data preprocessor, which then stacks and pads."""

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
        self._register_statistics(mean_infrared, std_infrared, mean_visible, std_visible)

    def forward(self, data: dict, training: bool = False) -> dict:
        """The framework's forward of normalised images.

        Args:
            data: ``dict(inputs, data_samples)``, with uint8 images (C, H, W), each a size of its
                own, or as the framework wants them; each sample states its ``channels``.
            training: as in the framework.

        Returns:
            ``dict(inputs, data_samples)``, with float images (B, 6, H, W), infrared, infrared,
            infrared, red, green, blue, or (B, 3, H, W) if the samples have one modality alone.
            Images are padded by 0, the mean, in every channel. A modality that is black throughout
            is all 0: absent, see :class:`RGBTBackbone`.

        Raises:
            ValueError: Samples do not state their channels, or not the same.
        """
        data = self.cast_data(data)
        channels = stated_channels(data.get("data_samples"), data["inputs"])
        check_channels(channels)
        images = [self._present(image, channels) for image in data["inputs"]]
        return super().forward({**data, "inputs": images}, training)

    def _present(self, pixels: Tensor, channels: Sequence[str]) -> Tensor:
        """Normalised (C', H, W), with 0 in place of a modality of a pair whose pixels are all 0."""
        ordered = self._in_order(pixels, channels)
        images = self._normalize(ordered, channels)
        if len(images) == 3:
            return images
        # A factor on the device; a condition would wait for it.
        seen = ordered.view(2, -1).any(dim=1).repeat_interleave(3, output_size=6)
        return images * seen.view(6, 1, 1)


try:
    from mmdet.models.data_preprocessors import DetDataPreprocessor
except IMPORT_ERRORS as error:
    globals().update(stand_ins(MODELS, ["RGBTDetDataPreprocessor"], "mmdet", error))
else:

    @MODELS.register_module()
    class RGBTDetDataPreprocessor(_PairPreprocessing, DetDataPreprocessor):
        """mmdet's data preprocessor for pairs, or for one modality of them.

        Args:
            mean_infrared, std_infrared: of three equal infrared channels, in gray levels 0..255.
            mean_visible, std_visible: of red, green, blue.
            pad_size_divisor, pad_mask and the rest: as in ``DetDataPreprocessor``, without
                ``mean``, ``std``, ``bgr_to_rgb`` and ``rgb_to_bgr``.
        """


try:
    from mmseg.models import SegDataPreProcessor
except IMPORT_ERRORS as error:
    globals().update(stand_ins(MODELS, ["RGBTSegDataPreprocessor"], "mmseg", error))
else:

    @MODELS.register_module()
    class RGBTSegDataPreprocessor(_PairPreprocessing, SegDataPreProcessor):
        """mmseg's data preprocessor for pairs, or for one modality of them.

        Args:
            mean_infrared, std_infrared: of three equal infrared channels, in gray levels 0..255.
            mean_visible, std_visible: of red, green, blue.
            size, seg_pad_val and the rest: as in ``SegDataPreProcessor``, without ``mean``,
                ``std``, ``bgr_to_rgb`` and ``rgb_to_bgr``.
        """
