"""Pictures of detection results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmspec.registry import HOOKS
from mmspec.visualization.detection import detection_picture

from .pictures import PictureHook, loaded_image


@HOOKS.register_module()
class DetectionPictureHook(PictureHook):
    """Writes predicted and true boxes, side by side, into ``WORK_DIR/detections``.

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

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        found = sample.pred_instances
        truth = None
        if "instances" in sample:
            truth = [
                (instance["bbox"], instance["bbox_label"], bool(instance["ignore_flag"]))
                for instance in sample.instances
            ]
        return detection_picture(
            loaded_image(image, sample.ori_shape[:2]),
            found.bboxes.float().cpu().numpy(),
            found.scores.float().cpu().numpy(),
            found.labels.cpu().numpy(),
            truth,
            classes,
            self.score_threshold,
        )
