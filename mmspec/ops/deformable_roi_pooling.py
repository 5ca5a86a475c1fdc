"""Deformable RoI pooling in PyTorch, with mmcv's names and arguments.

Samples are gathered and summed by ``embedding_bag``, which holds no copy of the sampled features;
how many there are is read from the device, once a call, where RoIs decide it (sampling_ratio 0).
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from .shared import compute_dtype, gradients


def deform_roi_pool_forward(
    input: Tensor, rois: Tensor, offset: Tensor, output: Tensor, **options: float
) -> None:
    """Average bilinear samples of bins that are moved by offsets (arXiv 1703.06211, eq. 5).

    Args:
        input: (N, C, H, W) feature maps, any float dtype.
        rois: (K, 5) as image index, x1, y1, x2, y2 in pixels of the image.
        offset: (K, 2, pooled_height, pooled_width), x and y of each bin as a share ``1 / gamma`` of
            the RoI's width and height; or empty: bins stay.
        output: (K, C, pooled_height, pooled_width), overwritten.
        options: ``pooled_height`` and ``pooled_width``, bins of a RoI; ``spatial_scale``, pixels of
            the feature map in a pixel of the image; ``sampling_ratio``, samples a bin and side, 0
            for as many as the bin has pixels; ``gamma``, factor on the offsets.
    """
    output.copy_(_pool(rois, input, offset, **options))


def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    **options: float,
) -> None:
    """Gradients of :func:`deform_roi_pool_forward`, which is run again, in place.

    By offsets it is the derivative everywhere. mmcv's kernel differs in the outermost half pixel of
    the map, where it takes the border's slope for more than it is or for none.
    """
    inputs = (input, offset) if offset.numel() else (input,)
    found = gradients(partial(_pool, rois, **options), inputs, grad_output)
    for target, gradient in zip((grad_input, grad_offset), found):
        target.copy_(gradient)


def _pool(
    rois: Tensor,
    input: Tensor,
    offset: Tensor | None = None,
    *,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> Tensor:
    """(K, C, pooled_height, pooled_width), of the computing dtype."""
    moved = offset is not None and offset.numel() > 0
    dtype = compute_dtype(input, rois, *([offset] if moved else []))
    size, bins = (pooled_height, pooled_width), pooled_height * pooled_width
    corners = rois[:, 1:].to(dtype).unflatten(1, (2, 2)).flip(2) * spatial_scale - 0.5  # y, x
    extent = corners[:, 1] - corners[:, 0]
    step = extent / extent.new_tensor(size)
    # Upper left corner of each bin as y, x: (K, bins, 2).
    grid = torch.cartesian_prod(*(torch.arange(n, device=rois.device) for n in size))
    start = corners[:, :1] + grid * step[:, None]
    if moved:
        start = start + gamma * extent[:, None] * offset.to(dtype).flip(1).flatten(2).mT

    # (K, 2) samples of a bin, rows and columns.
    counts = torch.full_like(step, sampling_ratio) if sampling_ratio else step.ceil().clamp(min=0)
    counts = counts.long()
    samples = counts.prod(dim=1)
    total = sampling_ratio**2 * len(rois) * bins if sampling_ratio else None
    roi_of_bin = torch.arange(len(rois), device=rois.device).repeat_interleave(bins)
    first = samples[roi_of_bin].cumsum(0) - samples[roi_of_bin]  # of the samples of each bin
    bin_ = torch.arange(len(roi_of_bin), device=rois.device).repeat_interleave(
        samples[roi_of_bin], output_size=total
    )
    roi = roi_of_bin[bin_]
    number = torch.arange(len(bin_), device=rois.device) - first[bin_]
    row_and_column = torch.stack([number // counts[roi, 1], number % counts[roi, 1]], dim=1)
    places = start.flatten(0, 1)[bin_] + (row_and_column + 0.5) * step[roi] / counts[roi]

    index, weight = _bilinear(places, rois[roi, 0].long(), input.shape[-2:])
    pixels = input.to(dtype).permute(0, 2, 3, 1).flatten(0, 2)
    sums = F.embedding_bag(
        index.flatten(), pixels, 4 * first, mode="sum", per_sample_weights=weight.flatten()
    )
    means = sums / samples[roi_of_bin].clamp(min=1)[:, None]
    return means.view(len(rois), *size, input.shape[1]).permute(0, 3, 1, 2)


def _bilinear(places: Tensor, image: Tensor, size: torch.Size) -> tuple[Tensor, Tensor]:
    """Pixels around each place (T, 2) of an image, and their weights: (T, 4) both.

    A place within a pixel of the border takes the border's value; farther out is zero.
    """
    limit = places.new_tensor(size)
    inside = ((places >= -1) & (places <= limit)).all(dim=1)
    places = torch.minimum(places.clamp(min=0), limit - 1)
    low = torch.minimum(places.detach().floor(), (limit - 2).clamp(min=0))
    share = places - low
    low = low.long()
    high = torch.minimum(low + 1, limit.long() - 1)
    rows, columns = (torch.stack([low[:, i], high[:, i]], dim=1) for i in (0, 1))
    index = (image[:, None, None] * size[0] + rows[:, :, None]) * size[1] + columns[:, None]
    of_rows, of_columns = (torch.stack([1 - share[:, i], share[:, i]], dim=1) for i in (0, 1))
    weight = of_rows[:, :, None] * of_columns[:, None] * inside[:, None, None]
    return index.flatten(1), weight.flatten(1)
