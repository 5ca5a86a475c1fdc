"""DJI's radiometric JPEG: the counts lie in APP3 segments, temperatures need DJI's own library."""

from __future__ import annotations

import numpy as np

from .image import ThermalFileError
from .jpeg import segments

NO_TEMPERATURES = (
    "DJI keeps the formula of its temperatures to itself: convert the file by its Thermal SDK "
    "(dji_irp -a measure --measurefmt float32) and read the result, or read unit='counts'"
)
_MARK = b"iirp"


def counts(data: bytes) -> np.ndarray | None:
    """The sensor's counts, (H, W) uint16, or None if the file is not DJI's.

    Raises:
        ThermalFileError: the file is DJI's and its counts are not as many as the picture's pixels.
    """
    parts, size, marked = [], None, False
    for marker, content in segments(data):
        if marker == 0xE3:
            parts.append(content)
        elif marker == 0xE4:
            marked |= content[4:8] == _MARK
        elif marker in (0xC0, 0xC2):
            size = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    if not (marked and parts):
        return None
    held = sum(map(len, parts))
    if size is None or held != 2 * size[0] * size[1]:
        raise ThermalFileError(
            "DJI data", f"{held:,} bytes of counts for a picture of {size}: cut, or another model"
        )
    return np.frombuffer(b"".join(parts), "<u2").reshape(size).astype(np.uint16)
