"""Pictures of salient object detection."""

from __future__ import annotations

import numpy as np

from .panels import as_shown, panel_size, resized, titled_grid, to_levels

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
        panels["infrared"] = as_shown(infrared)
    if truth is not None:
        panels["truth"] = _gray(truth)
    panels["probability"] = _gray(score)
    size = panel_size(score.shape, PANEL)
    row = [resized(panel, size) for panel in panels.values()]
    return titled_grid([row], tuple(panels))


def _gray(levels: np.ndarray) -> np.ndarray:
    return np.repeat(to_levels(levels)[..., None], 3, axis=2)
