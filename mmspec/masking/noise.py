"""Scores that are drawn, whatever the image: random masks, and masks in blobs.

Like the other scores they take images (B, C, H, W), of which only the shape and the device count,
and give (B, N) float32. torch's generator of the device draws them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .information import grid_of

#: Deviations in patches of the two Gaussians whose difference passes the frequencies between them.
#: Our choice: lumps of about three patches.
GREEN_SIGMAS = (1.0, 2.0)
REACH = 6  # patches, three of the larger deviations


def white(images: Tensor, patch_size: int = 16) -> Tensor:
    """Independent uniform numbers: every choice of ranks is a random mask (MAE, section 3)."""
    rows, columns = grid_of(*images.shape[-2:], patch_size)
    return torch.rand(len(images), rows * columns, device=images.device)


def green(images: Tensor, patch_size: int = 16) -> Tensor:
    """White noise without its lowest and highest frequencies (ColorMAE, arXiv 2407.13036).

    Its highest values lie in lumps that are spread over the image, so that ``ranks='top'`` shows
    patches in lumps. The paper crops a map of noise that was filtered once; here each image draws
    its own, filtered on a grid wider than its own, so that borders are like the middle.
    """
    rows, columns = grid_of(*images.shape[-2:], patch_size)
    shape = (len(images), 1, rows + 2 * REACH, columns + 2 * REACH)
    noise = torch.randn(shape, device=images.device)
    offsets = torch.arange(-REACH, REACH + 1, device=images.device)
    narrow, wide = ((-(offsets**2) / (2 * sigma**2)).softmax(0) for sigma in GREEN_SIGMAS)
    kernel = narrow.outer(narrow) - wide.outer(wide)
    with torch.autocast(images.device.type, enabled=False):
        return F.conv2d(noise, kernel[None, None]).flatten(1)


NOISES = {"white": white, "green": green}
