"""What each masking score leaves visible."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from mmspec.masking import SCORES, InformationMasking, PatchMask, grid_of, random_keep

from .panels import display_gain, mask_overlay, titled_grid, to_display


def mask_sheet(
    images: list[np.ndarray],
    stride: int = 4,
    patch_size: int = 16,
    own: Mapping[str, PatchMask] | None = None,
) -> np.ndarray:
    """Each image under information-aware masking by every score, and under a random mask.

    Args:
        images: (H, W) gray levels 0..255, of one size that the patch size divides.
        stride: every how many-th rank is visible.
        patch_size: pixels a side of a patch.
        own: further masks of all images, by the title of their column, the first behind the input.

    Returns:
        (H, W, 3) uint8, a row an image.
    """
    own = own or {}
    rows = []
    for i, image in enumerate(images):
        gain = display_gain(image)
        grid = grid_of(*image.shape, patch_size)
        num_patches = grid[0] * grid[1]
        tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
        kept = [InformationMasking(s, stride, patch_size=patch_size)(tensor) for s in SCORES]
        kept.append(random_keep(1, num_patches, num_patches // stride))
        masks = [mask.mask[i] for mask in own.values()]
        masks += [PatchMask.from_keep(ids, grid).mask for ids in kept]
        masks = [mask.view(grid).cpu().numpy() for mask in masks]
        rows.append([to_display(image, gain), *(mask_overlay(image, mask, gain) for mask in masks)])
    return titled_grid(rows, ("input", *own, *SCORES, "random"))
