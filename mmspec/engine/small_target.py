"""Pictures of tested images and the ROC curve of infrared small target detection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmspec.evaluation.foreground import foreground_probability
from mmspec.evaluation.small_target import SmallTargetMetric
from mmspec.registry import HOOKS
from mmspec.visualization.roc import save_roc_curve
from mmspec.visualization.small_target import small_target_picture

from .pictures import PictureHook, loaded_image


@HOOKS.register_module()
class SmallTargetPictureHook(PictureHook):
    """Writes hits, misses and false alarms of every tested image, and the ROC curve of the test.

    They go to ``WORK_DIR/small_targets/test``; the curve is ``roc.png`` there, if a
    ``SmallTargetMetric`` ran and found pixels of both kinds. Validations are not drawn.

    Args:
        num_images: how many images of a test; None: all.
        out_dir: another folder.
    """

    folder = "small_targets"

    def __init__(self, num_images: int | None = None, out_dir: str | None = None) -> None:
        super().__init__(num_images, out_dir)

    def after_val_iter(self, *args, **kwargs) -> None:
        """Draws nothing."""

    def draw_curves(self, runner: Runner) -> None:
        for metric in self.test_metrics(runner, SmallTargetMetric):
            if metric.roc is not None:
                save_roc_curve(metric.roc, self.test_folder(runner) / "roc.png")

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        probability = foreground_probability(sample.seg_logits.data, sample.img_path)
        truth = sample.gt_sem_seg.data[0].cpu().numpy()
        return small_target_picture(loaded_image(image, truth.shape), truth, probability)
