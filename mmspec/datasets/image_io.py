"""Read an infrared image file of any common kind as 8-bit gray.

One decoder does not suit all files. OpenCV is fast and right for JPEG and PNG, but returns TIFF
with separate planes scrambled, "white is zero" 16-bit TIFF inverted and RGBA TIFF multiplied by its
alpha, all without a word; Pillow cuts 48-bit PNG and TIFF to 8 bits; tifffile has no LZW itself.
So JPEG and PNG go to OpenCV, BMP and 8-bit TIFF to Pillow, deeper TIFF to tifffile. What some
decoders let pass in silence, a file cut short, is checked from the file's own structure first. What
is damaged inside shows by checksums in PNG and deflated TIFF, and mostly by the decoder's warnings
in JPEG; BMP and uncompressed TIFF have nothing to know it by.
"""

import io
import math
import re
import struct
import warnings
import zlib
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import ExifTags, Image, UnidentifiedImageError

from .jpeg_warnings import heard_from_libjpeg

DEFAULT_PERCENTILES = (0.5, 99.5)

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

_KEEP_DEPTH = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
_WAY_OUT = (
    "Replace or remove the file, or have such files skipped and counted with"
    " InfraredFolder(skip_broken=True)."
)

_PHOTOMETRIC = 262  # TIFF tag, PhotometricInterpretation in TIFF 6.0
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_TRANSPARENCY = 4  # bit of NewSubfileType
_GDAL_NODATA = 42113  # TIFF tag; text
_BEYOND_MEASURE = 1e30  # of floats: GIS programs mark NoData by the lowest float32, about -3.4e38
_JPEG = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_MOST_PADDING = 16  # bytes of any content; some cameras leave a few behind the pixels
_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

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
_UPRIGHT_IN_PILLOW = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)

# Where an orientation may stand outside TIFF; Pillow decodes all of a PNG to look for its EXIF.
_METADATA = (b"Exif\0", b"eXIf", b"Raw profile type", b"tiff:Orientation", b"XML:com.adobe.xmp")
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


class UnreadableImageError(ValueError):
    """An image file that cannot be used; the message names it, what is wrong and the way out.

    ``reason`` is what is wrong alone, for reports that name the file elsewhere.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or message


def read_infrared(
    source: str | PathLike | bytes,
    *,
    name: str | None = None,
    value_range: tuple[float, float] | None = None,
    percentiles: tuple[float, float] = DEFAULT_PERCENTILES,
    nodata_level: int | None = None,
) -> np.ndarray:
    """Read a JPEG, PNG, TIFF or BMP file as gray.

    8-bit values are kept as they are. Deeper images (16-bit, 32-bit, float) are scaled to 0..255:
    each by its own percentiles, or all by one ``value_range``, which keeps temperatures comparable
    between images. Palettes are looked up, alpha is ignored, EXIF / TIFF orientation is applied.
    Three equal channels are one; other colours become luma (ITU-R BT.601) with a warning.

    Pixels without a measurement do not take part in the scaling and are filled, with a warning that
    counts them: NaN and infinite values and floats beyond 1e30, the value of a TIFF's GDAL_NODATA
    tag (at any depth), and what its transparency mask leaves out.

    Args:
        source: Path, or the file's bytes.
        name: What errors and warnings call the file; the path unless given.
        value_range: Raw values that become 0 and 255, for more than 8 bits; values outside are
            clipped.
        percentiles: Percentiles of an image's raw values that become 0 and 255, for more than 8
            bits. Where both fall on one value, the image's minimum and maximum serve instead.
        nodata_level: Gray level, 0 to 255, of pixels without a measurement; that of the image's
            minimum unless given.

    Returns:
        (H, W) uint8. A constant image of more than 8 bits gives zeros.

    Raises:
        UnreadableImageError: Not such a file, empty, cut short, damaged, of size zero, or without
            a single measurement.
        ValueError: A ``value_range``, ``percentiles`` or ``nodata_level`` that cannot be.
    """
    check_scaling(value_range, percentiles, nodata_level)
    name = _name_of(source, name)
    gray, remarks = decode_infrared(
        source,
        name,
        value_range=value_range,
        percentiles=percentiles,
        nodata_level=nodata_level,
    )
    for remark in remarks:
        warnings.warn(f"{name}: {remark}", stacklevel=2)
    return gray


def decode_infrared(
    source: str | PathLike | bytes,
    name: str | None = None,
    *,
    value_range: tuple[float, float] | None = None,
    percentiles: tuple[float, float] = DEFAULT_PERCENTILES,
    nodata_level: int | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """:func:`read_infrared` that returns its remarks instead of warning, scaling unchecked.

    Returns:
        (H, W) uint8, and which of ``COLOURED``, ``SEQUENCE``, ``NODATA`` and ``BAD_NODATA`` hold,
        the latter two with the file's own numbers behind a colon (see :func:`remark_kind`).
    """
    name = _name_of(source, name)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise cannot_open(name, error) from None
    try:
        pixels, absent, remarks = _decode(data)
        if pixels is None:
            raise UnreadableImageError("damaged: its pixels cannot be decoded")
        if pixels.size == 0:
            raise UnreadableImageError(f"has no pixels (shape {pixels.shape})")
        absent = _without_measurement(pixels, absent)
        if absent is not None:
            pixels = pixels.copy()
            pixels[absent] = pixels[~absent][0]  # any measurement, replaced by the level below
            share = f"{absent.sum():,} of {absent.size:,} pixels"
            remarks = (*remarks, f"{NODATA}: {share} ({absent.mean():.1%})")
        gray, coloured = _one_channel(pixels)
        gray = _to_8_bit(gray, value_range, percentiles, absent)
        if absent is not None:
            gray[absent] = gray[~absent].min() if nodata_level is None else nodata_level
    except UnreadableImageError as error:
        raise _unreadable(name, str(error)) from None
    except Exception as error:  # on damaged bytes the decoders raise whatever they trip over
        raise _unreadable(name, f"damaged ({type(error).__name__}: {error})") from None
    return gray, (COLOURED, *remarks) if coloured else remarks


def decode_image(data: bytes, name: str) -> Image.Image:
    """An image of any kind that Pillow reads, a label too, upright as infrared ones are.

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
        raise UnreadableImageError(f"{name}: {reason}", reason) from None
    for remark in remarks:
        warnings.warn(f"{name}: {remark}", stacklevel=2)
    return image


def _decode_to_pillow(data: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    if data.startswith(_JPEG) and (components := _check_jpeg(data)) in (1, 3):
        pixels, remarks = _decode_jpeg(data, components)
        if components == 3:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # Pillow is slow to copy a view
        return Image.fromarray(pixels), remarks
    if data.startswith(_PNG):
        _check_png(data)
    image = Image.open(io.BytesIO(data))
    image.load()
    if image.format == "TIFF" or (orientation := _orientation(data)) not in _UPRIGHT_IN_PILLOW:
        return image, ()  # TIFF is turned by Pillow itself
    return image.transpose(_UPRIGHT_IN_PILLOW[orientation]), ()


def image_size(path: str | PathLike) -> tuple[int, int]:
    """Width and height in pixels of an image as the loaders give it, upright; nothing is decoded.

    Raises:
        UnreadableImageError: it cannot be opened, or is not an image.
    """
    name = str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise cannot_open(name, error) from None
    try:
        if data.startswith(_TIFF):
            with tifffile.TiffFile(io.BytesIO(data)) as tiff:
                page = tiff.pages[0]
                size, orientation = (page.imagewidth, page.imagelength), _tiff_orientation(page)
        else:
            with Image.open(io.BytesIO(data)) as image:
                size, orientation = image.size, _orientation(data)
    except Exception as error:  # on damaged bytes decoders raise whatever they trip over
        raise _unreadable(name, f"no image ({type(error).__name__}: {error})") from None
    return size[::-1] if orientation in _ON_ITS_SIDE else size


def _orientation(data: bytes) -> int:
    """Value of the orientation tag of a file other than TIFF, by EXIF or else by XMP; 1 without."""
    beside = _beside_pixels(data)
    if not any(mark in beside for mark in _METADATA):
        return 1
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata do not make the pixels unusable
        return 1


def _beside_pixels(data: bytes) -> bytes:
    """What a JPEG holds before its coded pixels, or a PNG around them: quicker to search."""
    if data.startswith(_PNG):
        parts, position = [], len(_PNG)
        while position < len(data):
            end = position + 12 + int.from_bytes(data[position : position + 4], "big")
            if data[position + 4 : position + 8] != b"IDAT":
                parts.append(data[position:end])
            position = end
        return b"".join(parts)
    if data.startswith(_JPEG):
        position = len(_JPEG)
        while position + 4 <= len(data) and (marker := data[position + 1]) != 0xDA:
            length = 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            position += 1 if marker == 0xFF else length
        return data[:position]
    return data


def _tiff_orientation(page: tifffile.TiffPage) -> int:
    orientation = page.tags.valueof("Orientation")
    if orientation is None and (found := _XMP_ORIENTATION.search(page.tags.valueof("XMP", b""))):
        return int(found[1])
    return int(orientation or 1)


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    return _UPRIGHT[orientation](pixels) if orientation in _UPRIGHT else pixels


def decode_visible(data: bytes, name: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a visible image of any kind; arguments and errors as above.

    Raises:
        UnreadableImageError: it cannot be read, or is deeper than 8 bits without colours: Pillow
            cuts its levels at 255, and it is hardly a visible image.
    """
    image = decode_image(data, name)
    if image.mode.startswith(("I", "F")):
        reason = (
            f"mode {image.mode}, more than 8 bits a channel: no visible image; are the infrared"
            " and the visible folder exchanged?"
        )
        raise UnreadableImageError(f"{name}: {reason}", reason)
    return np.array(image.convert("RGB"))


def cannot_open(name: str, error: OSError) -> UnreadableImageError:
    """The error for a file that the file system or storage backend does not hand out."""
    return _unreadable(name, f"cannot be opened ({error})")


def remark_kind(remark: str) -> str:
    """A remark without the numbers of its file, by which remarks of many files are counted."""
    return next((kind for kind in (NODATA, BAD_NODATA) if remark.startswith(kind)), remark)


def _name_of(source: str | PathLike | bytes, name: str | None) -> str:
    return name or ("<bytes>" if isinstance(source, bytes) else str(source))


def _unreadable(name: str, reason: str) -> UnreadableImageError:
    return UnreadableImageError(f"{name}: {reason}. {_WAY_OUT}", reason)


def check_scaling(
    value_range: tuple[float, float] | None,
    percentiles: tuple[float, float],
    nodata_level: int | None = None,
) -> None:
    """Raise ValueError for a range or percentiles that cannot scale an image, or for no level."""
    if nodata_level is not None and nodata_level not in range(256):
        raise ValueError(f"nodata_level must be a gray level, 0 to 255, got {nodata_level}")
    if value_range is not None:
        low, high = value_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"value_range must be (low, high) with low < high, got {value_range}")
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise ValueError(
            f"percentiles must be (low, high) with 0 <= low < high <= 100, got {percentiles}"
        )


def _decode(data: bytes) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """Pixels as the file holds them, which of them it declares absent, and remarks.

    Pixels are (H, W) or (H, W, 3 or 4), of any depth, blue first if colour; absent ones (H, W)
    bool, or None.
    """
    if not data:
        raise UnreadableImageError("empty file (0 bytes)")
    if data.startswith(_JPEG):
        pixels, remarks = _decode_jpeg(data, _check_jpeg(data))
        return pixels, None, remarks
    if data.startswith(_PNG):
        _check_png(data)
        return _upright_by_opencv(data, _KEEP_DEPTH), None, ()
    if data.startswith(b"BM"):
        return *_pillow(data), ()
    if data.startswith(_TIFF):
        return _decode_tiff(data)
    raise UnreadableImageError(f"not a JPEG, PNG, TIFF or BMP file (it begins with {data[:24]!r})")


def _decode_jpeg(data: bytes, components: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """(H, W) or (H, W, 3) uint8, blue first, upright; and remarks.

    Raises:
        UnreadableImageError: libjpeg warns that the coded pixels are damaged. It notices what does
            not fit its codes, which holds for most damage of more than a few bits, not for all.
    """
    with heard_from_libjpeg() as said:
        flag = cv2.IMREAD_GRAYSCALE if components == 1 else cv2.IMREAD_COLOR
        pixels = _upright_by_opencv(data, flag)
    surplus = [warning for warning in said if _is_padding(warning, data)]
    if pixels is None or len(said) > len(surplus):
        reason = next((x for x in said if x not in surplus), "its pixels cannot be decoded")
        raise UnreadableImageError(f"damaged: {reason}")
    return pixels, (SURPLUS,) if surplus else ()


def _is_padding(warning: str, data: bytes) -> bool:
    """Whether all pixels were there and what libjpeg skipped may be padding: little, or uniform."""
    found = re.search(r"(\d+) extraneous bytes", warning)
    if not found:
        return False
    end = data.rfind(_JPEG_END)
    return int(found[1]) <= _MOST_PADDING or len(set(data[end - int(found[1]) : end])) <= 2


def _upright_by_opencv(data: bytes, flag: int) -> np.ndarray | None:
    """OpenCV knows fewer places of the orientation than Pillow, which reads visible images."""
    pixels = _opencv(data, flag | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if pixels is None else _turn(pixels, _orientation(data))


def _opencv(data: bytes, flag: int) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def _check_jpeg(data: bytes) -> int:
    """Walk the segments up to the pixels, look for the end marker; return the component count."""
    position, components = 2, 0
    while position + 4 <= len(data):
        marker = data[position + 1]
        if data[position] != 0xFF:
            raise UnreadableImageError("damaged JPEG: a segment marker is missing")
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0xDA:
            # Within coded pixels 0xFF is followed by 0 or a restart marker, so this is the end.
            if data.find(_JPEG_END, position) < 0:
                break
            return components
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            precision, height, width, components = struct.unpack_from(">BHHB", data, position + 4)
            if precision != 8:
                raise UnreadableImageError(f"{precision}-bit JPEG, only 8-bit JPEG can be read")
            if not height or not width:
                raise UnreadableImageError(f"JPEG of {width} x {height} pixels")
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise UnreadableImageError(f"JPEG cut short after {len(data)} bytes: no end marker")


def _check_png(data: bytes) -> None:
    """Walk the chunks to the end chunk; compare the checksums of the coded pixels."""
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", data, position + 8)
            if not height or not width:
                raise UnreadableImageError(f"PNG of {width} x {height} pixels")
        if kind == b"IEND":
            return
        end = position + 8 + length
        if kind == b"IDAT" and data[end : end + 4] != struct.pack(
            ">I", zlib.crc32(memoryview(data)[position + 4 : end])
        ):
            if len(data) < end + 4:
                break
            raise UnreadableImageError("damaged: its pixels do not fit their checksum")
        position += 12 + length
    raise UnreadableImageError(f"PNG cut short after {len(data)} bytes: no end chunk")


def _decode_tiff(data: bytes) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
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
        if not segments or any(
            count == 0 or offset + count > len(data) for offset, count in segments
        ):
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
        stored = None if nodata is None or image.mode == "1" else np.array(image)
        if stored is not None and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            stored = 255 - stored  # Pillow has made black of white
        absent = None if stored is None else _holds(stored, nodata)
        if image.mode in ("LA", "La"):
            return np.array(image.convert("LA").getchannel("L")), absent
        if image.mode in ("1", "L"):
            return np.array(image.convert("L")), absent
        return np.array(image.convert("RGB"))[..., ::-1], absent


def _deep_tiff(
    data: bytes, page: tifffile.TiffPage, nodata: float | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
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
        pixels = _opencv(data, _KEEP_DEPTH)
    absent = None if pixels is None else _holds(pixels, nodata)
    if pixels is not None and page.photometric == _WHITE_IS_ZERO:
        if pixels.dtype.kind != "u":
            raise UnreadableImageError(f'"white is zero" TIFF of type {pixels.dtype}')
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels, absent


def _without_measurement(pixels: np.ndarray, absent: np.ndarray | None) -> np.ndarray | None:
    """(H, W) bool of pixels that hold no measurement; None if all do.

    Args:
        absent: Those that the file declares, (H, W) bool or None.
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


def _to_8_bit(
    gray: np.ndarray,
    value_range: tuple[float, float] | None,
    percentiles: tuple[float, float],
    absent: np.ndarray | None,
) -> np.ndarray:
    """(H, W) of any depth to uint8, by the values of pixels that are not absent."""
    if gray.dtype == np.uint8:
        return np.ascontiguousarray(gray)
    if gray.dtype.kind not in "uif":
        raise UnreadableImageError(f"pixels of type {gray.dtype} are not gray values")
    measured = gray if absent is None else gray[~absent]
    if gray.dtype == np.uint16:
        # 65,536 possible values: a histogram gives percentiles, and a table the result, at once.
        histogram = np.bincount(measured.ravel(), minlength=65536)
        low, high = value_range or _percentile_range(histogram, percentiles)
        return _scale(np.arange(65536), low, high)[gray]
    low, high = value_range or _percentile_range_of_values(measured, percentiles)
    return _scale(gray, low, high)


def _percentile_range(
    histogram: np.ndarray, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Smallest values that the given shares of the pixels do not exceed."""
    cumulative = histogram.cumsum()
    ranks = np.maximum(np.array(percentiles) / 100 * cumulative[-1], 1)
    low, high = np.searchsorted(cumulative, ranks)
    if low == high:  # for instance a small target on an even sky
        present = np.flatnonzero(histogram)
        low, high = present[0], present[-1]
    return low, high


def _percentile_range_of_values(
    gray: np.ndarray, percentiles: tuple[float, float]
) -> tuple[float, float]:
    low, high = np.percentile(gray, percentiles, method="inverted_cdf")
    if low == high:
        low, high = gray.min(), gray.max()
    return low, high


def _scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    if low == high:
        return np.zeros(values.shape, np.uint8)
    low, high = float(low), float(high)
    scaled = (values.astype(np.float64) - low) * 255 / (high - low)
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)
