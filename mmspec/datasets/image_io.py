"""Read an image file of any common kind: infrared as 8-bit gray, visible ones and labels.

The files themselves are decoded by :mod:`mmspec.thermal`.
"""

import io
import math
import warnings
from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from mmspec.thermal.errors import UnreadableImageError
from mmspec.thermal.flir import MAGIC as FLIR
from mmspec.thermal.jpeg import JPEG, decode_jpeg, has_metadata
from mmspec.thermal.orientation import ON_ITS_SIDE, orientation_of, orientation_of_page
from mmspec.thermal.pictures import PNG, check_png
from mmspec.thermal.read import NODATA, decode
from mmspec.thermal.recordings import open_recording, read_frame, split_frame
from mmspec.thermal.scaling import CLIPS, RANGE_OF_8_BITS, Scaling, limits_of, to_gray
from mmspec.thermal.tiff import BAD_NODATA, TIFF, without_alpha

SEQUENCE = (
    "a file of several frames, only the first is read; name one as clip.tif#12, or sample them by"
    " InfraredFolder(frame_step=1)"
)


def read_infrared(
    source: str | PathLike | bytes | np.ndarray,
    *,
    name: str | None = None,
    value_range: tuple[float, float] | None = None,
    percentiles: tuple[float, float] = (0, 100),
    **scaling,
) -> np.ndarray:
    """Read a file of any kind that :func:`mmspec.read_thermal` reads, as gray.

    8-bit values are kept as they are; deeper images (16-bit, 32-bit, float) are scaled to 0..255.
    Palettes are looked up, alpha is ignored, EXIF / TIFF orientation is applied. Three equal
    channels are one; other colours become what a palette laid over, where one is known, else luma
    (ITU-R BT.601), with a warning that says which (see ``palette``). Of a radiometric JPEG
    what was measured is read, not its picture, unless ``unit='gray'``.

    Pixels without a measurement do not take part in the scaling and are filled, with a warning that
    counts them: NaN and infinite values and floats beyond 1e30, the value of a TIFF's GDAL_NODATA
    tag (at any depth), and what its transparency mask leaves out.

    Args:
        source: path, the file's bytes, or pixels: (H, W) or (H, W, 1 to 4), blue first, of any
            depth.
        name: what errors and warnings call the file; the path unless given.
        value_range: ``range`` of :class:`~mmspec.thermal.scaling.Scaling`.
        percentiles: its own; here nothing is clipped unless asked for.
        **scaling: its other arguments but ``sequence``.

    Returns:
        (H, W) uint8; with ``float32=True`` float32 of more than 8 bits. A constant image of more
        than 8 bits gives zeros.

    Raises:
        UnreadableImageError: not such a file, empty, cut short, damaged, of size zero, or without
            a single measurement.
        ValueError: a scaling that cannot be.
    """
    gray, remarks = decode_infrared(source, name, Scaling(value_range, percentiles, **scaling))
    for remark in remarks:
        if remark != RANGE_OF_8_BITS:  # no news of one file
            warnings.warn(f"{_name_of(source, name)}: {remark}", stacklevel=2)
    return gray


def decode_infrared(
    source: str | PathLike | bytes | np.ndarray,
    name: str | None = None,
    scaling: Scaling | None = None,
    limits: tuple[float, float] | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read as :func:`read_infrared` does, but return the remarks instead of warning.

    Returns:
        (H, W) uint8 or float32, and remarks, some with the file's own numbers behind a colon (see
        :func:`remark_kind`).
    """
    name, scaling = _name_of(source, name), scaling or Scaling()
    data = source if isinstance(source, bytes | np.ndarray) else _content(source)
    try:
        image = decode(data, scaling.unit, palette=scaling.palette)
        gray, of_scaling = to_gray(image, scaling, limits)
    except UnreadableImageError as error:
        raise UnreadableImageError.of(name, error.reason) from None
    sequence = (SEQUENCE,) if image.frames > 1 else ()
    return gray, (*image.remarks, *sequence, *of_scaling)


def sequence_of(name: str) -> str:
    """What one mapping is for: the recording of a frame, or ``FOLDER/*.SUFFIX`` of an image."""
    if frame := split_frame(name):
        return frame[0]
    path = Path(name)
    return str(path.with_name(f"*{path.suffix}"))


def sequence_limits(sequence: str, scaling: Scaling) -> tuple[float, float] | None:
    """The one mapping of all images of a sequence, see :func:`sequence_of`.

    Returns:
        Values that become 0 and 255; None where all are of 8 bits.

    Raises:
        UnreadableImageError: none of them can be read from the local disk.
    """
    path, images, reason = Path(sequence), [], "no such images on the local disk"
    recording = open_recording(path) if path.is_file() else None
    for one in _spread(range(len(recording)) if recording else sorted(path.parent.glob(path.name))):
        try:
            data = recording.content(one) if recording else _content(one)
            images.append(decode(data, scaling.unit))
        except UnreadableImageError as error:  # is told when it is loaded
            reason = error.reason
    if not images:
        raise UnreadableImageError.of(sequence, f"sequence=True: {reason}")
    deep = [image for image in images if image.values.dtype != np.uint8]
    return limits_of(deep, scaling) if deep else None


def _spread(found: Sequence) -> Sequence:
    """At most 32, evenly spread."""
    return found[:: max(1, math.ceil(len(found) / 32))]


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
        pixels, _, remarks, _ = decode_jpeg(data)
        if pixels.ndim == 3:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # Pillow is slow to copy a view
        return Image.fromarray(pixels), remarks
    if data.startswith(PNG):
        check_png(data)
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
        levels = without_alpha(data)[..., ::-1]
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
    if isinstance(data, np.ndarray):
        return data.shape[1::-1]
    try:
        if data.startswith(TIFF):
            with tifffile.TiffFile(io.BytesIO(data)) as tiff:
                page = tiff.pages[0]
                size, orientation = (page.imagewidth, page.imagelength), orientation_of_page(page)
        elif data.startswith(FLIR) or has_metadata(data):  # no size, or that of the picture alone
            return decode(data, palette=None).values.shape[::-1]
        else:
            with Image.open(io.BytesIO(data)) as image:
                size, orientation = image.size, orientation_of(image)
    except Exception as error:  # on damaged bytes decoders raise whatever they trip over
        reason = f"no image ({type(error).__name__}: {error})"
        raise UnreadableImageError.of(path, reason) from None
    return size[::-1] if orientation in ON_ITS_SIDE else size


def cannot_open(name: str | PathLike, error: OSError) -> UnreadableImageError:
    """The error for a file that the file system or storage backend does not hand out."""
    return UnreadableImageError.of(name, f"cannot be opened ({error})")


def remark_kind(remark: str) -> str:
    """A remark without the numbers of its file, by which remarks of many files are counted."""
    return next((kind for kind in (NODATA, BAD_NODATA, CLIPS) if remark.startswith(kind)), remark)


def _name_of(source: str | PathLike | bytes | np.ndarray, name: str | None) -> str:
    in_memory = isinstance(source, bytes | np.ndarray)
    return name or (f"<{type(source).__name__}>" if in_memory else str(source))


def _content(path: str | PathLike) -> bytes | np.ndarray:
    """A file's bytes, or the content of a frame that ``clip.seq#12`` names."""
    if (content := read_frame(str(path))) is not None:
        return content
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise cannot_open(path, error) from None
