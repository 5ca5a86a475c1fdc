"""One thermal image, with the unit of its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UNITS = ("celsius", "counts", "gray")


class ThermalFileError(ValueError):
    """A file that a camera wrote and that cannot be read; ``reason`` says why and the way out."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason

    def __reduce__(self):
        return type(self), (str(self).removesuffix(f": {self.reason}"), self.reason)


@dataclass(frozen=True)
class ThermalImage:
    """What :func:`mmspec.read_thermal` gives.

    Attributes:
        values: (H, W) float32 for temperatures and files of floating point, uint16 for counts and
            deep gray levels, uint8 for pictures of 8 bits.
        unit: 'celsius', 'counts' (of the sensor, linear in radiance for most cameras) or 'gray'
            (of a picture, after the camera's gain control).
        frames: how many frames the file holds; ``values`` is one of them.
        source: the kind of file, such as 'FLIR radiometric JPEG'.
    """

    values: np.ndarray
    unit: str
    frames: int = 1
    source: str = ""
