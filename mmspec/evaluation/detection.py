"""Detection metrics as InfMAE's table 2 prints them."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmspec.registry import METRICS

from .table import markdown_row

AREAS = ("all", "small", "medium", "large")  # COCO's: below 32^2, to 96^2, above, in pixels


@METRICS.register_module()
class DetectionMetric(BaseMetric):
    """COCO average precision of boxes in percent, with AP50 of every class.

    Returns ``mAP`` (IoU 0.5 to 0.95), ``AP50``, ``AP75``, ``AP_small``, ``AP_medium``,
    ``AP_large``, ``AR100`` and ``AP50/NAME`` for each class of the data set. A class (or size) that
    does not occur in the truth has no AP (NaN) and is left out of the means; the log says so, and
    shows a row in the order of table 2. mmdet's ``CocoMetric`` gives the same means, rounded to
    three digits, and no AP50 of a class.

    Computed by faster-coco-eval where it is installed and by pycocotools otherwise: the numbers are
    the same. Truth is what the data set read (``instances`` among ``meta_keys`` of
    ``PackDetInputs``), in pixels of the image as it was loaded, whatever the pipeline did to it;
    boxes to ignore count as COCO's crowds.

    Args:
        collect_device: 'cpu' or 'gpu', where ranks put their results together.
        prefix: of the names, where several metrics run.

    Raises:
        KeyError: a sample without ``instances``; the message names the image and the way out.
        ValueError: a box or score that is not finite; the message names the image.
    """

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            path = sample.get("img_path", "an image")
            if "instances" not in sample:
                raise KeyError(
                    f"{path}: its truth is not there. Name it in the pipeline of the test: "
                    "dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', "
                    "'img_shape', 'scale_factor', 'instances'))"
                )
            predicted = sample["pred_instances"]
            boxes = predicted["bboxes"].float().cpu().numpy()
            scores = predicted["scores"].float().cpu().numpy()
            if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
                raise ValueError(f"{path}: a predicted box or score is not finite")
            labels = predicted["labels"].cpu().numpy()
            self.results.append(dict(truth=sample["instances"], predicted=(boxes, scores, labels)))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        classes = self.dataset_meta["classes"]
        precision, recall = evaluate_boxes(results, len(classes))
        metrics = {
            "mAP": mean_of(precision[:, :, :, 0]),
            "AP50": mean_of(precision[0, :, :, 0]),
            "AP75": mean_of(precision[5, :, :, 0]),
            **{
                f"AP_{area}": mean_of(precision[:, :, :, i])
                for i, area in enumerate(AREAS)
                if i > 0
            },
            "AR100": mean_of(recall[:, :, 0]),
            **{f"AP50/{name}": mean_of(precision[0, :, i, 0]) for i, name in enumerate(classes)},
        }
        print_log("\n" + markdown_row(table_row(metrics, classes)), logger="current")
        absent = [name for name in classes if math.isnan(metrics[f"AP50/{name}"])]
        if absent:
            print_log(f"not in the truth, not in the means: {', '.join(absent)}", logger="current")
        return metrics


def table_row(metrics: dict[str, float], classes: Sequence[str]) -> dict[str, float]:
    """A row of table 2, AP50 of the classes, then mAP and AP50; and AP of small objects."""
    row = {name: metrics[f"AP50/{name}"] for name in classes}
    return row | {name: metrics[name] for name in ("mAP", "AP50", "AP_small")}


def mean_of(values: np.ndarray) -> float:
    """Mean in percent of what COCO's evaluation could compute: it writes -1 where it could not."""
    known = values[values > -1]
    return 100 * float(known.mean()) if known.size else math.nan


def evaluate_boxes(results: Sequence[dict], num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """COCO's precision and recall at 100 detections an image.

    Args:
        results: for each image ``truth``, dicts with ``bbox`` (x1, y1, x2, y2 in pixels),
            ``bbox_label`` and ``ignore_flag``, and ``predicted``: boxes (N, 4), scores (N,) and
            labels (N,).
        num_classes: labels are 0 to ``num_classes - 1``.

    Returns:
        Precision (10 IoUs, 101 recalls, classes, 4 areas) and recall (10 IoUs, classes, 4 areas)
        in [0, 1]; -1 where there is no truth.
    """
    truth, predicted = [], []
    for image, result in enumerate(results):
        for instance in result["truth"]:
            entry = _annotation(len(truth), image, instance["bbox"], instance["bbox_label"])
            truth.append(entry | dict(iscrowd=int(instance.get("ignore_flag", 0))))
        for box, score, label in zip(*result["predicted"]):
            entry = _annotation(len(predicted), image, box, label)
            predicted.append(entry | dict(score=float(score), iscrowd=0))
    images = [dict(id=image) for image in range(len(results))]
    categories = [dict(id=label, name=str(label)) for label in range(num_classes)]

    coco, coco_eval = _backend()
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        tables = []
        for annotations in (truth, predicted):
            table = coco()
            table.dataset = dict(images=images, categories=categories, annotations=annotations)
            table.createIndex()
            tables.append(table)
        evaluation = coco_eval(*tables, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    shape = (10, 101, num_classes, len(AREAS), 3)
    precision = np.asarray(evaluation.eval["precision"]).reshape(shape)
    recall = np.asarray(evaluation.eval["recall"]).reshape(shape[:1] + shape[2:])
    return precision[..., -1], recall[..., -1]  # the last of 1, 10 and 100 detections


def _annotation(number: int, image: int, box: Sequence[float], label: int) -> dict:
    x1, y1, x2, y2 = map(float, box)
    width, height = x2 - x1, y2 - y1
    return dict(
        id=number + 1,  # COCO's evaluation takes an id of 0 for "not matched"
        image_id=image,
        category_id=int(label),
        bbox=[x1, y1, width, height],
        area=width * height,
    )


def _backend() -> tuple[type, type]:
    try:
        from faster_coco_eval import COCO, COCOeval_faster

        return COCO, COCOeval_faster
    except ImportError:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        return COCO, COCOeval
