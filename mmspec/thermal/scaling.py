"""From what a file holds to gray levels of 0 to 255."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .errors import UnreadableImageError
from .image import ThermalImage


@dataclass(frozen=True)
class Scaling:
    """How more than 8 bits become gray levels; 8-bit values are kept as they are.

    Args:
        value_range: raw values that become 0 and 255; values outside are clipped. One range for
            all images keeps temperatures comparable between them.
        percentiles: without ``value_range``: percentiles of each image that become 0 and 255. Where
            both fall on one value, the image's minimum and maximum serve instead.
        nodata_level: gray level, 0 to 255, of pixels without a measurement; that of the image's
            minimum unless given.

    Raises:
        ValueError: values that cannot be.
    """

    value_range: tuple[float, float] | None = None
    percentiles: tuple[float, float] = (0.5, 99.5)
    nodata_level: int | None = None

    def __post_init__(self) -> None:
        if self.nodata_level is not None and self.nodata_level not in range(256):
            raise ValueError(
                f"nodata_level must be a gray level, 0 to 255, got {self.nodata_level}"
            )
        low, high = self.value_range or (0, 1)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(
                f"value_range must be (low, high) with low < high, got {self.value_range}"
            )
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                "percentiles must be (low, high) with 0 <= low < high <= 100, got"
                f" {self.percentiles}"
            )


def to_gray(image: ThermalImage, scaling: Scaling) -> np.ndarray:
    """(H, W) uint8, scaled by the values of pixels that are not absent."""
    values, absent = image.values, image.absent
    if values.dtype == np.uint8:
        gray = np.ascontiguousarray(values)
    elif values.dtype.kind not in "uif":
        raise UnreadableImageError(f"pixels of type {values.dtype} are not gray values")
    else:
        measured = values if absent is None else values[~absent]
        low, high = scaling.value_range or _percentile_range(measured, scaling.percentiles)
        if values.dtype == np.uint16:  # 65,536 possible values: a table gives the result at once
            gray = _scale(np.arange(65536), low, high)[values]
        else:
            gray = _scale(values, low, high)
    if absent is not None and scaling.nodata_level is not None:
        gray = np.where(absent, np.uint8(scaling.nodata_level), gray)
    return gray


def _percentile_range(values: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    """Smallest values that the given shares of the pixels do not exceed."""
    if values.dtype == np.uint16:  # by a histogram, ten times as fast
        cumulative = np.bincount(values.ravel(), minlength=65536).cumsum()
        ranks = np.maximum(np.array(percentiles) / 100 * cumulative[-1], 1)
        low, high = np.searchsorted(cumulative, ranks)
    else:
        low, high = np.percentile(values, percentiles, method="inverted_cdf")
    if low == high:  # for instance a small target on an even sky
        return values.min(), values.max()
    return low, high


def _scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    if low == high:
        return np.zeros(values.shape, np.uint8)
    low, high = float(low), float(high)
    scaled = (values.astype(np.float64) - low) * 255 / (high - low)
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)
