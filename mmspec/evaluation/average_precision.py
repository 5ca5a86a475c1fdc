"""COCO's matching and average precision of boxes, on tables that hold 10,000 images."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
#: Names and limits in square pixels of the sizes that are scored on their own.
AREAS = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
MAX_DETECTIONS = 100  # of a class in an image
_PAIRS_AT_ONCE = 500_000
_MAX_CLASSES = 2**20
#: What a prediction is; no account is taken of it where what it found is to be ignored.
FALSE, HIT, NO_ACCOUNT = 0, 1, -1


@dataclass(frozen=True)
class BoxTable:
    """Boxes of all images."""

    image: np.ndarray  # (N,) integers
    label: np.ndarray  # (N,) integers
    corners: np.ndarray  # (N, 2) float64 x1, y1 in pixels
    sizes: np.ndarray  # (N, 2) float64 width, height in pixels
    scores: np.ndarray  # (N,) float64 of predictions; of truth 1 where it is to be ignored

    def __len__(self) -> int:
        return len(self.image)

    @property
    def areas(self) -> np.ndarray:
        """(N,) float64, square pixels."""
        return self.sizes.prod(axis=1)

    @property
    def groups(self) -> np.ndarray:
        """(N,) int64, a number for each image and class."""
        return self.image * _MAX_CLASSES + self.label

    def take(self, rows: np.ndarray) -> BoxTable:
        columns = (self.image, self.label, self.corners, self.sizes, self.scores)
        return BoxTable(*(column[rows] for column in columns))


def precision_and_recall(
    predicted: BoxTable, true: BoxTable, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Precision at 101 recalls and the recall reached, as pycocotools computes them.

    A prediction, best scores first, takes the free object of its class and image that it overlaps
    most, if by the threshold; objects to be ignored (crowds, and those of another size than is
    scored) come after the others, and crowds, overlapped by a share of the prediction, are never
    used up. Predictions of ignored objects, and those without an object and of another size, do not
    count. At most the 100 best of a class in an image are looked at.

    Args:
        predicted, true: see :class:`BoxTable`.
        num_classes: labels are 0 to ``num_classes - 1``.

    Returns:
        Precision (10 IoUs, 101 recalls, classes, 4 areas) and recall (10 IoUs, classes, 4 areas)
        in [0, 1]; -1 where there is no object.
    """
    predicted = best_of_each(predicted, MAX_DETECTIONS)
    limits = np.array(list(AREAS.values()))
    crowd = true.scores > 0
    ignored = crowd[:, None] | _outside(true.areas, limits)
    outcome = match(predicted, true, crowd, np.where(ignored, NO_ACCOUNT, HIT), IOUS)
    outcome[(outcome == FALSE) & _outside(predicted.areas, limits)[..., None]] = NO_ACCOUNT

    precision = np.full((len(IOUS), len(RECALLS), num_classes, len(AREAS)), -1.0)
    recall = np.full((len(IOUS), num_classes, len(AREAS)), -1.0)
    order = np.argsort(-predicted.scores, kind="stable")
    for label in range(num_classes):
        objects = (~ignored[true.label == label]).sum(axis=0)
        of_class = order[predicted.label[order] == label]
        for area in np.flatnonzero(objects):
            for i, found in enumerate(outcome[of_class, area].T):
                precision[i, :, label, area], recall[i, label, area] = _curve(found, objects[area])
    return precision, recall


def best_of_each(predicted: BoxTable, most: int) -> BoxTable:
    """At most so many of each class in each image, by image, class and falling score."""
    order = np.lexsort((-predicted.scores, predicted.groups))
    return predicted.take(order[_place_in_run(predicted.groups[order]) < most])


def _outside(areas: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return (areas[:, None] < limits[:, 0]) | (areas[:, None] > limits[:, 1])


def match(
    predicted: BoxTable, true: BoxTable, crowd: np.ndarray, worth: np.ndarray, ious: np.ndarray
) -> np.ndarray:
    """What each prediction is by the object that it takes, see :func:`precision_and_recall`.

    Images and classes do not touch each other. So all go on at once: the first prediction of each
    that overlaps an object, then the second, and within these their first overlapped object, ...

    Args:
        predicted: P boxes, of :func:`best_of_each`.
        true: N boxes.
        crowd: (N,) bool, overlapped by a share of the prediction and never used up.
        worth: (N, A) int, in each of A ways to count what the prediction that takes it is:
            ``HIT``, ``FALSE``, or ``NO_ACCOUNT`` of objects to be ignored, which come last.
        ious: (T,) thresholds, the least first.

    Returns:
        (P, A, T) int8; without an object ``FALSE``.
    """
    detection, target, iou = _overlaps(predicted, true, crowd, ious[0])
    outcome = np.full((len(predicted), worth.shape[1], len(ious)), FALSE, np.int8)
    free = np.ones((len(true), *outcome.shape[1:]), bool)
    slot = _place_in_run(detection)
    heads = np.flatnonzero(slot == 0)  # the first pair of each prediction
    sizes = np.diff(np.r_[heads, len(slot)])
    turn = _place_in_run(predicted.groups[detection[heads]])
    for number in range(turn.max(initial=-1) + 1):
        rows = np.flatnonzero(turn == number)
        best_iou = np.full((len(rows), *outcome.shape[1:]), -1.0)
        best = np.full(best_iou.shape, -1)
        counts = np.zeros(best_iou.shape, bool)  # whether the best one is not ignored
        for place in range(sizes[rows].max()):
            here = np.flatnonzero(sizes[rows] > place)
            pair = heads[rows[here]] + place
            object_, overlap = target[pair], iou[pair, None, None]
            possible = free[object_] | crowd[object_, None, None]
            possible &= overlap >= np.minimum(ious, 1 - 1e-10)
            scored = np.broadcast_to(worth[object_, :, None] != NO_ACCOUNT, possible.shape)
            better = (scored == counts[here]) & (overlap >= best_iou[here])
            better = possible & (better | (scored & ~counts[here]))
            best_iou[here] = np.where(better, overlap, best_iou[here])
            best[here] = np.where(better, object_[:, None, None], best[here])
            counts[here] = np.where(better, scored, counts[here])
        which, area, level = np.nonzero(best >= 0)
        free[best[which, area, level], area, level] = False
        outcome[detection[heads[rows[which]]], area, level] = worth[best[which, area, level], area]
    return outcome


def _overlaps(
    predicted: BoxTable, true: BoxTable, crowd: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of one image and class that overlap by ``least``, in the tables' order.

    Indices of prediction and object, (pairs,) int64, and their IoU, (pairs,) float64.
    """
    by_group = np.argsort(true.groups, kind="stable")
    start, stop = (
        np.searchsorted(true.groups, predicted.groups, side, by_group) for side in ("left", "right")
    )
    pairs_before = np.r_[0, np.cumsum(stop - start)]
    shift = start - pairs_before[:-1]
    areas, true_areas = predicted.areas, true.areas
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    steps = np.arange(0, pairs_before[-1] + _PAIRS_AT_ONCE, _PAIRS_AT_ONCE)
    edges = np.unique(np.searchsorted(pairs_before, steps).clip(0, len(start)))
    for first, last in itertools.pairwise(edges):
        one = np.repeat(np.arange(first, last), (stop - start)[first:last])
        other = by_group[np.arange(pairs_before[first], pairs_before[last]) + shift[one]]
        low = np.maximum(predicted.corners[one], true.corners[other])
        high = np.minimum(
            predicted.corners[one] + predicted.sizes[one], true.corners[other] + true.sizes[other]
        )
        shared = (high - low).clip(0).prod(axis=1)
        union = np.where(crowd[other], areas[one], areas[one] + true_areas[other] - shared)
        iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        kept = iou >= least
        found.append((one[kept], other[kept], iou[kept]))
    return tuple(np.concatenate(column) for column in zip(*found))


def _place_in_run(values: np.ndarray) -> np.ndarray:
    """Of each value how many equal ones stand directly before it."""
    first = np.r_[True, values[1:] != values[:-1]][: len(values)]
    places = np.arange(len(values))
    return places - np.maximum.accumulate(np.where(first, places, 0))


def _curve(outcome: np.ndarray, objects: int) -> tuple[np.ndarray, float]:
    """Precision at the recalls and the last recall, of outcomes with the best score first."""
    hits, false = (outcome == HIT).cumsum(), (outcome == FALSE).cumsum()
    recall = hits / objects
    precision = hits / np.maximum(hits + false, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, RECALLS, side="left")
    return np.r_[precision, 0][place.clip(max=len(precision))], recall[-1] if len(recall) else 0.0
