"""Detection metrics as InfMAE's table 2 prints them."""

import math
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmspec.registry import METRICS

from .average_precision import AREAS, BoxTable, precision_and_recall
from .samples import class_names, predicted_boxes, rows_of_images, true_boxes
from .table import log_table


@METRICS.register_module()
class DetectionMetric(BaseMetric):
    """COCO average precision of boxes in percent, with AP50 of every class.

    Returns ``mAP`` (IoU 0.5 to 0.95), ``AP50``, ``AP75``, ``AP_small``, ``AP_medium``,
    ``AP_large``, ``AR100`` and ``AP50/NAME`` for each class of the data set. A class (or size) that
    does not occur in the truth has no AP (NaN) and is left out of the means; the log says so, and
    shows a row in the order of table 2. mmdet's ``CocoMetric`` gives the same means, rounded to
    three digits, and no AP50 of a class.

    Truth is what the data set read (``instances`` among ``meta_keys`` of ``PackDetInputs``), in
    pixels of the image as it was loaded, whatever the pipeline did to it; boxes to ignore count as
    COCO's crowds. An image of no instances has no objects, and what is predicted there is false.
    The numbers are those of pycocotools and faster-coco-eval, computed on arrays, as theirs of
    10,000 images take gigabytes.

    Raises:
        KeyError, ValueError: a sample that cannot be scored, see :mod:`mmspec.evaluation.samples`;
            the message names its image.
    """

    default_prefix = ""  # none, and no warning of it

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        num_classes = len(class_names(self.dataset_meta))
        for sample in data_samples:
            true, found = true_boxes(sample, num_classes), predicted_boxes(sample, num_classes)
            self.results.append((true.tobytes(), found.astype(np.float32).tobytes()))

    def compute_metrics(self, results: list[tuple[bytes, bytes]]) -> dict[str, float]:
        classes = class_names(self.dataset_meta)
        true, found = zip(*results)
        precision, recall = precision_and_recall(
            _table(found, np.float32), _table(true, np.float64), len(classes)
        )
        metrics = {
            "mAP": mean_of(precision[:, :, :, 0]),
            "AP50": mean_of(precision[0, :, :, 0]),
            "AP75": mean_of(precision[5, :, :, 0]),
            **{f"AP_{x}": mean_of(precision[:, :, :, i]) for i, x in enumerate(AREAS) if i > 0},
            "AR100": mean_of(recall[:, :, 0]),
            **{f"AP50/{name}": mean_of(precision[0, :, i, 0]) for i, name in enumerate(classes)},
        }
        log_table(table_row(metrics, classes))
        if absent := ", ".join(name for name in classes if math.isnan(metrics[f"AP50/{name}"])):
            print_log(f"not in the truth, not in the means: {absent}", logger="current")
        return metrics


def table_row(metrics: dict[str, float], classes: Sequence[str]) -> dict[str, float]:
    """A row of table 2, AP50 of the classes, then mAP and AP50; and AP of small objects."""
    row = {name: metrics[f"AP50/{name}"] for name in classes}
    return row | {name: metrics[name] for name in ("mAP", "AP50", "AP_small")}


def mean_of(values: np.ndarray) -> float:
    """Mean in percent of what COCO's evaluation could compute: it writes -1 where it could not."""
    known = values[values > -1]
    return 100 * float(known.mean()) if known.size else math.nan


def _table(images: Sequence[bytes], dtype: type) -> BoxTable:
    """The rows x1, y1, x2, y2, label, score of all images."""
    image, rows = rows_of_images(images, dtype)
    corners, label = rows[:, :2].astype(np.float64), rows[:, 4].astype(np.int64)
    scores = rows[:, 5].astype(np.float64)
    return BoxTable(image, label, corners, rows[:, 2:4] - corners, scores)
