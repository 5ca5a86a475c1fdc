"""One door to what thermal cameras write: temperatures, counts of the sensor, or gray levels."""

import io
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from . import dji, flir
from .errors import UnreadableImageError
from .image import UNITS, Pixels, ThermalImage
from .jpeg import JPEG, decode_jpeg, has_metadata
from .palettes import AUTO, gray_of_colours
from .pictures import PNG, decode_bmp, decode_png
from .recordings import SUFFIXES, VIDEOS, Celsius, is_one_image, kept_open
from .tiff import TIFF, decode_tiff, without_alpha

NODATA = "pixels that hold no measurement are left out of the scaling and filled"

_NPY, _NPZ = b"\x93NUMPY", b"PK\x03\x04"
_BEYOND_MEASURE = 1e30  # of floats: GIS programs mark NoData by the lowest float32, about -3.4e38


def read_thermal(
    path: str | Path,
    unit: str | None = None,
    frame: int = 0,
    palette: str | None = AUTO,
    **parameters: float,
) -> ThermalImage:
    """Read what a thermal camera, or a program behind it, wrote.

    ======================================  =====================  ================================
    file                                    unit                   dtype
    ======================================  =====================  ================================
    radiometric JPEG of FLIR, SEQ, CSQ      'celsius', 'counts'    float32, uint16
    radiometric JPEG of DJI                 'counts'               uint16
    JPEG, BMP, video; PNG, TIFF of 8 bits   'gray'                 uint8
    deeper PNG and TIFF; .npy, .npz         'counts'               uint16, or float32 of other types
    ======================================  =====================  ================================

    Temperatures of FLIR's files need flyr (``pip install 'mmspec[radiometric]'``), with the
    emissivity, distance, humidity and reflected temperature that stand in the file, or those given
    here. DJI's need its own library: their counts are read. Nothing tells the unit of the last
    row's values; files of floating point are taken for temperatures where ``unit='celsius'`` says
    so, or a .npz names its array ``celsius``.

    Args:
        path: the file; of a .npz with one array, of an array (N, H, W) or (N, H, W, 1 to 4) of
            .npy and .npz a frame.
        unit: 'celsius', 'counts', 'gray' (the picture that a radiometric JPEG shows), or None:
            temperatures where they can be had, else counts, with a warning, else gray levels.
        frame: of a recording, a TIFF of several pages or an array of frames, from 0; negative from
            its end.
        palette: what colours of 8 bits become, see :class:`~mmspec.thermal.scaling.Scaling`.
        parameters: in place of the file's: ``emissivity`` and ``relative_humidity`` (shares of
            one), ``object_distance`` (metres), ``reflected_apparent_temperature`` and
            ``atmospheric_temperature`` (kelvin), ``ir_window_temperature``,
            ``ir_window_transmission``.

    Raises:
        FileNotFoundError: no such file.
        UnreadableImageError: a file without values of the unit, a damaged one, or no such frame.
        ImportError: temperatures are asked for and flyr is not installed.
        ValueError: an unknown unit, parameters where they change nothing, or a frame of a picture.
    """
    if unit not in (None, *UNITS):
        raise ValueError(f"unit={unit!r}: {', '.join(map(repr, UNITS))} or None")
    if parameters and unit in ("counts", "gray"):
        raise ValueError(f"{', '.join(parameters)}: {unit} do not depend on the scene")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        if path.suffix.lower() in (*SUFFIXES, *VIDEOS):
            clip = kept_open(str(path))
            image = decode(clip.content(frame), unit, parameters=parameters, palette=palette)
            image = replace(image, frames=len(clip))
        else:
            image = decode(path.read_bytes(), unit, frame, parameters, palette)
    except UnreadableImageError as error:
        raise UnreadableImageError.of(path, error.reason) from None
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise type(error)(f"{path}: {error}") from None
    for remark in image.remarks:
        warnings.warn(f"{path}: {remark}", stacklevel=2)
    if image.values.dtype in (np.uint8, np.uint16):
        return image
    values = image.values.astype(np.float32)
    if image.absent is not None:
        values[image.absent] = np.nan
    return replace(image, values=values)


def decode(
    source: bytes | np.ndarray,
    unit: str | None = None,
    frame: int = 0,
    parameters: Mapping[str, float] = {},
    palette: str | None = AUTO,
) -> ThermalImage:
    """Read the content of a file, or pixels from elsewhere; ``values`` keep the type they have.

    Args:
        source: a file's bytes, or pixels: (H, W) or (H, W, 1 to 4), blue first, of any depth;
            those that a NumPy array masks hold no measurement.
        unit, frame, parameters, palette: as in :func:`read_thermal`.

    Raises:
        UnreadableImageError: its message is the reason alone.
    """
    image = None
    in_file = isinstance(source, bytes)
    if in_file and (source.startswith(flir.MAGIC) or (unit != "gray" and has_metadata(source))):
        image = flir.decode(source, unit, parameters) or dji.decode(source, unit)
    if parameters and not (image and image.source.startswith("FLIR")):
        raise ValueError(f"{', '.join(parameters)}: of temperatures in FLIR's files alone")
    try:
        image = image or _picture(source, unit, frame, palette)
    except UnreadableImageError:
        raise
    except Exception as error:  # on damaged bytes the decoders raise whatever they trip over
        reason = f"damaged ({type(error).__name__}: {error})"
        raise UnreadableImageError(reason) from None
    if frame not in (0, -1) and image.frames == 1:
        raise ValueError(f"frame={frame} of a file that holds one")
    return image


def _picture(
    source: bytes | np.ndarray, unit: str | None, frame: int, palette: str | None
) -> ThermalImage:
    """Pixels that are there as they are: all but radiometric JPEG and recordings."""
    celsius = isinstance(source, Celsius)
    found, kind = Pixels(np.asarray(source) if celsius else source), "array"
    if isinstance(source, np.ma.MaskedArray):
        mask = without_alpha(np.ma.getmaskarray(source)).any(axis=-1)
        found = Pixels(source.data, mask)
    if isinstance(source, bytes):
        if not source:
            raise UnreadableImageError("empty file (0 bytes)")
        if source.startswith(JPEG):
            found, kind = decode_jpeg(source), "JPEG"
        elif source.startswith(PNG):
            found, kind = decode_png(source), "PNG"
        elif source.startswith(b"BM"):
            found, kind = decode_bmp(source), "BMP"
        elif source.startswith(TIFF):
            found, kind = decode_tiff(source, frame), "TIFF"
        elif source.startswith((_NPY, _NPZ)):
            (found, celsius), kind = _array(source, frame), "NumPy"
        else:
            raise UnreadableImageError(
                f"not a JPEG, PNG, TIFF, BMP or NumPy file (it begins with {source[:24]!r})"
            )
    pixels, remarks = found.pixels, found.remarks
    if pixels.dtype.kind not in "uif":
        raise UnreadableImageError(f"pixels of type {pixels.dtype} are not gray values")
    if not pixels.size:
        raise UnreadableImageError(f"no pixels: an array of shape {pixels.shape}")
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    absent = _without_measurement(pixels, found.absent)
    if absent is not None:
        pixels = pixels.copy()
        pixels[absent] = pixels[~absent][0]  # any measurement, until the channels are one
        share = f"{absent.sum():,} of {absent.size:,} pixels"
        remarks = (*remarks, f"{NODATA}: {share} ({absent.mean():.1%})")
    values, coloured = _one_channel(pixels)
    if coloured:
        own = flir.palette(source) if kind == "JPEG" else None
        values, remark = gray_of_colours(pixels, values, palette, own)
        remarks = (remark, *remarks)
    if absent is not None:
        values[absent] = values[~absent].min()
    return ThermalImage(values, _unit(values, celsius, unit), found.frames, kind, absent, remarks)


def _unit(values: np.ndarray, celsius: bool, asked: str | None) -> str:
    """What values are in that do not tell it, or tell it by their array's name."""
    known = ("counts", "gray")
    if values.dtype == np.uint8:
        known = ("gray",)
    elif celsius:
        known = ("celsius",)
    elif values.dtype.kind == "f":
        known = ("counts", "gray", "celsius")
    if asked not in (None, *known):
        raise UnreadableImageError(
            f"no {asked} in it, {values.dtype} values without a unit: read unit={known[0]!r}"
        )
    return asked or known[0]


def _array(data: bytes, frame: int) -> tuple[Pixels, bool]:
    """A frame of a NumPy file, and whether its array is called celsius."""
    content, celsius = np.load(io.BytesIO(data), allow_pickle=False), False
    if not isinstance(content, np.ndarray):
        names = list(content)
        if len(names) != 1:
            raise UnreadableImageError(f"{len(names)} arrays ({', '.join(names)}): give one a file")
        content, celsius = content[names[0]], names[0] == "celsius"
    if content.ndim not in (3, 4) or is_one_image(content.shape):
        return Pixels(content), celsius
    if not -len(content) <= frame < len(content):
        raise UnreadableImageError(f"no frame {frame}: it has {len(content)}")
    return Pixels(content[frame], frames=len(content)), celsius


def _without_measurement(pixels: np.ndarray, absent: np.ndarray | None) -> np.ndarray | None:
    """(H, W) bool of pixels that hold no measurement; None if all do.

    Args:
        absent: those that the file declares, (H, W) bool or None.
    """
    if pixels.dtype.kind == "f":
        limit = min(_BEYOND_MEASURE, float(np.finfo(pixels.dtype).max))
        wild = (~(np.abs(without_alpha(pixels)) <= limit)).any(axis=-1)  # true of NaN too
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
