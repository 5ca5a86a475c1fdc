"""Content-aware upsampling (CARAFE, arXiv 1905.02188) in PyTorch, with mmcv's names and arguments.

One pass over the output for each tap of the kernel (25 of 5 x 5), so that no unfolded copy of the
features is held.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .shared import compute_dtype


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Weighted sums of the neighbourhoods in the map below (equation 2 there), in place.

    Args:
        features: (N, C, H, W), any float dtype; zeros are around the map.
        masks: (N, group_size * kernel_size^2, H * scale_factor, W * scale_factor), the weights.
        rfeatures: of the shape of ``features``; takes a copy for :func:`carafe_backward`.
        routput, rmasks: scratch of the compiled kernel.
        output: (N, C, H * scale_factor, W * scale_factor), overwritten.
    """
    rfeatures.copy_(features)
    dtype = compute_dtype(features, masks)
    features = _neighbourhoods(features.to(dtype), kernel_size, group_size)
    masks = _cells(masks.to(dtype), group_size, scale_factor)
    total = _cells(torch.zeros_like(output, dtype=dtype), group_size, scale_factor)
    for tap, view in enumerate(_taps(features, kernel_size)):
        total.addcmul_(view, masks[:, :, tap, None])
    output.copy_(total.reshape(output.shape))


def carafe_backward(
    grad_output: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rgrad_output: Tensor,
    rgrad_input_hs: Tensor,
    rgrad_input: Tensor,
    rgrad_masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Gradients of :func:`carafe_forward` by features and masks, in place."""
    dtype = compute_dtype(rfeatures, masks)
    grad = _cells(grad_output.to(dtype), group_size, scale_factor)
    features = _neighbourhoods(rfeatures.to(dtype), kernel_size, group_size)
    masks = _cells(masks.to(dtype), group_size, scale_factor)
    by_features, by_masks = torch.zeros_like(features), torch.empty_like(masks)
    views = zip(_taps(features, kernel_size), _taps(by_features, kernel_size))
    for tap, (view, by_view) in enumerate(views):
        by_view += (grad * masks[:, :, tap, None]).sum(dim=(4, 6), keepdim=True)
        by_masks[:, :, tap] = (grad * view).sum(dim=2)
    grad_input.copy_(F.pad(by_features.flatten(1, 2), [-(kernel_size // 2)] * 4))
    grad_masks.copy_(by_masks.reshape(grad_masks.shape))


def _cells(maps: Tensor, groups: int, scale: int) -> Tensor:
    """(N, C, H * scale, W * scale) as (N, groups, C / groups, H, scale, W, scale)."""
    return maps.unflatten(3, (-1, scale)).unflatten(2, (-1, scale)).unflatten(1, (groups, -1))


def _neighbourhoods(features: Tensor, kernel: int, groups: int) -> Tensor:
    """Features within a border of zeros, as (N, groups, C / groups, rows, columns)."""
    return F.pad(features, [kernel // 2] * 4).unflatten(1, (groups, -1))


def _taps(features: Tensor, kernel: int) -> Iterator[Tensor]:
    """What each tap of the kernel sees, as views (N, groups, C / groups, H, 1, W, 1)."""
    rows, columns = (side - kernel + 1 for side in features.shape[-2:])
    for i in range(kernel):
        for j in range(kernel):
            yield features[..., i : i + rows, None, j : j + columns, None]
