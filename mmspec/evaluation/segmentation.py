"""Segmentation metrics as InfMAE's table 1 prints them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmspec.conventions import IGNORE_INDEX
from mmspec.registry import METRICS

from .samples import class_names, field_of, label_of, name_of
from .table import log_table

BACKGROUND = ("background", "unlabeled")


@METRICS.register_module()
class SegmentationMetric(BaseMetric):
    """IoU of every class, mIoU and mAcc in percent, background counted in the means.

    Areas are summed over all images, as in mmseg's ``IoUMetric``, which gives the same means.
    Returns ``IoU/NAME`` for each class, ``mIoU``, ``mAcc`` (mean over classes of the share of
    pixels that were found) and ``aAcc`` (share of all pixels). A class that occurs neither in truth
    nor in predictions has no IoU (NaN) and is left out of the means; the log says so. It also shows
    a row in the order of table 1: the data set's classes, then background, mIoU, mAcc. An image
    whose pixels are all to ignore adds nothing.

    Raises:
        KeyError, ValueError: a sample that cannot be scored, see :mod:`mmspec.evaluation.samples`;
            the message names its image.
    """

    default_prefix = ""  # none, and no warning of it

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        num_classes = len(class_names(self.dataset_meta))
        allowed = {*range(num_classes), IGNORE_INDEX}
        meaning = f"the data set has classes 0 to {num_classes - 1} and {IGNORE_INDEX} to ignore"
        for sample in data_samples:
            predicted = _predicted_classes(sample, num_classes)
            truth = label_of(sample, predicted.shape, allowed, meaning)
            self.results.append(count_pixels(truth, predicted, num_classes).tobytes())

    def compute_metrics(self, results: list[bytes]) -> dict[str, float]:
        classes = class_names(self.dataset_meta)
        confusion = sum(np.frombuffer(counts, np.int64) for counts in results)
        confusion = confusion.reshape(len(classes), len(classes)).astype(np.float64)
        hits, true, iou = confusion.diagonal(), confusion.sum(1), class_iou(confusion)
        with np.errstate(invalid="ignore"):  # of a class that does not occur
            accuracy = 100 * hits / true
        metrics = {f"IoU/{name}": value for name, value in zip(classes, iou.tolist())}
        metrics["mIoU"] = _mean_of_known(iou)
        metrics["mAcc"] = _mean_of_known(accuracy)
        metrics["aAcc"] = float(100 * hits.sum() / true.sum()) if true.any() else math.nan
        log_table(table_row(metrics, classes))
        if absent := ", ".join(name for name in classes if math.isnan(metrics[f"IoU/{name}"])):
            text = "neither in truth nor in predictions, not in the means"
            print_log(f"{text}: {absent}", logger="current")
        return metrics


def count_pixels(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels by true (rows) and predicted class, (classes, classes) int64; ignored ones nowhere.

    Args:
        truth: classes of any shape, ``IGNORE_INDEX`` where none counts.
        predicted: classes, of the same shape.
    """
    counted = truth != IGNORE_INDEX
    pairs = truth[counted].astype(np.int64) * num_classes + predicted[counted]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_iou(counts: np.ndarray) -> np.ndarray:
    """IoU in percent, (..., classes), of counts (..., true, predicted); NaN of an absent class."""
    hits = counts.diagonal(axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore"):
        return 100 * hits / (counts.sum(-1) + counts.sum(-2) - hits)


def table_row(metrics: dict[str, float], classes: Sequence[str]) -> dict[str, float]:
    """A row of table 1: the classes without background, then background, mIoU and mAcc."""
    columns = sorted(classes, key=lambda name: name.lower() in BACKGROUND)  # of both in their order
    row = {name: metrics[f"IoU/{name}"] for name in columns}
    return row | {name: metrics[name] for name in ("mIoU", "mAcc")}


def _predicted_classes(sample: Mapping, num_classes: int) -> np.ndarray:
    """``pred_sem_seg`` of a sample, (H, W) int64, of the data set's classes alone."""
    found = field_of(sample, "pred_sem_seg", "a model of mmseg gives it in its predict()")["data"]
    # A head with one channel (sigmoid) gives its classes as floats.
    predicted = found.squeeze(0).cpu().numpy()
    wrong = ~np.isin(predicted, np.arange(num_classes))
    if wrong.any():
        values = np.unique(predicted[wrong])
        logits = sample.get("seg_logits")
        head = "" if logits is None else f", the head has {len(logits['data'])} channels"
        raise ValueError(
            f"{name_of(sample)}: {wrong.sum():,} of {predicted.size:,} pixels are predicted"
            f" as class {', '.join(f'{value:g}' for value in values)}; the data set has"
            f" {num_classes} classes, 0 to {num_classes - 1}{head}. Set num_classes of the heads to"
            f" {num_classes}, and take a checkpoint that was trained so"
        )
    return predicted.astype(np.int64)


def _mean_of_known(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
