"""Metrics of infrared small target detection, of pixels and of targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmspec.conventions import IGNORE_INDEX
from mmspec.datasets.files import find_by_end, without_suffix
from mmspec.registry import METRICS
from mmspec.text_files import read_names

from .samples import name_of, scored_and_true
from .table import log_table

#: A pixel is predicted as target above this probability.
THRESHOLD = 0.5
MEANINGS = {0: "background", 1: "target", IGNORE_INDEX: "to ignore"}
#: Centroids this far apart, in pixels, no longer match; the field's convention since ACM (2021).
MATCH_DISTANCE = 3.0
# Centroids are means, rounded to floats: one exactly 3 pixels away must not slip under.
_ROUNDING = 1e-9
#: Bins of the logit of a probability, log(p / (1 - p)), from -32 to 32: those of a bin differ by
#: at most 6 % in their odds. In bins of the probability itself nearly all background, and with it
#: every missed target, would lie in the first one.
BINS = 1024
LOGIT_LIMIT = 32
_BLOCK = 2**13  # pixels


@METRICS.register_module()
class SmallTargetMetric(BaseMetric):
    """IoU, nIoU, F1, Pd, Fa and AUC of small targets, at the size of the labels.

    ======  =====================================================================  =============
    name    definition                                                             unit
    ======  =====================================================================  =============
    IoU     intersection over union of target pixels, each summed over the images  percent
    nIoU    mean over images of their IoU                                          percent
    F1      harmonic mean of pixel precision and recall over the data set          percent
    Pd      matched targets of all targets                                         percent
    Fa      pixels of predicted components without a match, of all pixels          1e-6
    AUC     area under the pixel ROC over all thresholds                           from 0 to 1
    ======  =====================================================================  =============

    Components are 8-connected and match by :func:`match_targets`. IoU is that of the target alone;
    papers that call it mIoU mean the same number, not a mean with the background. Some well-known
    code bases drop a false alarm whose area equals that of any matched component, so that Fa
    published with them is a lower bound; here every false alarm counts.

    An image costs 8 KB, whatever its size: counts, and a histogram of its scores for the ROC, in
    bins of their logits. The log says how far AUC can be from that of exact scores. What is
    undefined (Pd without targets, AUC and IoU likewise) is NaN, and the log says so; an image
    without a target counts in Fa, F1 and AUC, and in nIoU as 1 if nothing is predicted (as 0 in the
    family of DNANet). After an evaluation ``roc`` is the curve, in the main process.

    Samples are those of mmseg: ``seg_logits`` of one channel, which mmseg hands over as
    probabilities (after its sigmoid), or of two (background and target, before softmax), and
    ``gt_sem_seg`` of 0, 1 and 255 for pixels that do not count. mmseg's own ``pred_sem_seg`` of one
    channel, cut at the head's ``threshold``, is not used.

    Args:
        threshold: of the probability; what is above is predicted as target.
        subsets: lists of names, one a line, as a data set's ``ann_file`` has them, each scored on
            its own beside all images: of ``dict(clean='clean.txt')`` there is a ``clean/IoU`` too.
        base: see mmengine's ``BaseMetric``.

    Raises:
        KeyError, ValueError: a sample that cannot be scored, see :mod:`mmspec.evaluation.samples`;
            the message names its image. Or a name in a subset that fits no tested image, or two,
            see :func:`~mmspec.datasets.files.find_by_end`.
    """

    default_prefix = ""  # none, and no warning of it

    roc: RocCurve | None = None

    def __init__(
        self,
        threshold: float = THRESHOLD,
        subsets: Mapping[str, str] | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.threshold = threshold
        lists = {subset: read_names(path) for subset, path in (subsets or {}).items()}
        self.subsets = {subset: {*map(without_suffix, names)} for subset, names in lists.items()}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            probability, truth = scored_and_true(sample, MEANINGS)
            counted = truth != IGNORE_INDEX
            histogram = score_histogram(probability, truth == 1, counted)
            predicted = (probability > self.threshold) & counted
            del probability  # before components need as much again
            counts = _counts(predicted, truth == 1, counted)
            self.results.append((counts.tobytes(), histogram.tobytes(), name_of(sample)))

    def compute_metrics(self, results: list[tuple[bytes, bytes, str]]) -> dict[str, float]:
        metrics = {}
        paths = [path for *_, path in results]
        for subset, names in self.subsets.items():
            found = find_by_end(names, paths, f"subset {subset!r}")
            if absent := sorted(names - found.keys()):
                raise ValueError(
                    f"subset {subset!r}: {len(absent):,} of {len(names):,} names fit no tested"
                    f" image, the first is {absent[0]}"
                )
            print_log(f"{subset}: {len(names):,} of {len(results):,} images", logger="current")
            chosen = set(found.values())
            scores = self._scores([result for result in results if result[-1] in chosen])
            metrics |= {f"{subset}/{name}": value for name, value in scores.items()}
        return self._scores(results) | metrics  # all come last: theirs is the curve

    def _scores(self, results: list[tuple[bytes, bytes, str]]) -> dict[str, float]:
        counts = np.stack([np.frombuffer(counts, np.int64) for counts, *_ in results])
        both, predicted, true, pixels, targets, detected, false_alarms = counts.sum(axis=0)
        union = counts[:, 1] + counts[:, 2] - counts[:, 0]
        image_iou = np.where(union, counts[:, 0] / np.maximum(union, 1), 1.0)
        bins = sum(np.frombuffer(counts, np.int32).astype(np.int64) for _, counts, _ in results)
        self.roc = roc_curve(bins.reshape(2, BINS))
        metrics = {
            "IoU": 100 * _ratio(both, union.sum()),
            "nIoU": 100 * float(image_iou.mean()),
            "F1": 100 * _ratio(2 * both, predicted + true),
            "Pd": 100 * _ratio(detected, targets),
            "Fa": 1e6 * _ratio(false_alarms, pixels),
            "AUC": self.roc.area if self.roc else math.nan,
        }
        shown = {"Fa (1e-6)" if name == "Fa" else name: value for name, value in metrics.items()}
        if self.roc:
            shown["AUC"] = f"{self.roc.area:.4f}"
            print_log(
                f"AUC is exact within {self.roc.area_error:.1g}, if scores in one bin differ",
                logger="current",
            )
        log_table(shown, digits=2)
        if undefined := [name for name, value in metrics.items() if math.isnan(value)]:
            print_log(
                f"{', '.join(undefined)}: undefined, as {targets} targets of {true} pixels are"
                f" labelled and {predicted} pixels predicted",
                logger="current",
            )
        return metrics


def _counts(predicted: np.ndarray, true: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """(7,) int64: pixels of both, predicted, true, all; targets, found; false pixels."""
    alarms, targets = find_components(predicted), find_components(true)
    found = match_targets(alarms, targets)
    found = found[found >= 0]
    pixels = [mask.sum() for mask in (predicted & true, predicted, true, counted)]
    false = alarms.areas.sum() - alarms.areas[found].sum()
    return np.array([*pixels, len(targets), len(found), false], np.int64)


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else math.nan


@dataclass(frozen=True)
class Components:
    """The 8-connected components of a mask, in raster order of their first pixels."""

    labels: np.ndarray  # (H, W) int32, 0 outside, i + 1 on component i
    areas: np.ndarray  # (N,) int64, pixels
    centroids: np.ndarray  # (N, 2) float64, mean row and column

    def __len__(self) -> int:
        return len(self.areas)


def find_components(mask: np.ndarray) -> Components:
    """The 8-connected components of a mask, (H, W) bool."""
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    # OpenCV numbers components by blocks of 2 x 2 pixels; the greedy matching goes by raster order.
    inside = labels[mask]
    order = np.argsort(np.unique(inside, return_index=True)[1])
    number = np.zeros(count, np.int32)
    number[order + 1] = np.arange(1, count)
    areas = stats[1:, cv2.CC_STAT_AREA][order].astype(np.int64)
    return Components(number[labels], areas, centroids[1:, ::-1][order])


def match_targets(predicted: Components, true: Components) -> np.ndarray:
    """Index of the predicted component that finds each true one, -1 for those that are missed.

    Each true component in its order takes the first predicted one that is free and has its centroid
    strictly less than ``MATCH_DISTANCE`` away. A predicted component serves once.
    """
    found = np.full(len(true), -1)
    free = np.ones(len(predicted), bool)
    for index, centroid in enumerate(true.centroids):
        distances = np.hypot(*(predicted.centroids - centroid).T)
        near = np.flatnonzero(free & (distances < MATCH_DISTANCE - _ROUNDING))
        if len(near):
            found[index] = near[0]
            free[near[0]] = False
    return found


@dataclass(frozen=True)
class RocCurve:
    """Rates over all thresholds, from the strictest to the laxest."""

    false_positive_rate: np.ndarray  # (BINS + 1,) float64, from 0 to 1
    true_positive_rate: np.ndarray  # likewise
    area: float  # under the curve; scores in one bin count as equal
    area_error: float  # the area of the exact scores is within this of ``area``


def score_histogram(
    probability: np.ndarray, target: np.ndarray, counted: np.ndarray | None = None
) -> np.ndarray:
    """Background pixels (row 0) and target pixels (row 1) in each bin, (2, BINS) int32.

    Args:
        probability: float64 in [0, 1], of any shape.
        target: bool, of that shape.
        counted: bool, of that shape: which pixels count; None: all.
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
