"""The homography behind matches."""

from __future__ import annotations

import cv2
import numpy as np


def estimate_homography(
    infrared_points: np.ndarray, visible_points: np.ndarray, threshold: float = 3.0
) -> np.ndarray | None:
    """The homography that most matches agree with, by OpenCV: MAGSAC++, or else plain RANSAC.

    Args:
        infrared_points, visible_points: (N, 2) x, y in pixels.
        threshold: pixels up to which a match agrees.

    Returns:
        (3, 3) float64 from infrared to visible; None of fewer than four matches, or where nothing
        is found.
    """
    if len(infrared_points) < 4:
        return None
    points = [np.asarray(p, np.float64)[:, None] for p in (infrared_points, visible_points)]
    cv2.setRNGSeed(0)
    for method in (cv2.USAC_MAGSAC, cv2.RANSAC):
        try:
            found, _ = cv2.findHomography(
                *points, method, threshold, maxIters=10_000, confidence=0.9999
            )
        except cv2.error:  # MAGSAC raises on some degenerate sets instead of finding nothing
            continue
        if found is not None and np.isfinite(found).all():
            return found
    return None
