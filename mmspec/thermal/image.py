"""One thermal image, with the unit of its values."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

UNITS = ("celsius", "counts", "gray")


@dataclass(frozen=True)
class ThermalImage:
    """What :func:`mmspec.read_thermal` gives.

    Attributes:
        values: (H, W) float32 for temperatures and files of floating point, uint16 for counts and
            deep gray levels, uint8 for pictures of 8 bits.
        unit: 'celsius'; 'counts', numbers of the sensor (linear in radiance for most cameras) or of
            a deep file that does not tell its unit; or 'gray' (of a picture, after the camera's
            gain control).
        frames: how many frames the file holds; ``values`` is one of them.
        source: the kind of file, such as 'FLIR radiometric JPEG'.
        absent: (H, W) bool, pixels that hold no measurement, or None if all do. Their values are
            NaN in float32, else those of the coldest pixel.
        remarks: what a reader should know of the file.
    """

    values: np.ndarray
    unit: str
    frames: int = 1
    source: str = ""
    absent: np.ndarray | None = None
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        held = self.values if self.absent is None else self.values[~self.absent]
        span = f" {held.min():g} to {held.max():g}" if held.size else ""
        return (
            f"ThermalImage({' x '.join(map(str, self.values.shape))} {self.values.dtype}{span}"
            f" {self.unit}, {self.source or 'of no file'}, frames={self.frames})"
        )


class Pixels(NamedTuple):
    """What a picture file holds, as it holds it.

    Attributes:
        pixels: (H, W) or (H, W, 1 to 4), of any depth, blue first if colour.
        absent: (H, W) bool of those that the file declares absent, or None.
        remarks: see :class:`ThermalImage`.
        frames: of the file.
    """

    pixels: np.ndarray
    absent: np.ndarray | None = None
    remarks: tuple[str, ...] = ()
    frames: int = 1
