"""Maps of an encoder as colours."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from .panels import as_shown, titled_grid, to_levels


def feature_picture(
    images: Mapping[str, np.ndarray], features: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Images, and the three principal components of every map as red, green and blue.

    Places of one colour have alike features; the colours of two maps do not compare.

    Args:
        images: by the titles of their columns, (H, W) gray levels or (H, W, 3) uint8 colours.
        features: (C, h, w) by name; arrays of other dimensions are left out.

    Returns:
        (H', W', 3) uint8.
    """
    columns = {name: as_shown(image) for name, image in images.items()}
    height, width = next(iter(columns.values())).shape[:2]
    for name, array in features.items():
        if array.ndim == 3:
            shown = principal_colours(array)
            columns[f"{name}: {' x '.join(map(str, array.shape))}"] = cv2.resize(
                shown, (width, height), interpolation=cv2.INTER_NEAREST
            )
    return titled_grid([list(columns.values())], tuple(columns))


def principal_colours(array: np.ndarray) -> np.ndarray:
    """The three principal components of a map (C, h, w) as colours, (h, w, 3) uint8."""
    places = array.reshape(len(array), -1).T.astype(np.float64)
    places = places - places.mean(0)
    # Of the covariance (C, C), not of the places: a map may have 100,000 of them.
    directions = np.linalg.eigh(places.T @ places)[1][:, :-4:-1]
    scores = places @ directions
    low, high = np.percentile(scores, (1, 99), axis=0)
    shares = (scores - low) / np.maximum(high - low, 1e-12)
    shares = np.pad(shares, ((0, 0), (0, 3 - shares.shape[1])))
    return np.ascontiguousarray(to_levels(shares).reshape(*array.shape[1:], 3))
