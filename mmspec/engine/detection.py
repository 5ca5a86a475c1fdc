"""Pictures of detection results, and the miss-rate curves of a test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmspec.evaluation.miss_rate import TIMES, MissRateMetric
from mmspec.registry import HOOKS
from mmspec.visualization.detection import detection_picture
from mmspec.visualization.miss_rate import save_miss_rate_curves

from .pictures import PictureHook, loaded_images


@HOOKS.register_module()
class DetectionPictureHook(PictureHook):
    """Writes predicted and true boxes, side by side, into ``WORK_DIR/detections``.

    Of a pair they are drawn over the infrared image and, below, over the visible one. Of a test
    there is also ``miss_rate.png``, the curves of the first setting that has any, if a
    ``MissRateMetric`` ran.

    Args:
        num_images: how many; None: all.
        out_dir: another folder for the pictures of a test.
        score_threshold: predictions below are not drawn.
    """

    folder = "detections"

    def __init__(
        self,
        num_images: int | None = 8,
        out_dir: str | None = None,
        score_threshold: float = 0.3,
    ) -> None:
        super().__init__(num_images, out_dir)
        self.score_threshold = score_threshold

    def draw_curves(self, runner: Runner) -> None:
        for metric in self.test_metrics(runner, MissRateMetric):
            if metric.curves:  # in the main process, and of settings with a pedestrian
                setting = next(iter(metric.curves))[0]
                panels = {
                    time: {setting: metric.curves[setting, time]}
                    for time in TIMES
                    if (setting, time) in metric.curves
                }
                save_miss_rate_curves(panels, self.test_folder(runner) / "miss_rate.png")

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        found = sample.pred_instances
        truth = None
        if "instances" in sample:
            truth = [
                (instance["bbox"], instance["bbox_label"], bool(instance["ignore_flag"]))
                for instance in sample.instances
            ]
        return detection_picture(
            list(loaded_images(image, sample, sample.ori_shape[:2]).values()),
            found.bboxes.float().cpu().numpy(),
            found.scores.float().cpu().numpy(),
            found.labels.cpu().numpy(),
            truth,
            classes,
            self.score_threshold,
        )
