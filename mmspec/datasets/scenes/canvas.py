"""What a scene is painted on: polygons of numbered surfaces, drawn far to near.

A surface has a temperature, a colour, a class and an instance, so the thermal image, the visible
image, the labels and the boxes agree by construction, while the contrast in each band is free.
"""

import math
from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache

import cv2
import numpy as np

# Countable things first, then what surrounds them.
Label = IntEnum("Label", "PERSON VEHICLE GROUND ROAD SKY BUILDING VEGETATION POLE", start=0)
# Exponents b of radial power spectra 1/f^b; natural thermal images lie between 2 and 3.5.
_EXPONENTS = {"fine": 1.5, "rough": 2.2, "smooth": 3.4}
_OVERSAMPLE = 2  # sub-pixels a pixel


@lru_cache(maxsize=8)
def _amplitudes(side: int) -> dict[str, np.ndarray]:
    """Amplitude of each half-plane frequency, scaled to fields of unit deviation."""
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    radius[0, 0] = np.inf
    each = {kind: radius ** (-exponent / 2) for kind, exponent in _EXPONENTS.items()}
    return {k: np.float32(a * (side**2 / (2 * np.linalg.norm(a)))) for k, a in each.items()}


class Canvas:
    """The surface seen at each sub-pixel by a level pinhole camera, with the table of surfaces.

    In the world x is right, y up and z ahead of the camera's foot, in metres; the camera is
    ``height`` metres up. ``size`` (H, W), ``focal`` and the row ``horizon``, which may lie outside,
    are in pixels. ``air`` is in Celsius, ``sun`` is 0 at night to 1 at noon.
    """

    near = 0.4

    def __init__(self, size, focal, height, horizon, rng, air, sun) -> None:
        self.size, self.focal, self.height, self.horizon = size, focal, height, horizon
        self.rng, self.air, self.sun, self._visibility = rng, air, sun, rng.uniform(150, 900)
        self._ids = np.zeros([_OVERSAMPLE * side for side in size], np.uint16)
        self._rows, self._things = [], []
        self.surface(Label.SKY, -air, (0, 0, 0))
        # Tileable 1/f^b fields of zero mean and about unit deviation, two periods a side: a window
        # of one never meets the slow wrap-around of OpenCV.
        self.period = side = 1 << max(7, min(9, (max(size) - 1).bit_length()))
        spectrum = rng.standard_normal((side, side + 2), np.float32).view(np.complex64)
        self._fields = {
            kind: np.tile(np.fft.irfft2(spectrum * amplitude, s=(side, side)), (2, 2)).astype("f4")
            for kind, amplitude in _amplitudes(side).items()
        }

    def window(self, shape, kind: str, step=1.0, flat=1.0, turn=0.0, smooth=True) -> np.ndarray:
        """A field (H, W) float32: ``step`` of its pixels a pixel, ``flat`` times that downwards."""
        cos, sin = step * math.cos(turn), step * math.sin(turn)
        matrix = np.array([[cos, -sin * flat, 0], [sin, cos * flat, 0]])
        target = self.period * (0.5 + self.rng.random(2))
        matrix[:, 2] = target - matrix[:, :2] @ (shape[1] / 2, shape[0] / 2)
        how = cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST)
        return cv2.warpAffine(self._fields[kind], matrix, shape[::-1], None, how, cv2.BORDER_WRAP)

    def field(self, x: np.ndarray, y: np.ndarray, kind: str) -> np.ndarray:
        """Values (H, W) float32 of a field at float32 positions in its pixels."""
        places = [v / self.period + np.float32(self.rng.random()) for v in (x, y)]
        places = [(v - np.floor(v)) * self.period for v in places]
        return cv2.remap(self._fields[kind], *places, cv2.INTER_LINEAR, None, cv2.BORDER_WRAP)

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) metres to (..., 2) pixels; what is nearer than ``near`` is put there."""
        scale = self.focal / np.maximum(points[..., 2:], self.near)
        raised = (points[..., :2] - (0, self.height)) * (1, -1)
        return (self.size[1] / 2, self.horizon) + raised * scale

    def upright(self, x: float, z: float, unit: float) -> Callable:
        """Pixels of points right and up, in ``unit`` metres, mirrored where that is negative."""
        foot, step = self.project(np.array([x, 0.0, z])), self.focal / z * unit
        return lambda points: foot + np.asarray(points) * (step, -abs(step))

    def surface(self, label: Label, kelvin: float, colour, thing=0, rough=0.0, smooth=0.0, glow=0.0,
                depth=0.0, soil=0.0) -> int:  # fmt: skip
        """Enter a surface in the table and return its number.

        It is ``kelvin`` above the air, with textures of a deviation in Kelvin; ``depth`` metres of
        air take contrast away. ``colour`` is RGB albedo, ``glow`` light of its own in units of
        daylight. ``thing`` comes from :meth:`thing`. ``soil`` weighs the unevenness of the ground.
        """
        haze = math.exp(-depth / self._visibility)
        heat = (self.air + haze * kelvin, haze * rough, haze * smooth, soil)
        self._rows.append((*heat, *colour, glow, label, thing))
        return len(self._rows) - 1

    def thing(self, label: Label) -> int:
        """Register a countable object and return its number, from 1."""
        self._things.append(int(label))
        return len(self._things)

    def fill(self, polygons: np.ndarray, surface: int) -> None:
        """Fill a polygon (N, 2) or polygons (K, N, 2), in pixels."""
        for shape in self._fixed(polygons):
            cv2.fillPoly(self._ids, [shape], surface, shift=4)

    def stroke(self, lines: np.ndarray, surface: int, width: float) -> None:
        """Draw an open line (N, 2) or lines (K, N, 2), in pixels, ``width`` pixels wide."""
        thick = max(1, round(width * _OVERSAMPLE))
        cv2.polylines(self._ids, list(self._fixed(lines)), False, surface, thick, shift=4)

    @staticmethod
    def _fixed(points: np.ndarray) -> np.ndarray:
        # OpenCV wraps around beyond 2^15 pixels.
        fixed = np.clip(points, -9e3, 9e3) * (16 * _OVERSAMPLE) - 8
        return np.round(fixed).astype(np.int32, order="C").reshape(-1, *fixed.shape[-2:])

    def stamp(self, x: int, y: int, surfaces: np.ndarray, mask: np.ndarray) -> None:
        """Set whole pixels from (x, y) on to ``surfaces`` (h, w) uint16 under a bool mask."""
        n, (height, width) = _OVERSAMPLE, mask.shape
        fine, where = (each.repeat(n, axis=0).repeat(n, axis=1) for each in (surfaces, mask))
        np.copyto(self._ids[y * n : (y + height) * n, x * n : (x + width) * n], fine, where=where)

    def _shrink(self, field: np.ndarray) -> np.ndarray:
        return cv2.resize(field, self.size[::-1], interpolation=cv2.INTER_AREA)

    def temperature(self, sky: np.ndarray, ground: np.ndarray) -> np.ndarray:
        """Apparent temperature (H, W) float32 in Celsius, once everything is drawn.

        ``sky`` (H, W) is in Celsius, ``ground`` (H, W) the unevenness of the ground in Kelvin.
        """
        self._table, self._fine = np.array(self._rows, np.float32).T, self._ids.astype(np.intp)
        self._seen = self._fine[1::_OVERSAMPLE, 1::_OVERSAMPLE]  # at the centres of pixels
        self._open = self._shrink((self._ids == 0).astype(np.float32))
        rough, smooth, soil = (column.take(self._seen) for column in self._table[1:4])
        base = self._shrink(self._table[0].take(self._fine, mode="clip")) + self._open * sky
        base += rough * self.window(self.size, "fine", 0.9, smooth=False)
        return base + smooth * self.window(self.size, "smooth", 1.7, smooth=False) + soil * ground

    def radiance(self, sky: np.ndarray) -> np.ndarray:
        """Linear RGB (H, W, 3) float32 by daylight or under the lamps, given that of the sky."""
        *colours, glow = self._table[4:8]
        glow, reach = self._shrink(glow.take(self._fine, mode="clip")), (self.size[0] // 8,) * 2
        light = 1.0 if self.sun else 0.03 + glow + cv2.blur(cv2.blur(glow, reach), reach)
        light = light * (1 + np.float32(0.1) * self.window(self.size, "fine", 0.9))
        own = [self._shrink(colour.take(self._fine, mode="clip")) * light for colour in colours]
        return cv2.merge(own) + cv2.multiply(cv2.merge([self._open] * 3), sky)

    def labels(self) -> np.ndarray:
        """Class of each pixel (H, W) uint8."""
        return self._table[8].astype(np.uint8).take(self._seen)

    def boxes(self, minimum: int = 4) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) float32 xyxy round the visible pixels of each thing, and classes (N,) int64.

        Things of fewer than ``minimum`` visible pixels are left out.
        """
        seen = self._table[9].astype(np.intp).take(self._seen)
        ys, xs = np.nonzero(seen)
        count = np.bincount(seen[ys, xs], minlength=len(self._things) + 1)
        edges = np.full((4, len(count)), -max(self.size))
        for edge, value in zip(edges, (-xs, -ys, xs + 1, ys + 1), strict=True):
            np.maximum.at(edge, seen[ys, xs], value)
        keep = np.flatnonzero(count >= minimum)
        box = (edges.T * [-1, -1, 1, 1])[keep].astype(np.float32)
        return box, np.array(self._things, np.int64)[keep - 1]
