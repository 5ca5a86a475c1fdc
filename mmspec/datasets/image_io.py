"""Read an infrared image file of any common kind as 8-bit gray.

One decoder does not suit all files. OpenCV is fast and right for JPEG and PNG, but returns TIFF
with separate planes scrambled, "white is zero" 16-bit TIFF inverted and RGBA TIFF multiplied by its
alpha, all without a word; Pillow cuts 48-bit PNG and TIFF to 8 bits; tifffile has no LZW itself.
So JPEG and PNG go to OpenCV, with Pillow reading their headers, BMP and 8-bit TIFF to Pillow,
deeper TIFF to tifffile. Damage shows by checksums in PNG and deflated TIFF, and mostly by libjpeg's
warnings in JPEG; nothing in BMP and uncompressed TIFF would tell it.
"""

import io
import math
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from .files import FileError
from .jpeg_warnings import heard_from_libjpeg

COLOURED = (
    "a colour image, converted to gray by luma (0.299 R + 0.587 G + 0.114 B); where the colours are"
    " a palette laid over temperatures, luma is not monotonic in temperature: use the gray original"
)
SEQUENCE = "a TIFF of several frames, only the first is read; split it into one file a frame"
SURPLUS = (
    "a JPEG with bytes left over behind its pixels: damaged, or padded by what wrote it; look at it"
)
NODATA = "pixels that hold no measurement are left out of the scaling and filled"
BAD_NODATA = "a GDAL_NODATA tag that is no number is left aside"

JPEG = b"\xff\xd8"
PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_METADATA, _JPEG_PIXELS, _JPEG_END = b"\xff\xe1", b"\xff\xda", b"\xff\xd9"
_MAX_PADDING = 16  # bytes of any content; some cameras leave a few behind the pixels
# Where a PNG may hold an orientation, in Pillow's words, and chunks behind the pixels that may.
_PNG_METADATA = {"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"}
_PNG_TEXT = {b"eXIf", b"iTXt", b"tEXt", b"zTXt"}
_PNG_MARKS = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")

_PHOTOMETRIC = 262  # TIFF tag, PhotometricInterpretation in TIFF 6.0
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_TRANSPARENCY = 4  # bit of NewSubfileType
_GDAL_NODATA = 42113  # TIFF tag; text
_BEYOND_MEASURE = 1e30  # of floats: GIS programs mark NoData by the lowest float32, about -3.4e38
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
# Undo each value of the orientation tag (TIFF 6.0, section "Orientation"); others mean nothing.
_UPRIGHT = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)


class UnreadableImageError(FileError):
    """An image file that cannot be used; the message names it and what is wrong."""


@dataclass(frozen=True)
class Scaling:
    """How more than 8 bits become gray levels; 8-bit values are kept as they are.

    Args:
        value_range: raw values that become 0 and 255; values outside are clipped. One range for
            all images keeps temperatures comparable between them.
        percentiles: without ``value_range``: percentiles of each image that become 0 and 255. Where
            both fall on one value, the image's minimum and maximum serve instead.
        nodata_level: gray level, 0 to 255, of pixels without a measurement; that of the image's
            minimum unless given.

    Raises:
        ValueError: values that cannot be.
    """

    value_range: tuple[float, float] | None = None
    percentiles: tuple[float, float] = (0.5, 99.5)
    nodata_level: int | None = None

    def __post_init__(self) -> None:
        if self.nodata_level is not None and self.nodata_level not in range(256):
            raise ValueError(
                f"nodata_level must be a gray level, 0 to 255, got {self.nodata_level}"
            )
        low, high = self.value_range or (0, 1)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(
                f"value_range must be (low, high) with low < high, got {self.value_range}"
            )
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                "percentiles must be (low, high) with 0 <= low < high <= 100, got"
                f" {self.percentiles}"
            )


def read_infrared(
    source: str | PathLike | bytes | np.ndarray, *, name: str | None = None, **scaling
) -> np.ndarray:
    """Read a JPEG, PNG, TIFF or BMP file, or pixels from elsewhere, as gray.

    8-bit values are kept as they are; deeper images (16-bit, 32-bit, float) are scaled to 0..255.
    Palettes are looked up, alpha is ignored, EXIF / TIFF orientation is applied. Three equal
    channels are one; other colours become luma (ITU-R BT.601) with a warning.

    Pixels without a measurement do not take part in the scaling and are filled, with a warning that
    counts them: NaN and infinite values and floats beyond 1e30, the value of a TIFF's GDAL_NODATA
    tag (at any depth), and what its transparency mask leaves out.

    Args:
        source: path, the file's bytes, or pixels: (H, W) or (H, W, 1 to 4), blue first, of any
            depth.
        name: what errors and warnings call the file; the path unless given.
        **scaling: ``value_range``, ``percentiles`` and ``nodata_level``, see :class:`Scaling`.

    Returns:
        (H, W) uint8. A constant image of more than 8 bits gives zeros.

    Raises:
        UnreadableImageError: not such a file, empty, cut short, damaged, of size zero, or without
            a single measurement.
        ValueError: a scaling that cannot be.
    """
    gray, remarks = decode_infrared(source, name, Scaling(**scaling))
    for remark in remarks:
        warnings.warn(f"{_name_of(source, name)}: {remark}", stacklevel=2)
    return gray


def decode_infrared(
    source: str | PathLike | bytes | np.ndarray,
    name: str | None = None,
    scaling: Scaling = Scaling(),
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read as :func:`read_infrared` does, but return the remarks instead of warning.

    Returns:
        (H, W) uint8, and which of ``COLOURED``, ``SEQUENCE``, ``SURPLUS``, ``NODATA`` and
        ``BAD_NODATA`` hold, the last two with the file's own numbers behind a colon (see
        :func:`remark_kind`).
    """
    name = _name_of(source, name)
    data = source if isinstance(source, bytes | np.ndarray) else _content(source)
    try:
        pixels, absent, remarks = _decode(data) if isinstance(data, bytes) else (data, None, ())
        absent = _without_measurement(pixels, absent)
        if absent is not None:
            pixels = pixels.copy()
            pixels[absent] = pixels[~absent][0]  # any measurement, replaced by the level below
            share = f"{absent.sum():,} of {absent.size:,} pixels"
            remarks = (*remarks, f"{NODATA}: {share} ({absent.mean():.1%})")
        gray, coloured = _one_channel(pixels)
        gray = _to_8_bit(gray, scaling, absent)
        if absent is not None:
            level = scaling.nodata_level
            gray[absent] = gray[~absent].min() if level is None else level
    except UnreadableImageError as error:
        raise UnreadableImageError.of(name, str(error)) from None
    except Exception as error:  # on damaged bytes the decoders raise whatever they trip over
        reason = f"damaged ({type(error).__name__}: {error})"
        raise UnreadableImageError.of(name, reason) from None
    return gray, (COLOURED, *remarks) if coloured else remarks


def decode_image(data: bytes, name: str) -> Image.Image:
    """Read an image of any kind that Pillow reads, a label too, upright as infrared ones are.

    Args:
        data: content of the file.
        name: what errors call it.

    Raises:
        UnreadableImageError: it cannot be read.
    """
    try:
        image, remarks = _decode_to_pillow(data)
    except Exception as error:  # on damaged bytes decoders raise whatever they trip over
        reason = f"cannot be read as an image ({error or type(error).__name__})"
        if isinstance(error, UnidentifiedImageError):
            reason = f"not an image (it begins with {data[:24]!r})"
        raise UnreadableImageError.of(name, reason) from None
    for remark in remarks:
        warnings.warn(f"{name}: {remark}", stacklevel=2)
    return image


def _decode_to_pillow(data: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    if data.startswith(JPEG):
        pixels, remarks = _decode_jpeg(data)
        if pixels.ndim == 3:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # Pillow is slow to copy a view
        return Image.fromarray(pixels), remarks
    if data.startswith(PNG):
        _check_png(data)
    image = Image.open(io.BytesIO(data))
    image.load()  # turns a TIFF
    with suppress(Exception):  # damaged metadata do not make the pixels unusable
        ImageOps.exif_transpose(image, in_place=True)
    return image, ()


def decode_visible(data: bytes | np.ndarray, name: str) -> np.ndarray:
    """Read a visible image of any kind as (H, W, 3) uint8 RGB; arguments and errors as above.

    Pixels from elsewhere than a file are uint8, (H, W) or (H, W, 1, 3 or 4), blue first.

    Raises:
        UnreadableImageError: it cannot be read, or is deeper than 8 bits without colours: Pillow
            cuts its levels at 255, and it is hardly a visible image.
    """
    if isinstance(data, np.ndarray):
        channels = data.shape[2] if data.ndim == 3 else 1
        if data.dtype != np.uint8 or data.ndim not in (2, 3) or channels not in (1, 3, 4):
            raise UnreadableImageError.of(
                name, f"{data.dtype} {data.shape}: a visible image is uint8 of 1 or 3 channels"
            )
        levels = _levels(data)[..., ::-1]
        return np.ascontiguousarray(levels.repeat(3, 2) if channels == 1 else levels)
    image = decode_image(data, name)
    if image.mode.startswith(("I", "F")):
        raise UnreadableImageError.of(
            name,
            f"mode {image.mode}, more than 8 bits a channel: no visible image; are the infrared"
            " and the visible folder exchanged?",
        )
    return np.array(image.convert("RGB"))


def image_size(path: str | PathLike) -> tuple[int, int]:
    """Width and height in pixels of an image as the loaders give it, upright; nothing is decoded.

    Raises:
        UnreadableImageError: it cannot be opened, or is not an image.
    """
    data = _content(path)
    try:
        if data.startswith(_TIFF):
            with tifffile.TiffFile(io.BytesIO(data)) as tiff:
                page = tiff.pages[0]
                size, orientation = (page.imagewidth, page.imagelength), _tiff_orientation(page)
        else:
            with Image.open(io.BytesIO(data)) as image:
                size, orientation = image.size, _orientation(image)
    except Exception as error:  # on damaged bytes decoders raise whatever they trip over
        reason = f"no image ({type(error).__name__}: {error})"
        raise UnreadableImageError.of(path, reason) from None
    return size[::-1] if orientation in _ON_ITS_SIDE else size


def cannot_open(name: str | PathLike, error: OSError) -> UnreadableImageError:
    """The error for a file that the file system or storage backend does not hand out."""
    return UnreadableImageError.of(name, f"cannot be opened ({error})")


def remark_kind(remark: str) -> str:
    """A remark without the numbers of its file, by which remarks of many files are counted."""
    return next((kind for kind in (NODATA, BAD_NODATA) if remark.startswith(kind)), remark)


def _name_of(source: str | PathLike | bytes | np.ndarray, name: str | None) -> str:
    in_memory = isinstance(source, bytes | np.ndarray)
    return name or (f"<{type(source).__name__}>" if in_memory else str(source))


def _content(path: str | PathLike) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise cannot_open(path, error) from None


def _decode(data: bytes) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Pixels as the file holds them, which of them it declares absent, and remarks.

    Pixels are (H, W) or (H, W, 3 or 4), of any depth, blue first if colour; absent ones (H, W)
    bool, or None.
    """
    if not data:
        raise UnreadableImageError("empty file (0 bytes)")
    if data.startswith(JPEG):
        pixels, remarks = _decode_jpeg(data)
        return pixels, None, remarks
    if data.startswith(PNG):
        orientation = _check_png(data)
        return _turn(_whole_depth(data), orientation), None, ()
    if data.startswith(b"BM"):
        return *_pillow(data), ()
    if data.startswith(_TIFF):
        return _decode_tiff(data)
    raise UnreadableImageError(f"not a JPEG, PNG, TIFF or BMP file (it begins with {data[:24]!r})")


def _decode_jpeg(data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """(H, W) or (H, W, 3) uint8, blue first, upright; and remarks.

    Raises:
        UnreadableImageError: libjpeg warns that the coded pixels are damaged. It notices what does
            not fit its codes, which holds for most damage of more than a few bits, not for all.
    """
    with heard_from_libjpeg() as said:
        pixels = _opencv(data, cv2.IMREAD_ANYCOLOR)
    if pixels is None and data.rfind(_JPEG_END) < data.rfind(_JPEG_PIXELS):
        raise UnreadableImageError(f"JPEG cut short after {len(data)} bytes: no end marker")
    serious = [warning for warning in said if not _is_padding(warning, data)]
    if pixels is None or serious:
        JpegImageFile(io.BytesIO(data))  # may know more, that it is of 12 bits for instance
        reason = next(iter(serious), "its pixels cannot be decoded")
        raise UnreadableImageError(f"damaged: {reason}")
    if _JPEG_METADATA in data:  # quicker than to read the header
        pixels = _turn(pixels, _orientation(JpegImageFile(io.BytesIO(data))))
    return pixels, (SURPLUS,) if said else ()


def _is_padding(warning: str, data: bytes) -> bool:
    """Whether all pixels were there and what libjpeg skipped may be padding: little, or uniform."""
    found = re.search(r"(\d+) extraneous bytes", warning)
    if not found:
        return False
    end = data.rfind(_JPEG_END)
    return int(found[1]) <= _MAX_PADDING or len(set(data[end - int(found[1]) : end])) <= 2


def _check_png(data: bytes) -> int:
    """Compare the checksums of a PNG's chunks up to its end; return its orientation."""
    image = PngImageFile(io.BytesIO(data))
    image.fp.seek(image.tile[0][2] - 8)  # the first chunk of pixels, as `verify` seeks
    try:
        behind = {*image.png.verify()}
    except OSError:
        raise UnreadableImageError(f"PNG cut short after {len(data)} bytes") from None
    # Pillow decodes all of a PNG to look for its EXIF: only where there may be any.
    told = image.info.keys() & _PNG_METADATA or (
        behind & _PNG_TEXT and any(mark in data for mark in _PNG_MARKS)
    )
    return _orientation(PngImageFile(io.BytesIO(data))) if told else 1


def _opencv(data: bytes, flag: int) -> np.ndarray | None:
    """Pixels as they are stored: OpenCV knows fewer places of the orientation than Pillow."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)


def _whole_depth(data: bytes) -> np.ndarray:
    pixels = _opencv(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if pixels is None:
        raise UnreadableImageError("damaged: its pixels cannot be decoded")
    return pixels


def _orientation(image: Image.Image) -> int:
    """Value of the orientation tag of an image other than TIFF, by EXIF or XMP; 1 without."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata do not make the pixels unusable
        return 1


def _tiff_orientation(page: tifffile.TiffPage) -> int:
    orientation = page.tags.valueof("Orientation")
    if orientation is None and (found := _XMP_ORIENTATION.search(page.tags.valueof("XMP", b""))):
        return int(found[1])
    return int(orientation or 1)


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    return _UPRIGHT.get(orientation, np.asarray)(pixels)


def _decode_tiff(data: bytes) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        if len(tiff.pages) == 0:
            raise UnreadableImageError("TIFF cut short or damaged: it lists no image")
        page = tiff.pages[0]
        if page.imagewidth * page.imagelength == 0:
            raise UnreadableImageError(f"TIFF of {page.imagewidth} x {page.imagelength} pixels")
        nodata, remarks = _nodata(page)
        segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        if nodata is not None:  # GDAL does not write tiles in which it alone stands
            segments = [segment for segment in segments if segment != (0, 0)]
        if not segments or any(not n or offset + n > len(data) for offset, n in segments):
            raise UnreadableImageError(f"TIFF cut short after {len(data)} bytes: pixels are absent")
        others = [other for other in tiff.pages[1:] if other.shape[:2] == page.shape[:2]]
        masks = [other for other in others if other.subfiletype & _TRANSPARENCY]
        if len(others) > len(masks):
            remarks = (*remarks, SEQUENCE)
        deep = page.bitspersample > 8 or page.sampleformat == tifffile.SAMPLEFORMAT.INT
        pixels, absent = _deep_tiff(data, page, nodata) if deep else _pillow(data, nodata)
        if masks:
            hidden = _turn(masks[0].asarray() == 0, _tiff_orientation(page))
            absent = hidden if absent is None else absent | hidden
        return pixels, absent, remarks


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
    return _levels(pixels == value).all(axis=-1)


def _levels(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 1 or 3): the channels that are not alpha."""
    if pixels.ndim == 2:
        return pixels[..., None]
    return pixels[..., : 3 if pixels.shape[-1] >= 3 else 1]


def _pillow(data: bytes, nodata: float | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W) or (H, W, 3) uint8, upright (Pillow itself turns TIFF by its tag), and what it lacks.

    ``nodata`` is a value as the file holds it, of a palette an index.
    """
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        absent = None
        if nodata is not None and image.mode != "1":
            stored = np.array(image)
            if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
                stored = 255 - stored  # Pillow has made black of white
            absent = _holds(stored, nodata)
        if image.mode in ("LA", "La"):
            return np.array(image.convert("LA").getchannel("L")), absent
        if image.mode in ("1", "L"):
            return np.array(image.convert("L")), absent
        return np.array(image.convert("RGB"))[..., ::-1], absent


def _deep_tiff(
    data: bytes, page: tifffile.TiffPage, nodata: float | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W) or (H, W, 3 or 4), upright, of more than 8 bits or signed, and where it has NoData."""
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise UnreadableImageError(f"{page.bitspersample}-bit TIFF of kind {page.photometric.name}")
    separate = page.samplesperpixel > 1 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    try:
        pixels = page.asarray()
        if separate:
            pixels = np.moveaxis(pixels, 0, -1)
        pixels = _turn(pixels, _tiff_orientation(page))
        if page.photometric == _RGB:
            pixels = pixels[..., 2::-1]
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        if separate:
            raise UnreadableImageError(
                f"TIFF with separate planes and {page.compression.name} compression: save it"
                " uncompressed or with deflate"
            ) from None
        pixels = _whole_depth(data)  # turns a TIFF whatever its flags
    absent = _holds(pixels, nodata)
    if page.photometric == _WHITE_IS_ZERO:
        if pixels.dtype.kind != "u":
            raise UnreadableImageError(f'"white is zero" TIFF of type {pixels.dtype}')
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels, absent


def _without_measurement(pixels: np.ndarray, absent: np.ndarray | None) -> np.ndarray | None:
    """(H, W) bool of pixels that hold no measurement; None if all do.

    Args:
        absent: those that the file declares, (H, W) bool or None.
    """
    if pixels.dtype.kind == "f":
        limit = min(_BEYOND_MEASURE, float(np.finfo(pixels.dtype).max))
        wild = (~(np.abs(_levels(pixels)) <= limit)).any(axis=-1)  # true of NaN too
        absent = wild if absent is None else absent | wild
    if absent is None or not absent.any():
        return None
    if absent.all():
        raise UnreadableImageError(
            f"none of its {absent.size:,} pixels holds a measurement: all are NoData, NaN, infinite"
            " or masked"
        )
    return absent


def _one_channel(pixels: np.ndarray) -> tuple[np.ndarray, bool]:
    """(H, W) of any depth, and whether the image is coloured.

    Chroma of a lossy file strays by a few levels, so up to 8 of 255 counts as gray.
    """
    if pixels.ndim == 2:
        return pixels, False
    if pixels.ndim != 3 or pixels.shape[-1] > 4:
        raise UnreadableImageError(f"not one image of 1 to 4 channels (shape {pixels.shape})")
    if pixels.shape[-1] < 3:
        return pixels[..., 0], False
    if pixels.dtype == np.uint8:
        pixels = pixels[..., :3]
        blue, green, red = cv2.split(pixels)
        spread = cv2.max(cv2.absdiff(blue, green), cv2.absdiff(green, red)).max()
        return (cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if spread else green), spread > 8
    blue, green, red = np.moveaxis(pixels[..., :3].astype(np.float64), -1, 0)
    spread = max(np.abs(blue - green).max(), np.abs(green - red).max())
    if spread == 0:
        return pixels[..., 1], False
    return 0.299 * red + 0.587 * green + 0.114 * blue, spread > 8 / 255 * np.ptp(pixels)


def _to_8_bit(gray: np.ndarray, scaling: Scaling, absent: np.ndarray | None) -> np.ndarray:
    """(H, W) of any depth to uint8, by the values of pixels that are not absent."""
    if gray.dtype == np.uint8:
        return np.ascontiguousarray(gray)
    if gray.dtype.kind not in "uif":
        raise UnreadableImageError(f"pixels of type {gray.dtype} are not gray values")
    measured = gray if absent is None else gray[~absent]
    low, high = scaling.value_range or _percentile_range(measured, scaling.percentiles)
    if gray.dtype == np.uint16:  # 65,536 possible values: a table gives the result at once
        return _scale(np.arange(65536), low, high)[gray]
    return _scale(gray, low, high)


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


def _scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    if low == high:
        return np.zeros(values.shape, np.uint8)
    low, high = float(low), float(high)
    scaled = (values.astype(np.float64) - low) * 255 / (high - low)
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)
