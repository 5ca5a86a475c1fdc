"""One door to what thermal cameras write: temperatures, or the counts of the sensor."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from . import dji, flir
from .image import ThermalFileError, ThermalImage
from .recordings import SUFFIXES, FlirRecording


def read_thermal(
    path: str | Path, unit: str | None = None, frame: int = 0, **parameters: float
) -> ThermalImage:
    """Read a radiometric JPEG (FLIR, DJI) or a frame of a FLIR recording (SEQ, CSQ).

    Temperatures of FLIR's files need flyr (``pip install 'mmspec[radiometric]'``), with the
    emissivity, distance, humidity and reflected temperature that stand in the file, or those given
    here. DJI's need its own library: their counts are read.

    Args:
        path: the file.
        unit: 'celsius', 'counts', or None: temperatures where they can be had, else counts, with a
            warning.
        frame: of a recording, from 0; negative from its end.
        parameters: in place of the file's: ``emissivity`` and ``relative_humidity`` (shares of
            one), ``object_distance`` (metres), ``reflected_apparent_temperature`` and
            ``atmospheric_temperature`` (kelvin), ``ir_window_temperature``,
            ``ir_window_transmission``.

    Raises:
        FileNotFoundError: no such file.
        ThermalFileError: a file without counts (a plain picture, say), or a damaged one.
        ImportError: temperatures are asked for and flyr is not installed.
        ValueError: an unknown unit, parameters with ``unit='counts'``, or a frame of a picture.
    """
    if unit not in (None, "celsius", "counts"):
        raise ValueError(f"unit={unit!r}: 'celsius', 'counts' or None")
    if unit == "counts" and parameters:
        raise ValueError(f"{', '.join(parameters)}: counts do not depend on the scene")
    path = Path(path)
    if frame not in (0, -1) and path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: frame={frame} of a file that holds one")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return _read(path, unit, frame, parameters)
    except ThermalFileError as error:
        if str(error).startswith(str(path)):
            raise
        raise ThermalFileError(str(path), error.reason) from None


def _read(path: Path, unit: str | None, frame: int, parameters: dict[str, float]) -> ThermalImage:
    if path.suffix.lower() in SUFFIXES:
        recording = FlirRecording(path)
        values = recording.counts(frame)
        return _flir(path, recording.block(frame), values, unit, len(recording), parameters)
    data = path.read_bytes()
    if (block := flir.fff_of_jpeg(data)) is not None:
        parsed = flir.parse(block)
        return _flir(path, parsed, flir.counts(parsed), unit, 1, parameters)
    if (values := dji.counts(data)) is not None:
        if unit == "celsius":
            raise ThermalFileError(str(path), dji.NO_TEMPERATURES)
        if unit is None:
            warnings.warn(f"{path}: counts, not temperatures. {dji.NO_TEMPERATURES}", stacklevel=3)
        return ThermalImage(values, "counts", 1, "DJI radiometric JPEG")
    raise ThermalFileError(
        str(path),
        "neither a radiometric JPEG of FLIR or DJI nor a FLIR recording; gray levels of pictures"
        " are read by mmspec.datasets.read_infrared",
    )


def _flir(
    path: Path,
    block: flir.Frame,
    values: np.ndarray,
    unit: str | None,
    frames: int,
    parameters: dict[str, float],
) -> ThermalImage:
    source = "FLIR recording" if path.suffix.lower() in SUFFIXES else "FLIR radiometric JPEG"
    if unit is None and not flir.has_flyr():
        warnings.warn(
            f"{path}: counts, not temperatures; for these pip install 'mmspec[radiometric]'",
            stacklevel=4,
        )
        unit = "counts"
    if unit == "counts":
        return ThermalImage(values, "counts", frames, source)
    temperatures = flir.celsius(block, values, **parameters)
    if remark := flir.implausible(temperatures):
        warnings.warn(f"{path}: {remark}", stacklevel=4)
    return ThermalImage(temperatures, "celsius", frames, source)
