"""Masks made inside the model, on the device of the images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmspec.masking import (
    SCORES,
    PatchMask,
    UniformMask,
    grid_of,
    information_keep,
    projection,
    random_keep,
    secondary_mask,
    uniform_keep,
    visible_count,
)
from mmspec.registry import MODELS


@MODELS.register_module()
class RandomMasker(BaseModule):
    """Uniformly random patches (MAE, section 3).

    Args:
        mask_ratio: share of masked patches.
        patch_size: pixels a side of a patch.
    """

    def __init__(self, mask_ratio: float = 0.75, patch_size: int = 16) -> None:
        super().__init__()
        self.mask_ratio = mask_ratio
        self.patch_size = patch_size

    def forward(self, images: Tensor) -> PatchMask:
        """Masks images (B, C, H, W)."""
        grid = grid_of(*images.shape[-2:], self.patch_size)
        num_patches = grid[0] * grid[1]
        keep = visible_count(num_patches, ratio=self.mask_ratio)
        return PatchMask.from_keep(
            random_keep(images.shape[0], num_patches, keep, images.device), grid
        )


@MODELS.register_module()
class InformationMasker(BaseModule):
    """Information-aware masking (InfMAE, section 4.1) of a batch of normalised images.

    Args:
        score: 'intensity', 'variance', 'entropy', or 'projection', the released code's frozen
            random convolution, kept here as its mean kernel (a buffer, so that a checkpoint brings
            its own).
        stride: every how many-th rank is visible; 4 leaves a quarter.
        mask_ratio: share of masked patches, instead of a stride (which is then None).
        order: 'descending' (the paper) or 'ascending' (the released code).
        phase: rank of the first visible patch, or 'random' to draw it for each image.
        patch_size: pixels a side of a patch.
        in_channels: image channels, for 'projection'.
        mean, std: the normalisation to undo, so that scores are in gray levels 0..255; 'entropy'
            needs them, the ranks of the others do not change with it.
    """

    def __init__(
        self,
        score: str = "intensity",
        stride: int | None = 4,
        mask_ratio: float | None = None,
        order: str = "descending",
        phase: int | str = 0,
        patch_size: int = 16,
        in_channels: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if score == "entropy" and (mean is None or std is None):
            raise ValueError(
                "score='entropy' counts gray levels 0..255: give the mean and std by which the "
                "data preprocessor normalises"
            )
        if score not in (*SCORES, "projection"):
            raise ValueError(f"score={score!r}: {', '.join((*SCORES, 'projection'))}")
        self.score = score
        self.stride = stride
        self.mask_ratio = mask_ratio
        self.order = order
        self.phase = phase
        self.patch_size = patch_size
        self.register_buffer("mean", torch.tensor(mean or (0.0,)).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std or (1.0,)).view(-1, 1, 1), persistent=False)
        if score == "projection":
            # The mean of many independent Xavier kernels, of which only the direction matters.
            self.register_buffer("kernel", torch.randn(in_channels, patch_size, patch_size))

    def forward(self, images: Tensor) -> PatchMask:
        """Masks images (B, C, H, W)."""
        grid = grid_of(*images.shape[-2:], self.patch_size)
        if self.score == "projection":
            scores = projection(images, self.kernel)
        else:
            scores = SCORES[self.score](images * self.std + self.mean, self.patch_size)
        ids_keep = information_keep(scores, self.stride, self.mask_ratio, self.order, self.phase)
        return PatchMask.from_keep(ids_keep, grid)


@MODELS.register_module()
class UniformMasker(BaseModule):
    """One random patch in each 2x2 window, a part of them hidden again (UM-MAE, section 3).

    Three quarters of the patches are not sampled; with a secondary ratio of 0.25 a further
    sixteenth is seen as a mask token, and both are reconstructed.

    Args:
        secondary_ratio: share of the sampled patches that become mask tokens (the paper's: 0.25).
        patch_size: pixels a side of a patch.
    """

    def __init__(self, secondary_ratio: float = 0.25, patch_size: int = 16) -> None:
        super().__init__()
        self.secondary_ratio = secondary_ratio
        self.patch_size = patch_size

    def forward(self, images: Tensor) -> UniformMask:
        """Masks images (B, C, H, W), H and W multiples of two patches."""
        grid = grid_of(*images.shape[-2:], self.patch_size)
        ids_keep = uniform_keep(len(images), grid, images.device)
        secondary = secondary_mask(*ids_keep.shape, self.secondary_ratio, images.device)
        return UniformMask.from_sampled(ids_keep, secondary, grid)
