"""FLIR's FFF records, inside radiometric JPEG and one after the other in SEQ and CSQ recordings.

The layout is that of ExifTool's documentation of FLIR's tags. Counts are read here, since a
recording has no other reader; temperatures are those of `flyr <https://pypi.org/project/flyr>`_.
"""

import io
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import cv2
import numpy as np

from .errors import UnreadableImageError
from .image import ThermalImage
from .jpeg import segments
from .palettes import resampled

MAGIC = (b"FFF\0", b"AFF\0")
RAW_DATA, CAMERA_INFO, PALETTE = 1, 32, 34
_HEADER, _ENTRY, _RAW_HEADER = 64, 32, 32
_PNG, _JPEG_LS = b"\x89PNG", b"\xff\xd8\xff"
_IN_JPEG = b"FLIR\0\x01"
MAX_SIDE = 8192  # of a sensor; more is a header that cannot be right
#: What temperatures depend on beside the counts, and may be given in place of the file's values.
PARAMETERS = (
    "emissivity",
    "object_distance",
    "reflected_apparent_temperature",
    "atmospheric_temperature",
    "relative_humidity",
    "ir_window_temperature",
    "ir_window_transmission",
)
NO_FLYR = "counts, not temperatures; for these pip install 'mmspec[radiometric]'"
NO_CONSTANTS = "counts, not temperatures: no constants of the camera in it"
#: Scenes of a working camera, in Celsius; beyond it the constants of the file are wrong.
PLAUSIBLE = (-60.0, 3000.0)


@dataclass(frozen=True)
class Frame:
    """One FFF block: where its records lie in ``data``.

    Attributes:
        data: bytes of the block.
        records: (offset, length) by record type.
    """

    data: memoryview
    records: dict[int, tuple[int, int]]

    @property
    def length(self) -> int:
        """Bytes up to the end of the last record, where the next frame of a recording begins."""
        return max(offset + length for offset, length in self.records.values())


def decode(data: bytes, unit: str | None, parameters: Mapping[str, float]) -> ThermalImage | None:
    """What a JPEG of FLIR's, or a frame of SEQ and CSQ, measured; None of another JPEG.

    Arguments and errors are those of :func:`mmspec.read_thermal`.
    """
    if data.startswith(MAGIC):
        return image(parse(data), unit, parameters, "FLIR recording")
    if (block := fff_of_jpeg(data)) is None or RAW_DATA not in (frame := parse(block)).records:
        return None
    return image(frame, unit, parameters, "FLIR radiometric JPEG")


def image(
    frame: Frame, unit: str | None, parameters: Mapping[str, float], source: str
) -> ThermalImage:
    """What a frame holds in the unit that is asked for."""
    if unit == "gray":
        raise UnreadableImageError("no picture in it: read unit='counts'")
    values = counts(frame)
    readable = has_flyr() and CAMERA_INFO in frame.records
    if unit == "counts" or (unit is None and not readable):
        remarks = () if unit else (NO_CONSTANTS if has_flyr() else NO_FLYR,)
        return ThermalImage(values, "counts", source=source, remarks=remarks)
    temperatures = celsius(frame, values, **parameters)
    absent = ~np.isfinite(temperatures)  # counts that the camera's formula has no root for
    if absent.all():
        raise UnreadableImageError("no pixel has a temperature: read unit='counts'")
    remark = implausible(temperatures)
    if absent.any():
        temperatures[absent] = temperatures[~absent].min()
    return ThermalImage(
        temperatures,
        "celsius",
        source=source,
        absent=absent if absent.any() else None,
        remarks=(remark,) * bool(remark),
    )


def fff_of_jpeg(data: bytes) -> bytes | None:
    """The FFF block that a JPEG holds in its APP1 segments, or None.

    Raises:
        UnreadableImageError: a part of it is missing.
    """
    parts: dict[int, bytes] = {}
    total = 0
    for marker, content in segments(data):
        if marker == 0xE1 and content.startswith(_IN_JPEG) and len(content) > 8:
            parts[content[6]], total = content[8:], content[7] + 1
    if not parts:
        return None
    if sorted(parts) != list(range(total)):
        raise UnreadableImageError(
            f"{len(parts)} of {total} segments are there: the file is cut or damaged"
        )
    return b"".join(parts[number] for number in range(total))


def palette(data: bytes) -> tuple[str, np.ndarray] | None:
    """The palette that coloured a JPEG's picture: name and (256, 3) uint8, blue first; or None."""
    try:
        if (block := fff_of_jpeg(data)) is None or PALETTE not in (frame := parse(block)).records:
            return None
    except UnreadableImageError:  # the picture is there all the same
        return None
    offset, length = frame.records[PALETTE]
    record = bytes(frame.data[offset : offset + length])
    entries = np.frombuffer(record[112:], np.uint8)[: 3 * record[0]] if record else np.empty(0)
    if entries.size < 6 or entries.size % 3:
        return None
    # Of Y, Cr and Cb, as video has them: from 16 to 235 and 240.
    levels = (entries.reshape(-1, 3) - [16.0, 128, 128]) * 255 / [219, 224, 224]
    red = levels[:, 0] + 1.402 * levels[:, 1]
    green = levels[:, 0] - 0.714136 * levels[:, 1] - 0.344136 * levels[:, 2]
    blue = levels[:, 0] + 1.772 * levels[:, 2]
    name = record[80:112].partition(b"\0")[0].decode("latin-1")
    return f"{name}, the file's own", resampled(np.stack([blue, green, red], 1))


def parse(data: bytes | memoryview, start: int = 0) -> Frame:
    """The FFF block at ``start``.

    Raises:
        UnreadableImageError: no such block, or one that is cut.
    """
    header = bytes(data[start : start + _HEADER])
    if len(header) < _HEADER or header[:4] not in MAGIC:
        raise UnreadableImageError.of(f"byte {start}", "no FLIR frame begins here: cut or damaged")
    for order in "><":
        version, directory, count = struct.unpack(f"{order}III", header[20:32])
        if 100 <= version < 200:
            break
    else:
        raise UnreadableImageError.of(f"byte {start}", f"a FLIR frame of unknown version {version}")
    records: dict[int, tuple[int, int]] = {}
    for number in range(min(count, 256)):
        place = start + directory + _ENTRY * number
        entry = data[place : place + _ENTRY]
        if len(entry) < _ENTRY:
            raise UnreadableImageError.of(f"byte {place}", "the frame's directory is cut")
        kind, offset, length = struct.unpack(f"{order}H10xII", entry[:20])
        if kind and length:
            records.setdefault(kind, (offset, length))
    if not records:
        raise UnreadableImageError.of(f"byte {start}", "a FLIR frame without records")
    return Frame(memoryview(data)[start:], records)


def counts(frame: Frame) -> np.ndarray:
    """The sensor's counts, (H, W) uint16.

    Raises:
        UnreadableImageError: the record is cut, damaged or of an unknown coding.
    """
    if RAW_DATA not in frame.records:
        raise UnreadableImageError("a frame without counts (only a picture?)")
    offset, length = frame.records[RAW_DATA]
    record = bytes(frame.data[offset : offset + length])
    # An int16 2 at its start tells the byte order.
    order = "<" if record[:1] == b"\x02" else ">"
    width, height = struct.unpack(f"{order}HH", record[2:6]) if len(record) > 6 else (0, 0)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise UnreadableImageError(f"{width} x {height} pixels: the record is damaged")
    pixels = record[_RAW_HEADER:]
    if pixels.startswith(_JPEG_LS):
        return _jpeg_ls(pixels, (height, width))
    if pixels.startswith(_PNG):
        image = cv2.imdecode(np.frombuffer(pixels, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.shape != (height, width) or image.dtype != np.uint16:
            raise UnreadableImageError("its PNG of counts is cut or damaged")
        # Stored in the order of the processor, which PNG then takes for the other one.
        return image.byteswap() if order == "<" else image
    needed = 2 * width * height
    if len(pixels) < needed:
        raise UnreadableImageError(f"{len(pixels):,} bytes of counts where {needed:,} belong: cut")
    return np.frombuffer(pixels, f"{order}u2", width * height).reshape(height, width).astype("u2")


def _jpeg_ls(pixels: bytes, size: tuple[int, int]) -> np.ndarray:
    """Counts of a CSQ recording, which compresses each frame by JPEG-LS."""
    try:
        from imagecodecs import jpegls_decode
    except ImportError:
        raise UnreadableImageError(
            "frames in JPEG-LS (CSQ): pip install 'mmspec[radiometric]' to read them"
        ) from None
    try:
        image = jpegls_decode(pixels)
    except Exception as error:  # the codec's own kinds
        raise UnreadableImageError(f"its JPEG-LS frame is damaged ({error})") from None
    if image.shape != size:
        raise UnreadableImageError(f"a frame of {image.shape} where {size} belongs")
    return image.astype(np.uint16)


def has_flyr() -> bool:
    """Whether temperatures can be had."""
    return find_spec("flyr") is not None


def celsius(frame: Frame, values: np.ndarray, **parameters: float) -> np.ndarray:
    """Temperatures of counts, (H, W) float32 in degrees Celsius.

    Args:
        frame: brings the camera's constants.
        values: (H, W) uint16 counts.
        parameters: of ``PARAMETERS``, in place of the file's: kelvin, metres, shares of one.

    Raises:
        UnreadableImageError: the frame has no constants.
        ImportError: flyr is not installed.
        TypeError: an unknown parameter.
        ValueError: a share that is none, a negative distance, or kelvin that must be Celsius.
    """
    if unknown := set(parameters) - set(PARAMETERS):
        raise TypeError(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(PARAMETERS)}")
    for name in ("emissivity", "ir_window_transmission"):
        if not 0 < (share := parameters.get(name, 1)) <= 1:
            raise ValueError(f"{name}={share}: a share, above 0 and up to 1")
    if not 0 <= (humidity := parameters.get("relative_humidity", 0)) <= 1:
        raise ValueError(f"relative_humidity={humidity}: a share, 0 to 1")
    if (distance := parameters.get("object_distance", 0)) < 0:
        raise ValueError(f"object_distance={distance}: metres, 0 or more")
    for name, value in parameters.items():
        if name.endswith("temperature") and value < 100:
            raise ValueError(f"{name}={value}: kelvin, 273.15 more than Celsius")
    if CAMERA_INFO not in frame.records:
        raise UnreadableImageError("no constants of the camera: read unit='counts'")
    if not has_flyr():
        raise ImportError("temperatures need flyr: pip install 'mmspec[radiometric]'")
    from flyr.thermal import parse_camera_info
    from flyr.thermogram import FlyrThermogram

    offset, length = frame.records[CAMERA_INFO]
    try:
        record = io.BytesIO(bytes(frame.data[offset : offset + length]))
        constants = parse_camera_info(record, (0, CAMERA_INFO, 0, length))
    except struct.error:
        raise UnreadableImageError("its constants of the camera are cut") from None
    if constants["relative_humidity"] > 2:  # some cameras write percent, as ExifTool knows
        constants["relative_humidity"] /= 100
    if not constants["planck_r1"] or not math.isfinite(constants["planck_b"]):
        raise UnreadableImageError("its constants are zero: read unit='counts'")
    # Each count once: the formula is far slower than a table, and sorting than counting.
    levels = np.flatnonzero(np.bincount(values.ravel(), minlength=65536)).astype(values.dtype)
    try:
        with np.errstate(all="ignore"):
            table = FlyrThermogram(levels[None], constants, metadata_adjustments=parameters).celsius
    except (ArithmeticError, ValueError) as error:  # ValueError: of a root or logarithm
        raise UnreadableImageError(f"temperatures by its constants: {error}") from None
    of_count = np.empty(65536, np.float32)
    of_count[levels] = table[0]
    return of_count[values]


def implausible(temperatures: np.ndarray) -> str | None:
    """What to say of temperatures that no scene has, or None."""
    finite = temperatures[np.isfinite(temperatures)]
    low, high = float(finite.min()), float(finite.max())
    if low < PLAUSIBLE[0] or high > PLAUSIBLE[1] or finite.size < temperatures.size:
        return f"temperatures from {low:.1f} to {high:.1f} Celsius: its constants may be wrong"
    return None
