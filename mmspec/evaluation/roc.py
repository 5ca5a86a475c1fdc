"""The pixel ROC curve from a histogram of scores, in memory that no image makes larger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Bins of the logit of a probability, log(p / (1 - p)), from -32 to 32: those of a bin differ by
#: at most 6 % in their odds. In bins of the probability itself nearly all background, and with it
#: every missed target, would lie in the first one.
BINS = 1024
LOGIT_LIMIT = 32
_BLOCK = 2**13  # pixels


@dataclass(frozen=True)
class RocCurve:
    """Rates over all thresholds, from the strictest to the laxest.

    Attributes:
        false_positive_rate: (BINS + 1,) float64, from 0 to 1.
        true_positive_rate: (BINS + 1,) float64, from 0 to 1.
        area: area under the curve; scores in one bin count as equal.
        area_error: what equal counting can have cost: the area of the exact scores is within this
            of ``area``.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    area: float
    area_error: float


def score_histogram(
    probability: np.ndarray, target: np.ndarray, counted: np.ndarray | None = None
) -> np.ndarray:
    """Background pixels (row 0) and target pixels (row 1) in each bin.

    Args:
        probability: float64 in [0, 1], of any shape.
        target: bool, of that shape.
        counted: bool, of that shape: which pixels count; None: all.

    Returns:
        (2, BINS) int32.
    """
    counts = np.zeros(2 * BINS, np.int64)
    flat = [values.ravel() for values in (probability, target, counted) if values is not None]
    for start in range(0, probability.size, _BLOCK):  # a large image needs no large arrays
        part, of_target, *kept = (values[start : start + _BLOCK] for values in flat)
        with np.errstate(divide="ignore"):
            logit = np.log(part) - np.log1p(-part)
        place = np.floor(logit * (BINS / (2 * LOGIT_LIMIT))) + BINS // 2
        place = place.clip(0, BINS - 1).astype(np.int64) + BINS * of_target
        counts += np.bincount(place[kept[0]] if kept else place, minlength=2 * BINS)
    return counts.reshape(2, BINS).astype(np.int32)


def roc_curve(histogram: np.ndarray) -> RocCurve | None:
    """The curve of a histogram (2, BINS) of counts; None without pixels of both kinds."""
    totals = histogram.sum(axis=1, dtype=np.float64)
    if not totals.all():
        return None
    shares = histogram[:, ::-1] / totals[:, None]
    false_positive, true_positive = np.pad(shares.cumsum(axis=1), ((0, 0), (1, 0)))
    ties = float((shares[0] * shares[1]).sum())
    return RocCurve(
        false_positive,
        true_positive,
        float((shares[0] * (true_positive[1:] + true_positive[:-1])).sum() / 2),
        ties / 2,
    )
