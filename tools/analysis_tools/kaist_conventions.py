"""Notice files of detections that follow another convention than KAIST's.

Corners for x, y, width, height, or images counted from 0, give a miss rate that looks like that of
a poor detector.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmspec.evaluation.kaist import Detections, Truth

BEYOND = 1.0  # pixels that a box of a published result reaches beyond its image at most
IOU = 0.5
MIN_FOUND = 2  # images, to speak of another numbering


def warn_of_conventions(
    path: str | Path, detections: Detections, truth: Truth, entries: Sequence[str]
) -> None:
    """Warn where boxes leave their image, or another reading of the file finds far more people.

    Args:
        path: the file of detections.
        detections, truth: what was read from the files.
        entries: of each detection its line or entry, as errors name it.
    """
    if not len(detections):
        return
    corners = detections.boxes.copy()
    corners[:, 2:] -= corners[:, :2]
    ends = detections.boxes[:, :2] + detections.boxes[:, 2:]
    sizes = truth.sizes[detections.image]
    beyond = np.maximum(ends - sizes, -detections.boxes[:, :2]).max(axis=1) > BEYOND
    if beyond.any():
        first = int(beyond.argmax())
        box = ", ".join(f"{value:g}" for value in detections.boxes[first])
        warnings.warn(
            f"{path}: {beyond.sum():,} of {len(beyond):,} boxes reach beyond their image, the first"
            f" is {entries[first].removeprefix(f'{path}: ')}: {box} in {sizes[first][0]:g} x"
            f" {sizes[first][1]:g} pixels. They are read as x, y, width, height"
            + ("; all would be sound as corners x1, y1, x2, y2" if _sound(corners, sizes) else ""),
            stacklevel=3,
        )
    order = np.argsort(truth.ids, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    found = _found(detections.image, detections.boxes, detections.scores, truth)
    ranks = rank[detections.image]
    readings = {
        "its images are counted from 0": (ranks + 1, detections.boxes),
        "its images are counted one too far": (ranks - 1, detections.boxes),
        "its boxes are corners x1, y1, x2, y2": (ranks, corners),
    }
    for text, (ranks, boxes) in readings.items():
        known = (ranks >= 0) & (ranks < len(order))
        image = order[ranks[known]]
        other = _found(image, boxes[known], detections.scores[known], truth)
        if other >= MIN_FOUND and other > 2 * found:
            warnings.warn(
                f"{path}: the best detection is on a person in {found:,} images, but in {other:,}"
                f" if {text}: by which convention was it written?",
                stacklevel=3,
            )


def _sound(boxes: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether all (D, 4) boxes x, y, width, height lie within their images."""
    return bool(
        (boxes[:, 2:] > 0).all()
        and (boxes[:, :2] >= -BEYOND).all()
        and (boxes[:, :2] + boxes[:, 2:] <= sizes + BEYOND).all()
    )


def _found(image: np.ndarray, boxes: np.ndarray, scores: np.ndarray, truth: Truth) -> int:
    """The number of images whose best detection is on a person."""
    best = np.full(len(truth.ids), -1)
    order = np.argsort(scores, kind="stable")
    best[image[order]] = order  # of equal indices the last is kept
    asked = (best[truth.image] >= 0) & ~truth.ignored
    true, guess = truth.boxes[asked], boxes[best[truth.image[asked]]]
    low = np.maximum(true[:, :2], guess[:, :2])
    high = np.minimum(true[:, :2] + true[:, 2:], guess[:, :2] + guess[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    union = true[:, 2:].prod(axis=1) + guess[:, 2:].prod(axis=1) - shared
    return len(np.unique(truth.image[asked][shared >= IOU * np.maximum(union, 1e-9)]))
