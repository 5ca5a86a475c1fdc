"""Scores of information-aware masking: which patches of an infrared image tell most.

Scores take images (B, C, H, W) of any dtype and give (B, N) float32, N = (H / p) * (W / p) patches
row by row. Images of several channels are averaged to one gray level a pixel first.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor


def grid_of(height: int, width: int, patch_size: int) -> tuple[int, int]:
    """Give (rows, columns) of patches; an error where the patch size does not divide the image."""
    if height % patch_size or width % patch_size or not height * width:
        raise ValueError(
            f"a {height}x{width} image does not divide into {patch_size}x{patch_size} patches; "
            "crop, resize or pad it to a multiple first"
        )
    return height // patch_size, width // patch_size


def _gray(images: Tensor) -> Tensor:
    """Gray levels (B, H, W): those of one 8-bit channel in float32, any others in float64."""
    if images.shape[1] == 1 and images.dtype == torch.uint8:
        return images[:, 0].float()
    return images.double().mean(1)


def _sums(values: Tensor, patch_size: int) -> Tensor:
    """Sums over patches of (B, H, W): (B, N) float64.

    First over rows, which lie side by side in memory. Sums of 8-bit levels, and of their squares,
    are exact: ranks are the same on every device.
    """
    rows, columns = grid_of(*values.shape[-2:], patch_size)
    sums = values.unflatten(1, (rows, patch_size)).sum(2)
    return sums.unflatten(2, (columns, patch_size)).sum(3, dtype=torch.float64).flatten(1)


def intensity(images: Tensor, patch_size: int = 16) -> Tensor:
    """Mean gray level (InfMAE, section 4.1: warmer patches hold more information)."""
    return (_sums(_gray(images), patch_size) / patch_size**2).float()


def variance(images: Tensor, patch_size: int = 16) -> Tensor:
    """Variance of the gray level inside the patch (population form)."""
    gray, pixels = _gray(images), patch_size**2
    mean = _sums(gray, patch_size) / pixels
    return (_sums(gray.square(), patch_size) / pixels - mean.square()).clamp(min=0).float()


def deviation(images: Tensor, patch_size: int = 16) -> Tensor:
    """Mean distance of the patch's gray levels from the median of the image.

    A hot patch of a white-hot image, or the cold one that it is in black-hot, stands out alike.
    """
    gray = _gray(images)
    pixels = gray.flatten(1)
    # PyTorch's median is the lower of the two middle ones: an inverted image would have the other.
    median = (pixels.median(1).values - (-pixels).median(1).values) / 2
    return (_sums((gray - median[:, None, None]).abs(), patch_size) / patch_size**2).float()


@cache
def _entropy_terms(pixels: int) -> Tensor:
    """What a gray level adds to the entropy, in nats, by its count of 0..pixels in a patch."""
    return torch.special.entr(torch.arange(pixels + 1) / pixels)


def entropy(images: Tensor, patch_size: int = 16) -> Tensor:
    """Shannon entropy, in bits, of the patch's histogram over the 256 gray levels 0..255.

    Gray levels are rounded and clamped to 0..255 (InfMAE, equation 1, applied to one patch; at most
    8 bits for 16x16 pixels); NaN counts as 0.
    """
    rows, columns = grid_of(*images.shape[-2:], patch_size)
    gray = _gray(images)
    if gray.dtype == torch.float64:  # any but 8 bits
        # NaN has no place in a histogram, and as an integer would end the whole batch.
        gray = gray.round().clamp(0, 255).nan_to_num(0)
    patches = gray.long().unflatten(2, (columns, patch_size)).unflatten(1, (rows, patch_size))
    first_bins = torch.arange(len(images) * rows * columns, device=images.device) * 256
    bins = patches + first_bins.view(-1, rows, 1, columns, 1)
    counts = bins.flatten().bincount(minlength=256 * len(first_bins))
    terms = _entropy_terms(patch_size**2).to(images.device).index_select(0, counts)
    return terms.view(len(images), -1, 256).sum(-1) / math.log(2)


#: The scores that need the image alone, by the name that configs use. All but intensity rank the
#: patches of an image and of its inverse alike.
SCORES = {
    "intensity": intensity,
    "variance": variance,
    "entropy": entropy,
    "deviation": deviation,
}


def projection(images: Tensor, kernel: Tensor) -> Tensor:
    """Response of one frozen kernel, the score of InfMAE's released code.

    That code averages the 768 outputs of a 16x16 convolution which never learns, of images
    normalised as for the encoder. The mean over the outputs is one convolution with the mean kernel
    (C, p, p): the same ranks for 1/768 of the work. Its bias moves every score alike and is left
    out.
    """
    patch_size = kernel.shape[-1]
    grid_of(*images.shape[-2:], patch_size)
    # Ranks in half precision, or in TF32, a GPU's default for convolutions, would be others.
    return F.conv2d(images.double(), kernel[None].double(), stride=patch_size).flatten(1).float()
