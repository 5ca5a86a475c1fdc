"""NMS and RoIAlign by torchvision, with mmcv's names and arguments."""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from .precision import compute_dtype
from .unavailable import unavailable


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes that no better-scored kept box overlaps by more than the threshold.

    Args:
        boxes: (N, 4) as x1, y1, x2, y2 in pixels, any float dtype and device.
        scores: (N,).
        iou_threshold: boxes with an IoU above it are dropped.
        offset: a box is ``x2 - x1 + offset`` pixels wide (1: corners are pixel indices).

    Returns:
        (M,) int64, by falling score.
    """
    dtype = compute_dtype(boxes, scores)
    boxes, scores = boxes.to(dtype), scores.to(dtype)
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    # mmcv compares in single precision, torchvision with a double: without the rounding, a pair at
    # exactly 0.3 would be kept by one and dropped by the other.
    return _torchvision("nms")(boxes, scores, float(np.float32(iou_threshold)))


def softnms(*args: Any, **kwargs: Any) -> NoReturn:
    """Soft-NMS: torchvision has none, so this names the setting that works."""
    raise unavailable(
        "softnms", "Set plain NMS in the model's test_cfg, nms=dict(type='nms', iou_threshold=0.5)"
    )


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
        output: (K, C, aligned_height, aligned_width), overwritten.
        argmax_y, argmax_x: of max pooling; untouched.
        aligned_height, aligned_width: bins of a RoI.
        spatial_scale: pixels of the feature map in a pixel of the image.
        sampling_ratio: samples a bin and side; 0 takes as many as the bin has pixels.
        pool_mode: 1 (average); 0 (max) raises NotImplementedError.
        aligned: shift by half a pixel, so that pixel centres are at .5.
    """
    _refuse_max_pooling("roi_align_forward", pool_mode)
    dtype = compute_dtype(input, rois)
    pooled = _torchvision("roi_align")(
        input.to(dtype),
        rois.to(dtype),
        spatial_scale,
        aligned_height,
        aligned_width,
        sampling_ratio,
        aligned,
    )
    output.copy_(pooled)


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
    """Add the gradient of :func:`roi_align_forward` to ``grad_input`` (N, C, H, W), in place.

    ``grad_output`` is (K, C, aligned_height, aligned_width); the rest as in the forward pass.
    """
    _refuse_max_pooling("roi_align_backward", pool_mode)
    dtype = compute_dtype(grad_output, rois)
    grad = _torchvision("_roi_align_backward")(
        grad_output.to(dtype),
        rois.to(dtype),
        spatial_scale,
        aligned_height,
        aligned_width,
        *grad_input.shape,
        sampling_ratio,
        aligned,
    )
    grad_input.add_(grad)


def _refuse_max_pooling(operator: str, pool_mode: int) -> None:
    if pool_mode != 1:
        raise unavailable(f"{operator} with pool_mode='max'", "Set pool_mode='avg' in the RoIAlign")


def _torchvision(operator: str) -> Callable[..., Tensor]:
    """torchvision's compiled operator; RuntimeError where torchvision does not fit torch."""
    try:
        import torchvision  # noqa: F401  (importing it registers torch.ops.torchvision)

        return getattr(torch.ops.torchvision, operator)
    except (ImportError, RuntimeError, AttributeError) as error:
        raise RuntimeError(
            f"torchvision's operator '{operator}' cannot be loaded ({error}): install the "
            f"torchvision release that was built for torch {torch.__version__}"
        ) from error
