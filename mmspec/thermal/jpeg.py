"""JPEG files: their picture, and the segments that stand before it."""

import io
import re
from collections.abc import Iterator

import cv2
from PIL.JpegImagePlugin import JpegImageFile

from .errors import UnreadableImageError
from .image import Pixels
from .jpeg_warnings import heard_from_libjpeg
from .orientation import orientation_of, turn
from .pictures import by_opencv

JPEG = b"\xff\xd8"
SURPLUS = (
    "a JPEG with bytes left over behind its pixels: damaged, or padded by what wrote it; look at it"
)
_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_MAX_PADDING = 16  # bytes of any content; some cameras leave a few behind the pixels


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment before the scan; none of a file that is no JPEG."""
    place = 2 if data.startswith(JPEG) else len(data)
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        yield data[place + 1], data[place + 4 : place + 2 + length]
        place += 2 + max(length, 2)


def has_metadata(data: bytes) -> bool:
    """Whether EXIF, XMP or what a camera measured may stand in front of the picture."""
    return any(marker == 0xE1 for marker, _ in segments(data))


def decode_jpeg(data: bytes) -> Pixels:
    """The picture, uint8, upright.

    Raises:
        UnreadableImageError: libjpeg warns that the coded pixels are damaged. It notices what does
            not fit its codes, which holds for most damage of more than a few bits, not for all.
    """
    with heard_from_libjpeg() as said:
        pixels = by_opencv(data, cv2.IMREAD_ANYCOLOR)
    if pixels is None and data.rfind(_END) < data.rfind(_SCAN):
        raise UnreadableImageError(f"JPEG cut short after {len(data)} bytes: no end marker")
    serious = [warning for warning in said if not _is_padding(warning, data)]
    if pixels is None or serious:
        JpegImageFile(io.BytesIO(data))  # may know more, that it is of 12 bits for instance
        reason = next(iter(serious), "its pixels cannot be decoded")
        raise UnreadableImageError(f"damaged: {reason}")
    if has_metadata(data):  # quicker than to read the header
        pixels = turn(pixels, orientation_of(JpegImageFile(io.BytesIO(data))))
    return Pixels(pixels, remarks=(SURPLUS,) if said else ())


def _is_padding(warning: str, data: bytes) -> bool:
    """Whether all pixels were there and what libjpeg skipped may be padding: little, or uniform."""
    found = re.search(r"(\d+) extraneous bytes", warning)
    if not found:
        return False
    end = data.rfind(_END)
    return int(found[1]) <= _MAX_PADDING or len(set(data[end - int(found[1]) : end])) <= 2
