"""Masks of single images, made on their device, and those that the samples of a batch bring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.model import BaseModule
from mmpretrain.structures import DataSample
from torch import Tensor

from mmspec.masking import InformationMasking, PatchMask, UniformMask, grid_of, uniform_mask
from mmspec.registry import MODELS


def mask_of_samples(
    images: Tensor, data_samples: Sequence[DataSample] | None, patch_size: int
) -> PatchMask:
    """Put together the masks of images (B, C, H, W) whose samples have ``ids_keep``, (V,) int64.

    Raises:
        ValueError: they have none.
    """
    if not data_samples or "ids_keep" not in data_samples[0]:
        raise ValueError(
            "no mask: add the transform mmspec.InformationAwareMask and "
            "PackInputs(algorithm_keys=['ids_keep']) to the pipeline, or give InfMAE a masker"
        )
    # Put together on the host: one copy to the device, not one a sample.
    ids_keep = torch.from_numpy(np.stack([sample.ids_keep for sample in data_samples]))
    grid = grid_of(*images.shape[-2:], patch_size)
    return PatchMask.from_keep(ids_keep.to(images.device, non_blocking=True), grid)


@MODELS.register_module()
class InformationMasker(BaseModule):
    """Mask a batch of normalised images by what their patches tell (InfMAE, section 4.1).

    For the released code's score, and for images that are cropped on the device. Gray levels are
    counted where images still have them: 'entropy' is left to the transform
    :class:`InformationAwareMask`.

    Args:
        score: that of :class:`mmspec.masking.InformationMasking`, or 'projection', a frozen random
            convolution. Its mean kernel is a buffer, so that a checkpoint brings its own.
        in_channels: image channels, for 'projection'.
        options: the others of :class:`mmspec.masking.InformationMasking`.
    """

    def __init__(self, score: str = "intensity", in_channels: int = 3, **options) -> None:
        super().__init__()
        if score == "entropy":
            raise ValueError(
                "score='entropy' counts gray levels 0..255, and a model sees normalised images: "
                "use the transform mmspec.InformationAwareMask"
            )
        kernel = None
        if score != "projection":
            options["score"] = score
        self.masking = InformationMasking(**options)
        if score == "projection":
            # The mean of many independent Xavier kernels, of which only the direction matters.
            kernel = torch.randn(in_channels, self.masking.patch_size, self.masking.patch_size)
        self.register_buffer("kernel", kernel)

    def forward(self, images: Tensor) -> PatchMask:
        """Mask images (B, C, H, W)."""
        grid = grid_of(*images.shape[-2:], self.masking.patch_size)
        return PatchMask.from_keep(self.masking(images, self.kernel), grid)


@MODELS.register_module()
class UniformMasker(BaseModule):
    """Mask a batch of images as UM-MAE does: see :func:`mmspec.masking.uniform_mask`.

    Args:
        secondary_ratio: as there.
        patch_size: pixels a side of a patch.
    """

    def __init__(self, secondary_ratio: float = 0.25, patch_size: int = 16) -> None:
        super().__init__()
        self.secondary_ratio = secondary_ratio
        self.patch_size = patch_size

    def forward(self, images: Tensor) -> UniformMask:
        """Mask images (B, C, H, W), H and W multiples of two patches."""
        grid = grid_of(*images.shape[-2:], self.patch_size)
        return uniform_mask(len(images), grid, self.secondary_ratio, images.device)
