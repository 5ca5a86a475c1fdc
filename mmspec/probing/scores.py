"""What a probe says in one number, and the difference of two of them."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from mmspec.evaluation.segmentation import class_iou

from .encoders import ProbeError


def _mean_iou(confusion: np.ndarray) -> np.ndarray:
    return np.nanmean(class_iou(confusion), -1)


def _accuracy(confusion: np.ndarray) -> np.ndarray:
    return 100 * np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1))


def _target_iou(counts: np.ndarray) -> np.ndarray:
    both, predicted, true = np.moveaxis(counts, -1, 0)
    return 100 * both / np.maximum(predicted + true - both, 1)


def _mean(sums: np.ndarray) -> np.ndarray:
    return 100 * sums[..., 0] / sums[..., 1]


#: A score by its name: percent, from counts that are summed over images (the last axes: classes x
#: classes; pixels of both, predicted and true; a sum and its number).
SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mIoU": _mean_iou,
    "accuracy": _accuracy,
    "IoU": _target_iou,
    "MMA@10": _mean,
}


def paired_difference(
    one: np.ndarray,
    other: np.ndarray,
    score: str = "mIoU",
    draws: int = 2000,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Difference of two scores on the same images, and its bootstrap interval over images.

    Args:
        one, other: ``counts`` of :func:`~mmspec.probing.probe`, a row an image.
        score: of ``SCORES``.
        draws: of images, with replacement.
        level: of the interval.

    Returns:
        Score of ``one`` minus that of ``other`` in percent, and the bounds of the interval.
    """
    if one.shape != other.shape:
        raise ProbeError(f"{one.shape} and {other.shape}: not of the same images and classes")
    counts = np.random.default_rng(0).multinomial(len(one), np.full(len(one), 1 / len(one)), draws)
    value = SCORES[score]
    spread = value(np.tensordot(counts, one, 1)) - value(np.tensordot(counts, other, 1))
    low, high = np.quantile(spread, ((1 - level) / 2, (1 + level) / 2))
    return float(value(one.sum(0)) - value(other.sum(0))), float(low), float(high)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of a sample; NaN of one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
