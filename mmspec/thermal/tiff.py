"""TIFF files of any depth, page by page.

OpenCV scrambles separate planes, inverts "white is zero" at 16 bits and multiplies RGBA by its
alpha, all without a word; Pillow cuts 48-bit colour to 8 bits; tifffile has no LZW itself. So 8
bits go to Pillow, what is deeper to tifffile, and LZW to the other two where imagecodecs is absent.
"""

import io
import math
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from .errors import UnreadableImageError
from .image import Pixels
from .orientation import orientation_of_page, turn
from .pictures import at_whole_depth, by_pillow

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SUFFIXES = (".tif", ".tiff")
BAD_NODATA = "a GDAL_NODATA tag that is no number is left aside"

#: 2- and 4-bit gray is stretched to 0..255, of PNG too.
SCALED_BY_DECODERS = {2: 85, 4: 17}

_BITS, _PHOTOMETRIC = 258, 262  # TIFF tags, PhotometricInterpretation in TIFF 6.0
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_REDUCED, _TRANSPARENCY = 1, 4  # bits of NewSubfileType
_GDAL_NODATA = 42113  # TIFF tag; text


def decode_tiff(data: bytes, frame: int = 0) -> Pixels:
    """One frame, upright; of 8 bits or less uint8, of palettes the colours.

    Raises:
        UnreadableImageError: it is cut short, empty, of a kind that is not read, or has no such
            frame.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        if len(tiff.pages) == 0:
            raise UnreadableImageError("TIFF cut short or damaged: it lists no image")
        pages = frames(tiff)
        if not -len(pages) <= frame < len(pages):
            raise UnreadableImageError(f"no frame {frame}: it has {len(pages)}")
        return decode_page(tiff, pages[frame], data)._replace(frames=len(pages))


def frames(tiff: tifffile.TiffFile) -> list[int]:
    """Numbers of the pages that have the first one's size and are no thumbnail and no mask.

    Raises:
        UnreadableImageError: it lists one page for several images (ImageJ's stacks over 4 GB).
    """
    size = tiff.pages[0].shape[:2]
    if len(tiff.pages) == 1:
        stack = tiff.series[0].shape
        if math.prod(stack) > math.prod(tiff.pages[0].shape):
            raise UnreadableImageError(
                f"a stack {stack} that lists one image: save tifffile.imread(FILE) as .npy"
            )
    alike = (i for i, page in enumerate(tiff.pages) if page.shape[:2] == size)
    return [i for i in alike if not i or not tiff.pages[i].subfiletype & (_REDUCED | _TRANSPARENCY)]


def decode_page(tiff: tifffile.TiffFile, number: int, source: bytes | str) -> Pixels:
    page = tiff.pages[number]
    if page.imagewidth * page.imagelength == 0:
        raise UnreadableImageError(f"TIFF of {page.imagewidth} x {page.imagelength} pixels")
    nodata, remarks = _nodata(page)
    size = tiff.filehandle.size
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if nodata is not None:  # GDAL does not write tiles in which it alone stands
        segments = [segment for segment in segments if segment != (0, 0)]
    if not segments or any(not n or offset + n > size for offset, n in segments):
        raise UnreadableImageError(f"TIFF cut short after {size} bytes: pixels are absent")
    deep = page.bitspersample > 8 or page.sampleformat == tifffile.SAMPLEFORMAT.INT
    pixels, absent = (_deep if deep else _shallow)(page, number, nodata, source)
    following = tiff.pages[number + 1] if number + 1 < len(tiff.pages) else None
    if following and following.subfiletype & _TRANSPARENCY and following.shape == page.shape[:2]:
        hidden = turn(following.asarray() == 0, orientation_of_page(page))
        absent = hidden if absent is None else absent | hidden
    return Pixels(pixels, absent, remarks)


def _nodata(page: tifffile.TiffPage) -> tuple[float | None, tuple[str, ...]]:
    """The value by which a TIFF marks pixels without a measurement; a remark if it is no number."""
    text = page.tags.valueof(_GDAL_NODATA)
    if text is None:
        return None, ()
    text = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    try:
        return float(text.strip(" \t\r\n\0").replace(",", ".")), ()
    except ValueError:
        return None, (f"{BAD_NODATA}: {text!r}",)


def _holds(pixels: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Where all channels hold a value, (H, W) bool; None where the type cannot hold it."""
    if nodata is None or not math.isfinite(nodata):
        return None
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            value = pixels.dtype.type(nodata)  # -3.4e38 is written in decimals of any number
    else:
        info = np.iinfo(pixels.dtype)
        if not nodata.is_integer() or not info.min <= nodata <= info.max:
            return None
        value = int(nodata)
    return without_alpha(pixels == value).all(axis=-1)


def without_alpha(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 1 or 3): the channels that are not alpha."""
    if pixels.ndim == 2:
        return pixels[..., None]
    return pixels[..., : 3 if pixels.shape[-1] >= 3 else 1]


def stored_levels(image: Image.Image) -> np.ndarray:
    """Values as a TIFF of 8 bits or less stores them, of an image that is loaded.

    Pillow stretches levels of few bits and makes black of "white is zero".
    """
    values = np.array(image)
    if image.mode in ("1", "L"):
        if image.tag_v2[_PHOTOMETRIC] == _WHITE_IS_ZERO:
            values = ~values
        if image.mode == "L":
            values //= SCALED_BY_DECODERS.get(image.tag_v2[_BITS][0], 1)
    return values


def _opened(source: bytes | str, number: int) -> Image.Image:
    """A page by Pillow, which turns it by its tag."""
    image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    image.seek(number)
    image.load()
    return image


def _shallow(
    page: tifffile.TiffPage, number: int, nodata: float | None, source: bytes | str
) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W) or (H, W, 3) uint8, upright, and where it has NoData: of a palette an index."""
    with _opened(source, number) as image:
        absent = None
        if nodata is not None and image.mode != "1":
            absent = _holds(stored_levels(image), nodata)
        return by_pillow(image), absent


def _deep(
    page: tifffile.TiffPage, number: int, nodata: float | None, source: bytes | str
) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W) or (H, W, 3 or 4), upright, of more than 8 bits or signed, and where it has NoData."""
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise UnreadableImageError(f"{page.bitspersample}-bit TIFF of kind {page.photometric.name}")
    separate = page.samplesperpixel > 1 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    try:
        pixels = page.asarray()
        if separate:
            pixels = np.moveaxis(pixels, 0, -1)
        pixels = turn(pixels, orientation_of_page(page))
        if page.photometric == _RGB:
            pixels = pixels[..., 2::-1]
    except (ValueError, NotImplementedError) as error:
        if "imagecodecs" not in str(error):
            raise
        if page.bitspersample % 8:  # which OpenCV would multiply, to fill 16 bits
            raise UnreadableImageError(
                f"packed {page.bitspersample}-bit TIFF: pip install imagecodecs"
            ) from None
        if separate:
            raise UnreadableImageError(
                f"TIFF with separate planes and {page.compression.name} compression: save it"
                " uncompressed or with deflate"
            ) from None
        # OpenCV turns a TIFF whatever its flags.
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        pixels = at_whole_depth(content, number)
    absent = _holds(pixels, nodata)
    if page.photometric == _WHITE_IS_ZERO:
        if pixels.dtype.kind != "u":
            raise UnreadableImageError(f'"white is zero" TIFF of type {pixels.dtype}')
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels, absent
