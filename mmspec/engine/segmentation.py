"""Pictures of segmentation results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmspec.registry import HOOKS
from mmspec.visualization.segmentation import segmentation_picture

from .pictures import PictureHook, loaded_image


@HOOKS.register_module()
class SegmentationOverlayHook(PictureHook):
    """Writes prediction and truth over the input into ``WORK_DIR/overlays``."""

    folder = "overlays"

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        prediction = sample.pred_sem_seg.data[0].long().cpu().numpy()
        truth = sample.gt_sem_seg.data[0].cpu().numpy() if "gt_sem_seg" in sample else None
        image = loaded_image(image, prediction.shape)
        return segmentation_picture(image, prediction, truth, classes)
