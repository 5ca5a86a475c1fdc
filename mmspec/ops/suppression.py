"""Non-maximum suppression and its relatives, with mmcv's names and arguments.

NMS comes from torchvision. Soft-NMS and NMS match, which mmcv too computes on the CPU, are in
NumPy: one step a kept box, each over all boxes that are left.
"""

import numpy as np
import torch
from torch import Tensor

from .shared import compute_dtype, torchvision_operator


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes that no better-scored kept box overlaps by more than the threshold.

    From boxes (N, 4) as x1, y1, x2, y2 in pixels, of any float dtype and device, which are
    ``x2 - x1 + offset`` wide, and scores (N,): (M,) int64, by falling score.
    """
    dtype = compute_dtype(boxes, scores)
    boxes, scores = boxes.to(dtype), scores.to(dtype)
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    # mmcv compares in single precision, torchvision with a double: without the rounding, a pair at
    # exactly 0.3 would be kept by one and dropped by the other.
    return torchvision_operator("nms")(boxes, scores, float(np.float32(iou_threshold)))


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Lower the scores of boxes that a better one overlaps (Soft-NMS, arXiv 1704.04503).

    Args:
        boxes, scores, offset: as in :func:`nms`, on the CPU.
        dets: (N, 5); the first M rows are overwritten by the boxes and their lowered scores.
        iou_threshold: methods 0 and 1 leave boxes with a smaller IoU alone.
        min_score: boxes whose score falls below it are dropped.
        method: a score is multiplied by 0 (method 0), by ``1 - IoU`` (1, linear) or by
            ``exp(-IoU^2 / sigma)`` (2, gaussian; of any overlap).

    Returns:
        (M,) int64 indices, by falling lowered score.
    """
    dtype = compute_dtype(boxes, scores)
    table = torch.cat([boxes, scores[:, None]], dim=1).to(dtype).numpy()
    iou_threshold, sigma, min_score = table.dtype.type([iou_threshold, sigma, min_score])
    order = np.arange(len(table))
    kept = 0
    while kept < len(table):
        best = kept + np.argmax(table[kept:, 4])
        table[[kept, best]], order[[kept, best]] = table[[best, kept]], order[[best, kept]]
        current, rest = table[kept], table[kept + 1 :]
        iou = _iou(current, rest, offset)
        if method == 2:
            weight = np.exp(-(iou**2) / sigma)
        else:
            weight = np.where(iou >= iou_threshold, 1 - iou if method == 1 else 0, 1)
        rest[:, 4] *= weight
        kept += 1
        remaining = _fill_from_the_end(~(rest[:, 4] < min_score))
        keep = np.concatenate([np.arange(kept), kept + remaining])
        table, order = table[keep], order[keep]
    dets[:kept].copy_(torch.from_numpy(table))
    return torch.from_numpy(order)


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Group each box that NMS keeps with those it suppresses (PISA, arXiv 1904.04821).

    From (N, 5) as x1, y1, x2, y2, score, on the CPU, the indices of each group by falling score,
    the kept box first. Suppressed are boxes with an IoU of the threshold or more.
    """
    dets = dets.to(compute_dtype(dets))
    order = dets[:, 4].argsort(descending=True, stable=True).numpy()
    table = dets.numpy()
    groups = []
    while len(order):
        best, rest = order[0], order[1:]
        suppressed = _iou(table[best], table[rest], 0) >= table.dtype.type(iou_threshold)
        groups.append([int(best), *rest[suppressed].tolist()])
        order = rest[~suppressed]
    return groups


def _iou(box: np.ndarray, boxes: np.ndarray, offset: int) -> np.ndarray:
    """IoU of a box with each of ``boxes`` (N, 4 or more); NaN of two without area."""

    def area(corners: np.ndarray) -> np.ndarray:
        return (corners[..., 2] - corners[..., 0] + offset) * (
            corners[..., 3] - corners[..., 1] + offset
        )

    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    shared = np.maximum(high - low + offset, 0).prod(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return shared / (area(box) + area(boxes) - shared)


def _fill_from_the_end(keep: np.ndarray) -> np.ndarray:
    """Indices of the kept, each gap filled with the last one left.

    mmcv's order, which decides between equal scores.
    """
    count = np.count_nonzero(keep)
    indices = np.arange(count)
    indices[~keep[:count]] = count + np.flatnonzero(keep[count:])[::-1]
    return indices
