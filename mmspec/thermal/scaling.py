"""From what a file holds to gray levels of 0 to 255."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .image import UNITS, ThermalImage
from .palettes import AUTO, PALETTES, REFUSE

#: Times the sensor's noise that 0 to 255 span at least: 13 FLIR and 2 DJI pictures, a recording and
#: 99 % of three data sets of 8 bits span 55 times and more; a wall alone then has a deviation of 8.
NOISES = 32
CLIPS = "the range clips more than half of the pixels"
RANGE_OF_8_BITS = "a range is for deeper files: the levels of 8 bits are kept as they are"
_CENTIKELVIN = (20000, 60000)  # of scenes from -73 to 327 Celsius


@dataclass(frozen=True)
class Scaling:
    """How more than 8 bits become gray levels; 8-bit values are kept as they are.

    Args:
        range: values in the file's unit that become 0 and 255; values outside are clipped. One
            range for all images keeps temperatures comparable between them.
        percentiles: without ``range``: percentiles of each image that become 0 and 255. Where both
            fall on one value, the image's minimum and maximum serve instead. The hottest 0.5 % are
            often all of a small target: (0, 100) clips nothing, for less contrast of the scene.
        min_span: without ``range``: what 0 to 255 span at least, in the file's unit, so that an
            empty wall is not stretched to noise; None: ``NOISES`` times the image's noise.
        sequence: one mapping by ``percentiles`` and ``min_span`` for all images of a folder, or of
            a recording, from 32 of them.
        unit: what is read of files that hold several, see :func:`mmspec.read_thermal`; arrays in
            memory are taken to be in it.
        float32: levels stay fractions, float32, instead of whole ones, uint8; only of deeper files.
        nodata_level: gray level, 0 to 255, of pixels without a measurement; that of the image's
            minimum unless given.
        palette: what colours of 8 bits become. 'auto': the scalar that they stand for where a
            palette of ``mmspec.thermal.palettes``, or the one in a FLIR file, coloured them, else
            luma; None: luma; 'refuse': an error; a palette's name: its scalar, or an error where
            the colours are others. Gray pictures stay as they are.

    Raises:
        ValueError: values that cannot be.
    """

    range: tuple[float, float] | None = None
    percentiles: tuple[float, float] = (0.5, 99.5)
    min_span: float | None = None
    sequence: bool = False
    unit: str | None = None
    float32: bool = False
    nodata_level: int | None = None
    palette: str | None = AUTO

    def __post_init__(self) -> None:
        for name in ("range", "percentiles"):  # JSON and configs have lists
            if (pair := getattr(self, name)) is not None:
                if np.shape(pair) != (2,) or np.asarray(pair).dtype.kind not in "iuf":
                    raise ValueError(f"{name} must be (low, high), two numbers, got {pair!r}")
                object.__setattr__(self, name, tuple(pair))
        if self.nodata_level is not None and not 0 <= self.nodata_level <= 255:
            raise ValueError(
                f"nodata_level must be a gray level, 0 to 255, got {self.nodata_level}"
            )
        low, high = self.range or (0, 1)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"range must be (low, high) with low < high, got {self.range}")
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                "percentiles must be (low, high) with 0 <= low < high <= 100, got"
                f" {self.percentiles}"
            )
        if self.min_span is not None and not 0 <= self.min_span < math.inf:
            raise ValueError(f"min_span must be a span in the file's unit, got {self.min_span}")
        if self.range and self.sequence:
            raise ValueError("range and sequence: a range is one for every image as it is")
        if self.unit not in (None, *UNITS):
            raise ValueError(f"unit must be one of {UNITS} or None, got {self.unit!r}")
        if self.palette not in (choices := (None, AUTO, REFUSE, *PALETTES)):
            raise ValueError(f"palette must be one of {choices}, got {self.palette!r}")

    def setting(self) -> dict[str, Any]:
        """What differs from the defaults, as ``infrared_scale`` of a config has it."""
        default = asdict(Scaling())
        return {key: value for key, value in asdict(self).items() if value != default[key]}


def to_gray(
    image: ThermalImage, scaling: Scaling, limits: tuple[float, float] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Scale the values of an image by those of its pixels that are not absent.

    Args:
        image: of any depth.
        scaling: how.
        limits: of the image's sequence, see :func:`limits_of`.

    Returns:
        (H, W) uint8, or float32 of a deeper image and ``scaling.float32``; and remarks.
    """
    values, absent, remarks = image.values, image.absent, ()
    if absent is not None and values.dtype.kind == "f":
        values = np.where(absent, values[~absent].min(), values)
    if values.dtype == np.uint8:
        gray = np.ascontiguousarray(values)
        remarks = (RANGE_OF_8_BITS,) if scaling.range else ()
    else:
        if scaling.range:
            remarks = _clipping(values, scaling.range)
        low, high = scaling.range or limits or limits_of([image], scaling)
        if values.dtype == np.uint16:  # 65,536 possible values: a table gives the result at once
            gray = _scale(np.arange(65536), low, high, scaling.float32)[values]
        else:
            gray = _scale(values, low, high, scaling.float32)
    if absent is not None and scaling.nodata_level is not None:
        gray = np.where(absent, gray.dtype.type(scaling.nodata_level), gray)
    return gray, remarks


def limits_of(images: Sequence[ThermalImage], scaling: Scaling) -> tuple[float, float]:
    """Values that become 0 and 255, one mapping for all of several images."""
    measured = [
        image.values.ravel() if image.absent is None else image.values[~image.absent]
        for image in images
    ]
    together = measured[0] if len(measured) == 1 else np.concatenate(measured)
    low, high = map(float, _percentile_range(together, scaling.percentiles))
    span = scaling.min_span
    if span is None:
        span = NOISES * float(np.median([_noise(image) for image in images]))
    if low < high < low + span:
        low, high = (low + high - span) / 2, (low + high + span) / 2
    return low, high


def _noise(image: ThermalImage) -> float:
    """Deviation of a sensor's noise, by the median second difference along every other row.

    Edges are few, so a scene's own structure hardly counts.
    """
    rows = image.values[::2].astype(np.float64)
    if image.absent is not None:
        rows[image.absent[::2]] = np.nan
    second = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])
    second = second[np.isfinite(second)]
    return float(np.median(second)) / 0.6745 / math.sqrt(6) if second.size else 0.0


def _clipping(values: np.ndarray, limits: tuple[float, float]) -> tuple[str, ...]:
    """What to say of a range that leaves little of an image."""
    step = max(1, math.isqrt(values.size >> 14))
    some = values[::step, ::step]
    clipped = float(((some < limits[0]) | (some > limits[1])).mean())
    if clipped <= 0.5:
        return ()
    told = f"{clipped:.0%} of {some.min():g} to {some.max():g} by range={limits}"
    if limits[1] < 1000 and _CENTIKELVIN[0] <= np.median(some) <= _CENTIKELVIN[1]:
        kelvin = tuple(round(100 * (limit + 273.15)) for limit in limits)
        told += f"; hundredths of a kelvin? {limits} Celsius is {kelvin} of them"
    return (f"{CLIPS}: {told}",)


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


def _scale(values: np.ndarray, low: float, high: float, fractions: bool) -> np.ndarray:
    kind = np.float32 if fractions else np.uint8
    if low == high:
        return np.zeros(values.shape, kind)
    low, high = float(low), float(high)
    scaled = ((values.astype(np.float64) - low) * 255 / (high - low)).clip(0, 255)
    return (scaled if fractions else np.rint(scaled)).astype(kind)
