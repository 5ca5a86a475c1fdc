"""Fractal fields: the unevenness of sky, soil, walls and leaves."""

from functools import lru_cache

import cv2
import numpy as np

# Exponents b of radial power spectra 1/f^b. Natural thermal images lie between 2 and 3.5.
_EXPONENTS = {"fine": 1.5, "rough": 2.2, "smooth": 3.4}


@lru_cache(maxsize=8)
def _amplitudes(side: int) -> dict[str, np.ndarray]:
    """Amplitude of each half-plane frequency, scaled to fields of unit deviation."""
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    radius[0, 0] = np.inf
    weight = np.full(radius.shape, 2.0)
    weight[:, [0, -1]] = 1.0
    out = {}
    for kind, exponent in _EXPONENTS.items():
        amplitude = radius ** (-exponent / 2)
        deviation = np.sqrt((weight * amplitude**2).sum() * 2) / side**2
        out[kind] = (amplitude / deviation).astype(np.float32)
    return out


class FractalAtlas:
    """Tileable 1/f^b fields of zero mean and about unit deviation, for every surface of a scene.

    Args:
        rng: Source of randomness.
        side: Side of the square fields in pixels.
    """

    def __init__(self, rng: np.random.Generator, side: int) -> None:
        self.side = side
        self._rng = rng
        half = side // 2 + 1
        spectrum = rng.standard_normal((side, 2 * half), dtype=np.float32).view(np.complex64)
        self._fields = {}
        for kind, amplitude in _amplitudes(side).items():
            field = np.fft.irfft2(spectrum * amplitude, s=(side, side)).astype(np.float32)
            # Two periods a side: a window of one period never meets the slow wrap-around of OpenCV.
            self._fields[kind] = np.tile(field, (2, 2))

    def window(
        self,
        shape: tuple[int, int],
        kind: str,
        step: float | tuple[float, float] = 1.0,
        turn: float = 0.0,
        smooth: bool = True,
    ) -> np.ndarray:
        """A (H, W) float32 view of a random place.

        Args:
            shape: (H, W) in pixels.
            kind: Field: ``fine``, ``rough`` or ``smooth``.
            step: Atlas pixels per pixel, or (x, y) of them.
            turn: Rotation in radians.
            smooth: Interpolate.
        """
        sx, sy = (step, step) if np.isscalar(step) else step
        cos, sin = np.cos(turn), np.sin(turn)
        matrix = np.array([[sx * cos, -sy * sin, 0], [sx * sin, sy * cos, 0]])
        middle = np.array([shape[1] / 2, shape[0] / 2])
        target = self.side * (0.5 + self._rng.random(2))
        matrix[:, 2] = target - matrix[:, :2] @ middle
        return cv2.warpAffine(
            self._fields[kind],
            matrix,
            (shape[1], shape[0]),
            flags=(cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        )

    def at(self, x: np.ndarray, y: np.ndarray, kind: str) -> np.ndarray:
        """Values (H, W) float32 at float32 positions in atlas pixels, wrapped."""
        ox, oy = self._rng.random(2).astype(np.float32) * self.side
        period = np.float32(self.side)
        x, y = x + ox, y + oy
        x -= period * np.floor(x / period)
        y -= period * np.floor(y / period)
        return cv2.remap(self._fields[kind], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)

    def line(self, count: int, step: float = 1.0, kind: str = "rough") -> np.ndarray:
        """A (count,) float32 profile through a field."""
        return self.window((1, count), kind, step, self._rng.uniform(0, 0.4))[0]
