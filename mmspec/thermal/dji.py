"""DJI's radiometric JPEG: the counts lie in APP3 segments, temperatures need DJI's own library."""

import numpy as np

from .errors import UnreadableImageError
from .image import ThermalImage
from .jpeg import segments

NO_TEMPERATURES = (
    "DJI keeps the formula of its temperatures to itself: convert the file by its Thermal SDK "
    "(dji_irp -a measure --measurefmt float32), save the bare float32 values that it writes as an "
    "array called celsius in a .npz, or read unit='counts'"
)
_MARK = b"iirp"


def decode(data: bytes, unit: str | None) -> ThermalImage | None:
    """The counts of a JPEG of DJI's, or None if it is not.

    Raises:
        UnreadableImageError: temperatures are asked for, or the counts are cut.
    """
    if (values := counts(data)) is None:
        return None
    if unit == "celsius":
        raise UnreadableImageError(NO_TEMPERATURES)
    remarks = () if unit else (f"counts, not temperatures. {NO_TEMPERATURES}",)
    return ThermalImage(values, "counts", 1, "DJI radiometric JPEG", remarks=remarks)


def counts(data: bytes) -> np.ndarray | None:
    """The sensor's counts, (H, W) uint16, or None if the file is not DJI's.

    Raises:
        UnreadableImageError: its counts are not as many as the picture's pixels.
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
        raise UnreadableImageError(
            f"{held:,} bytes of counts for a picture of {size}: cut, or another model"
        )
    return np.frombuffer(b"".join(parts), "<u2").reshape(size).astype(np.uint16)
