"""RoIAlign and RoIPool by torchvision, with mmcv's names and arguments."""

import torch
from torch import Tensor

from .shared import compute_dtype, torchvision_operator, unavailable


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Average-pool bilinear samples of each RoI (Mask R-CNN, section 3) into ``output``, in place.

    Args:
        input: (N, C, H, W) feature maps, any float dtype.
        rois: (K, 5) as image index, x1, y1, x2, y2 in pixels of the image.
        output: (K, C, aligned_height, aligned_width), bins of each RoI, overwritten.
        argmax_y, argmax_x: of max pooling; untouched.
        spatial_scale: pixels of the feature map in a pixel of the image.
        sampling_ratio: samples a bin and side; 0 takes as many as the bin has pixels.
        pool_mode: 1 (average); 0 (max) raises NotImplementedError.
        aligned: shift by half a pixel, so that pixel centres are at .5.
    """
    _refuse_max_pooling("roi_align_forward", pool_mode)
    dtype = compute_dtype(input, rois)
    sizes = (spatial_scale, aligned_height, aligned_width, sampling_ratio, aligned)
    output.copy_(torchvision_operator("roi_align")(input.to(dtype), rois.to(dtype), *sizes))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient of :func:`roi_align_forward` to ``grad_input`` (N, C, H, W), in place."""
    _refuse_max_pooling("roi_align_backward", pool_mode)
    dtype = compute_dtype(grad_output, rois)
    sizes = (spatial_scale, aligned_height, aligned_width, *grad_input.shape)
    backward = torchvision_operator("_roi_align_backward")
    grad_input.add_(
        backward(grad_output.to(dtype), rois.to(dtype), *sizes, sampling_ratio, aligned)
    )


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Greatest value of each bin of each RoI (Fast R-CNN, section 2.1) into ``output``, in place.

    A bin holds the pixels that it touches. As in mmcv's kernel, RoIs keep their fractions of a
    pixel, which ``torchvision.ops.roi_pool`` rounds away: here each bin is a RoI of torchvision's,
    on whole pixels.

    Args:
        input: (N, C, H, W) feature maps, any float dtype.
        rois: (K, 5) as image index, x1, y1, x2, y2 in pixels of the image, the last one included.
        output: (K, C, pooled_height, pooled_width), overwritten; 0 where a bin has no pixel.
        argmax: of the same shape, int32, overwritten: where in H * W the greatest lies, or -1.
        spatial_scale: pixels of the feature map in a pixel of the image.
    """
    dtype = compute_dtype(input, rois)
    bins = _pixels_of_bins(rois.to(dtype), pooled_height, pooled_width, spatial_scale)
    pooled, places = torchvision_operator("roi_pool")(input.to(dtype), bins, 1.0, 1, 1)
    for target, values in ((output, pooled), (argmax, places)):
        target.copy_(
            values.view(len(rois), pooled_height, pooled_width, input.shape[1]).permute(0, 3, 1, 2)
        )


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add the gradient of :func:`roi_pool_forward` to ``grad_input`` (N, C, H, W), in place."""
    dtype = compute_dtype(grad_output, rois)
    sizes = (spatial_scale, pooled_height, pooled_width, *grad_input.shape)
    backward = torchvision_operator("_roi_pool_backward")
    grad_input.add_(backward(grad_output.to(dtype), rois.to(dtype), argmax, *sizes))


def _pixels_of_bins(rois: Tensor, rows: int, columns: int, scale: float) -> Tensor:
    """First and last pixel that each bin touches, as RoIs (K * rows * columns, 5)."""
    image = rois[:, 0, None, None].expand(-1, rows, columns)
    x1, y1 = rois[:, 1:3, None].unbind(1)
    x2, y2 = rois[:, 3:5, None].unbind(1)
    first, last = [], []
    for low, high, bins in ((x1, x2, columns), (y1, y2, rows)):
        low, high = low * scale, (high + 1) * scale
        size, index = (high - low) / bins, torch.arange(bins, device=rois.device)
        first.append((index * size + low).floor())
        last.append(((index + 1) * size + low).ceil() - 1)
    valid = ((x2 + 1 > x1) & (y2 + 1 > y1))[..., None]
    corners = (
        first[0][:, None].expand_as(image),
        first[1][..., None].expand_as(image),
        last[0][:, None].expand_as(image),
        last[1][..., None].expand_as(image),
    )
    # Before the map, where torchvision finds no pixel.
    corners = [torch.where(valid, corner, corner.new_tensor(-9.0)) for corner in corners]
    return torch.stack([image, *corners], dim=-1).flatten(0, 2)


def _refuse_max_pooling(operator: str, pool_mode: int) -> None:
    if pool_mode != 1:
        raise unavailable(f"{operator} with pool_mode='max'", "Set pool_mode='avg' in the RoIAlign")
