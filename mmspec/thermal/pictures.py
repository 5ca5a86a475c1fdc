"""PNG and BMP files, what Pillow and OpenCV do for files of any kind, and writing what was read."""

import io
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from .errors import UnreadableImageError
from .image import Pixels
from .orientation import orientation_of, turn

PNG = b"\x89PNG\r\n\x1a\n"
# Where a PNG may hold an orientation, in Pillow's words, and chunks behind the pixels that may.
_METADATA = {"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"}
_TEXT = {b"eXIf", b"iTXt", b"tEXt", b"zTXt"}
_MARKS = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")


def decode_png(data: bytes) -> Pixels:
    """Its pixels, uint8 or uint16, upright.

    Raises:
        UnreadableImageError: it is cut short, or a checksum does not fit.
    """
    orientation = check_png(data)
    return Pixels(turn(at_whole_depth(data), orientation))


def check_png(data: bytes) -> int:
    """Compare the checksums of a PNG's chunks up to its end; return its orientation."""
    image = PngImageFile(io.BytesIO(data))
    image.fp.seek(image.tile[0][2] - 8)  # the first chunk of pixels, as `verify` seeks
    try:
        behind = {*image.png.verify()}
    except OSError:
        raise UnreadableImageError(f"PNG cut short after {len(data)} bytes") from None
    # Pillow decodes all of a PNG to look for its EXIF: only where there may be any.
    told = image.info.keys() & _METADATA or (
        behind & _TEXT and any(mark in data for mark in _MARKS)
    )
    return orientation_of(PngImageFile(io.BytesIO(data))) if told else 1


def by_opencv(data: bytes, flag: int, page: int = 0) -> np.ndarray | None:
    """Pixels as they are stored: OpenCV knows fewer places of the orientation than Pillow."""
    stored, flag = np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION
    if not page:
        return cv2.imdecode(stored, flag)
    pages = cv2.imdecodemulti(stored, flag, range=(page, page + 1))[1]
    return pages[0] if pages else None


def at_whole_depth(data: bytes, page: int = 0) -> np.ndarray:
    pixels = by_opencv(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH, page)
    if pixels is None:
        raise UnreadableImageError("damaged: its pixels cannot be decoded")
    return pixels


def by_pillow(image: Image.Image) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8, blue first, of an image that is loaded."""
    if image.mode in ("LA", "La"):
        return np.array(image.convert("LA").getchannel("L"))
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))
    return np.array(image.convert("RGB"))[..., ::-1]


def decode_bmp(data: bytes) -> Pixels:
    """Its pixels, uint8."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return Pixels(by_pillow(image))


def save_values(path: str | Path, values: np.ndarray) -> None:
    """Write values as they are: float32 as ``path`` + '.tif', uint8 and uint16 as '.png'.

    The folder is made. The file is written beside and moved: under its name it is whole.

    Args:
        path: without a suffix.
        values: (H, W), or (H, W, 3) blue first.

    Raises:
        OSError: it cannot be written.
    """
    floats = values.dtype.kind == "f"
    whole = Path(f"{path}{'.tif' if floats else '.png'}")
    part = whole.with_name(f".part{whole.suffix}")
    whole.parent.mkdir(parents=True, exist_ok=True)
    if floats:
        tifffile.imwrite(part, values)
    elif not cv2.imwrite(str(part), values):
        raise OSError(f"{whole}: cannot be written")
    part.replace(whole)
