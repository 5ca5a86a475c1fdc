"""Pictures of segmentation results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmspec.registry import HOOKS
from mmspec.visualization.segmentation import segmentation_picture

from .pictures import PictureHook, loaded_images


@HOOKS.register_module()
class SegmentationOverlayHook(PictureHook):
    """Writes prediction and truth over the input into ``WORK_DIR/overlays``.

    Of a pair both images are shown, and the overlays are over the infrared one.
    """

    folder = "overlays"

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        prediction = sample.pred_sem_seg.data[0].long().cpu().numpy()
        truth = sample.gt_sem_seg.data[0].cpu().numpy() if "gt_sem_seg" in sample else None
        images = loaded_images(image, sample, prediction.shape)
        return segmentation_picture(images, prediction, truth, classes)
