"""Small targets as connected components, and which predicted one stands for which true one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: Centroids this far apart, in pixels, no longer match; the field's convention since ACM (2021).
MATCH_DISTANCE = 3.0
# Centroids are means, rounded to floats: one exactly 3 pixels away must not slip under.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Components:
    """The 8-connected components of a mask, in raster order of their first pixels.

    Attributes:
        labels: (H, W) int32, 0 outside, i + 1 on component i.
        areas: (N,) int64, pixels.
        centroids: (N, 2) float64, mean row and column.
    """

    labels: np.ndarray
    areas: np.ndarray
    centroids: np.ndarray

    def __len__(self) -> int:
        return len(self.areas)


def find_components(mask: np.ndarray) -> Components:
    """The 8-connected components of a mask, (H, W) bool."""
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    # OpenCV numbers components by blocks of 2 x 2 pixels; the greedy matching goes by raster order.
    inside = labels[mask]
    order = np.argsort(np.unique(inside, return_index=True)[1])
    number = np.zeros(count, np.int32)
    number[order + 1] = np.arange(1, count)
    return Components(
        number[labels],
        stats[1:, cv2.CC_STAT_AREA][order].astype(np.int64),
        centroids[1:, ::-1][order],
    )


def match_targets(predicted: Components, true: Components) -> np.ndarray:
    """Index of the predicted component that finds each true one, -1 for those that are missed.

    Each true component in its order takes the first predicted one that is free and has its centroid
    strictly less than ``MATCH_DISTANCE`` away. A predicted component serves once.

    Returns:
        (number of true components,) int64.
    """
    found = np.full(len(true), -1)
    free = np.ones(len(predicted), bool)
    for index, centroid in enumerate(true.centroids):
        distances = np.hypot(*(predicted.centroids - centroid).T)
        near = np.flatnonzero(free & (distances < MATCH_DISTANCE - _ROUNDING))
        if len(near):
            found[index] = near[0]
            free[near[0]] = False
    return found
