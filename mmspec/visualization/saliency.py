"""Pictures of salient object detection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np

from mmspec.evaluation.saliency import THRESHOLDS, SaliencyCurves

from .reconstruction import display_gain, panel_size, titled_grid, to_display, to_levels

PANEL = 280  # width of a column in pixels


def saliency_picture(
    visible: np.ndarray | None,
    infrared: np.ndarray | None,
    truth: np.ndarray | None,
    score: np.ndarray,
) -> np.ndarray:
    """Visible and infrared image, truth and probability side by side; columns as there are images.

    Args:
        visible: (H, W, 3) uint8 RGB, or None.
        infrared: (H, W) uint8, shown under a display gain, or None.
        truth: (H, W) of 0 and 1, or None.
        score: (H, W) float in [0, 1], black to white, not stretched.

    Returns:
        (H', W', 3) uint8.
    """
    panels = {}
    if visible is not None:
        panels["visible"] = visible
    if infrared is not None:
        panels["infrared"] = to_display(infrared, display_gain(infrared))
    if truth is not None:
        panels["truth"] = _gray(truth)
    panels["probability"] = _gray(score)
    size = panel_size(score.shape, PANEL)
    smaller = score.shape[1] > size[0]
    way = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    row = [cv2.resize(np.ascontiguousarray(p), size, interpolation=way) for p in panels.values()]
    return titled_grid([row], tuple(panels))


def _gray(levels: np.ndarray) -> np.ndarray:
    return np.repeat(to_levels(levels)[..., None], 3, axis=2)


def save_pr_curves(curves: Mapping[str, SaliencyCurves], path: str | Path) -> None:
    """Draws precision over recall, and F over the threshold, a line a data set.

    Args:
        curves: by the name of the data set, at least one; a single one may have no name.
        path: the picture file.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    for name, curve in curves.items():
        label = f"{name}{': ' if name else ''}max F {curve.f_measure.max():.3f}"
        left.plot(curve.recall, curve.precision, linewidth=1.5)
        right.plot(THRESHOLDS / 255, curve.f_measure, linewidth=1.5, label=label)
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    right.set(xlabel="threshold", ylabel="F, $\\beta^2$ = 0.3", xlim=(0, 1), ylim=(0, 1.02))
    for axis in (left, right):
        axis.grid(alpha=0.3)
    right.legend(fontsize="small", loc="lower center")
    figure.savefig(path, dpi=120)
    plt.close(figure)
