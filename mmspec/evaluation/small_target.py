"""Metrics of infrared small target detection, of pixels and of targets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmspec.conventions import IGNORE_INDEX
from mmspec.registry import METRICS

from .roc import BINS, RocCurve, roc_curve, score_histogram
from .samples import scored_and_true
from .table import log_table
from .target_matching import find_components, match_targets

#: A pixel is predicted as target above this probability.
THRESHOLD = 0.5
MEANINGS = {0: "background", 1: "target", IGNORE_INDEX: "to ignore"}


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

    An image costs 8 KB, whatever its size: counts, and a histogram of its scores for the ROC (see
    :mod:`mmspec.evaluation.roc` for the bins). The log says how far AUC can be from that of exact
    scores. What is undefined (Pd without targets, AUC and IoU likewise) is NaN, and the log says
    so; an image without a target counts in Fa, F1 and AUC, and in nIoU as 1 if nothing is predicted
    (as 0 in the family of DNANet). After an evaluation ``roc`` is the curve, in the main process.

    Samples are those of mmseg: ``seg_logits`` of one channel, which mmseg hands over as
    probabilities (after its sigmoid), or of two (background and target, before softmax), and
    ``gt_sem_seg`` of 0, 1 and 255 for pixels that do not count. The threshold is 0.5; mmseg's own
    ``pred_sem_seg`` of one channel, cut at the head's ``threshold``, is not used.

    Raises:
        KeyError: a sample without scores.
        ValueError: scores that are not finite, no probabilities or of another size than the labels;
            no label, or one with values other than 0, 1 and 255. The messages name the image.
    """

    roc: RocCurve | None = None

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            probability, truth = scored_and_true(sample, MEANINGS)
            counted = truth != IGNORE_INDEX
            histogram = score_histogram(probability, truth == 1, counted)
            predicted = (probability > THRESHOLD) & counted
            del probability  # before components need as much again
            counts = _counts(predicted, truth == 1, counted)
            self.results.append((counts.tobytes(), histogram.tobytes()))

    def compute_metrics(self, results: list[tuple[bytes, bytes]]) -> dict[str, float]:
        counts = np.stack([np.frombuffer(counts, np.int64) for counts, _ in results])
        both, predicted, true, pixels, targets, detected, false_alarms = counts.sum(axis=0)
        union = counts[:, 1] + counts[:, 2] - counts[:, 0]
        image_iou = np.where(union, counts[:, 0] / np.maximum(union, 1), 1.0)
        bins = sum(np.frombuffer(counts, np.int32).astype(np.int64) for _, counts in results)
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
