"""How much information a patch of an infrared image holds: one score a patch.

Every function takes images (B, C, H, W) of any dtype and gives (B, N) float32, N = (H / p) * (W /
p) patches row by row. Images of several channels are averaged to one gray level a pixel first.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def grid_of(height: int, width: int, patch_size: int) -> tuple[int, int]:
    """(rows, columns) of patches; an error when the patch size does not divide the image."""
    if height % patch_size or width % patch_size or not height * width:
        raise ValueError(
            f"a {height}x{width} image does not divide into {patch_size}x{patch_size} patches; "
            "crop, resize or pad it to a multiple first"
        )
    return height // patch_size, width // patch_size


def gray_patches(images: Tensor, patch_size: int) -> Tensor:
    """Gray levels by patch: (B, N, patch_size ** 2) float32."""
    grid_of(*images.shape[-2:], patch_size)
    gray = images.float().mean(1, keepdim=True)
    return F.pixel_unshuffle(gray, patch_size).flatten(2).transpose(1, 2)


def intensity(images: Tensor, patch_size: int = 16) -> Tensor:
    """Mean gray level (InfMAE, section 4.1: warmer patches hold more information)."""
    return gray_patches(images, patch_size).mean(-1)


def variance(images: Tensor, patch_size: int = 16) -> Tensor:
    """Variance of the gray level inside the patch (population form)."""
    return gray_patches(images, patch_size).var(-1, unbiased=False)


def entropy(images: Tensor, patch_size: int = 16) -> Tensor:
    """Shannon entropy, in bits, of the patch's histogram over the 256 gray levels 0..255.

    Gray levels are rounded and clamped to 0..255 (InfMAE, equation 1, applied to one patch; at most
    8 bits for 16x16 pixels); NaN counts as 0.
    """
    # NaN has no place in a histogram, and as an integer would end the whole batch.
    levels = gray_patches(images, patch_size).round().clamp(0, 255).nan_to_num(0).long()
    pixels = levels.shape[-1]
    counts = levels.new_zeros(*levels.shape[:2], 256, dtype=torch.float32)
    counts.scatter_add_(2, levels, torch.ones_like(levels, dtype=torch.float32))
    return torch.special.entr(counts / pixels).sum(-1) / math.log(2)


def projection(images: Tensor, kernel: Tensor) -> Tensor:
    """Response of one frozen kernel, the score of InfMAE's released code.

    That code averages the 768 outputs of a 16x16 convolution which never learns. The mean over the
    outputs of a convolution is one convolution with the mean kernel: the same ranks for 1/768 of
    the work.

    Args:
        images: (B, C, H, W), normalised as for the encoder.
        kernel: (C, p, p), the mean of the convolution's weight over its outputs (its bias moves
            every score alike and is left out).
    """
    patch_size = kernel.shape[-1]
    grid_of(*images.shape[-2:], patch_size)
    # Ranks in half precision would be others.
    with torch.autocast(images.device.type, enabled=False):
        return F.conv2d(images.float(), kernel[None].float(), stride=patch_size).flatten(1)
