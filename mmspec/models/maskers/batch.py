"""Masks of a batch of images or pairs, made on its device."""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmspec.masking import (
    InformationMasking,
    PatchMask,
    UniformMask,
    grid_of,
    random_keep,
    uniform_mask,
    visible_count,
)
from mmspec.registry import MODELS


@MODELS.register_module()
class InformationMasker(BaseModule):
    """Mask a batch of normalised images by what their patches tell (InfMAE, section 4.1), or noise.

    Gray levels are counted where images still have them: 'entropy' is left to the transform
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
        projected = score == "projection"
        self.masking = InformationMasking(**options if projected else dict(options, score=score))
        # The mean of many independent Xavier kernels, of which only the direction matters.
        size = self.masking.patch_size
        kernel = torch.randn(in_channels, size, size) if projected else None
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


@MODELS.register_module()
class RandomMasker(BaseModule):
    """Mask random patches of each image of a batch (MAE, arXiv 2111.06377, section 3).

    Args:
        mask_ratio: share of masked patches.
        patch_size: pixels a side of a patch.
    """

    def __init__(self, mask_ratio: float = 0.75, patch_size: int = 16) -> None:
        super().__init__()
        self.mask_ratio = mask_ratio
        self.patch_size = patch_size

    def forward(self, images: Tensor) -> PatchMask:
        """Mask images (B, C, H, W)."""
        grid = grid_of(*images.shape[-2:], self.patch_size)
        num_patches = grid[0] * grid[1]
        keep = visible_count(num_patches, self.mask_ratio)
        return PatchMask.from_keep(random_keep(len(images), num_patches, keep, images.device), grid)


@MODELS.register_module()
class RandomPairMasker(BaseModule):
    """Mask random patches of both modalities, no place visible in both: the baseline of CMSS.

    Args:
        mask_ratio: share of masked patches of each modality (M-SpecGene: 0.9), at least 0.5.
    """

    def __init__(self, mask_ratio: float = 0.9) -> None:
        super().__init__()
        if mask_ratio < 0.5:
            raise ValueError(f"mask_ratio={mask_ratio}: disjoint visible sets need at least 0.5")
        self.mask_ratio = mask_ratio

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[PatchMask, PatchMask]:
        """Mask pairs by their patch tokens, each (B, N, C), as one row of N patches."""
        batch, num_patches = infrared.shape[:2]
        keep = min(visible_count(num_patches, self.mask_ratio), num_patches // 2)
        drawn = random_keep(batch, num_patches, 2 * keep, infrared.device)
        return tuple(PatchMask.from_keep(ids, (1, num_patches)) for ids in drawn.chunk(2, dim=1))

    def statistics(self) -> dict[str, Tensor]:
        """Give what to log of the last masks: nothing."""
        return {}
