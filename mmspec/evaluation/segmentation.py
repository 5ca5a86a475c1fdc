"""Segmentation metrics as InfMAE's table 1 prints them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmspec.registry import METRICS

from .table import markdown_row

BACKGROUND = ("background", "unlabeled")


@METRICS.register_module()
class SegmentationMetric(BaseMetric):
    """IoU of every class, mIoU and mAcc in percent, background counted in the means.

    Areas are summed over all images, as in mmseg's ``IoUMetric``, which gives the same means.
    Returns ``IoU/NAME`` for each class, ``mIoU``, ``mAcc`` (mean over classes of the share of
    pixels that were found) and ``aAcc`` (share of all pixels). A class that occurs neither in truth
    nor in predictions has no IoU (NaN) and is left out of the means; the log says so. It also shows
    a row in the order of table 1: the data set's classes, then background, mIoU, mAcc.

    Args:
        ignore_index: label of pixels that do not count.
        collect_device: 'cpu' or 'gpu', where ranks put their results together.
        prefix: of the names, where several metrics run.

    Raises:
        ValueError: a label outside the data set's classes; the message names the image.
    """

    def __init__(
        self, ignore_index: int = 255, collect_device: str = "cpu", prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ignore_index = ignore_index

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        num_classes = len(self.dataset_meta["classes"])
        for sample in data_samples:
            # A head with one channel (sigmoid) gives its classes as floats.
            predicted = sample["pred_sem_seg"]["data"].squeeze(0).long()
            truth = sample["gt_sem_seg"]["data"].squeeze(0).to(predicted)
            counted = truth != self.ignore_index
            truth, predicted = truth[counted], predicted[counted]
            if truth.numel() and not 0 <= truth.min() <= truth.max() < num_classes:
                raise ValueError(
                    f"{sample['img_path']}: its label holds {int(truth.max())}, the data set has "
                    f"classes 0 to {num_classes - 1} and {self.ignore_index} to ignore"
                )
            confusion = torch.bincount(truth * num_classes + predicted, minlength=num_classes**2)
            self.results.append(confusion.view(num_classes, num_classes).cpu())

    def compute_metrics(self, results: list[Tensor]) -> dict[str, float]:
        # Rows are true classes, columns predicted ones.
        confusion = torch.stack(results).sum(0).double()
        hits, true, predicted = confusion.diag(), confusion.sum(1), confusion.sum(0)
        iou = 100 * hits / (true + predicted - hits)
        classes = self.dataset_meta["classes"]
        metrics = {f"IoU/{name}": value for name, value in zip(classes, iou.tolist())}
        metrics["mIoU"] = iou.nanmean().item()
        metrics["mAcc"] = (100 * hits / true).nanmean().item()
        metrics["aAcc"] = (100 * hits.sum() / true.sum()).item()
        print_log("\n" + markdown_row(table_row(metrics, classes)), logger="current")
        absent = [name for name, value in zip(classes, iou.tolist()) if math.isnan(value)]
        if absent:
            print_log(
                f"neither in truth nor in predictions, not in the means: {', '.join(absent)}",
                logger="current",
            )
        return metrics


def table_row(metrics: dict[str, float], classes: Sequence[str]) -> dict[str, float]:
    """A row of table 1: the classes without background, then background, mIoU and mAcc.

    Args:
        metrics: of :class:`SegmentationMetric`, in percent.
        classes: the data set's class names.
    """
    background = [name for name in classes if name.lower() in BACKGROUND]
    columns = [name for name in classes if name not in background] + background
    row = {name: metrics[f"IoU/{name}"] for name in columns}
    return row | {name: metrics[name] for name in ("mIoU", "mAcc")}
