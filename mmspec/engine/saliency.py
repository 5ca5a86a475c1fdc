"""Pictures of tested images and the precision-recall curves of salient object detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from mmengine.fileio import dump
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmspec.evaluation.foreground import foreground_probability
from mmspec.evaluation.saliency import THRESHOLDS, SaliencyMetric
from mmspec.registry import HOOKS
from mmspec.visualization.saliency import saliency_picture, save_pr_curves

from .pictures import PictureHook, modalities


@HOOKS.register_module()
class SaliencyPictureHook(PictureHook):
    """Writes visible and infrared image, truth and probability, and the curves of a test.

    They go to ``WORK_DIR/saliency``; of a test there are also ``pr_curve.png`` and
    ``pr_curve.json``: the thresholds, strictest first, and for each data set precision, recall,
    F and E at them, if a ``SaliencyMetric`` ran.
    """

    folder = "saliency"

    def draw_curves(self, runner: Runner) -> None:
        folder = self.test_folder(runner)
        for metric in self.test_metrics(runner, SaliencyMetric):
            if metric.curves:  # in the main process
                save_pr_curves(metric.curves, folder / "pr_curve.png")
                numbers = {
                    name or "all": {key: values.tolist() for key, values in asdict(curve).items()}
                    for name, curve in metric.curves.items()
                }
                numbers["thresholds"] = (THRESHOLDS / 255).tolist()
                dump(numbers, folder / "pr_curve.json")

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        truth = sample.gt_sem_seg.data[0].cpu().numpy()
        visible, infrared = modalities(image, sample.channels, truth.shape)
        score = foreground_probability(sample.seg_logits.data, sample.img_path)
        return saliency_picture(visible, infrared, truth, score)
