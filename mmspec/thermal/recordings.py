"""FLIR's recordings: frames of counts, one FFF block after the other."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from . import flir
from .errors import UnreadableImageError
from .image import ThermalImage

_log = logging.getLogger(__name__)
SUFFIXES = (".seq", ".csq", ".fff")


class FlirRecording:
    """The frames of SEQ (counts as they are) and CSQ (JPEG-LS) files, read one at a time.

    A last frame that is cut is warned of and left out.

    Raises:
        UnreadableImageError: the file cannot be opened, or holds no whole frame.
    """

    rate = 30.0  # frames a second of most cameras; the file does not tell

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        try:
            with open(path, "rb") as file:
                self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # the latter of an empty file
            raise UnreadableImageError.of(self.path, f"cannot be opened ({error})") from None
        view = memoryview(self.data)
        self.starts, start = [], 0
        while start < len(view):
            try:
                end = start + flir.parse(view, start).length
            except UnreadableImageError as error:
                self._cut(start, error.reason)
                break
            if end > len(view):
                self._cut(start, f"{end - len(view):,} bytes of it are missing")
                break
            self.starts.append(start)
            start = end

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[np.ndarray]:
        for index in range(len(self)):
            yield self.counts(index)

    def _cut(self, start: int, reason: str) -> None:
        if not self.starts:
            raise UnreadableImageError.of(self.path, f"no whole FLIR frame: {reason}")
        _log.warning(
            "%s: frame %d, at byte %d, is not whole (%s): it and what follows are left out",
            *(self.path, len(self.starts), start, reason),
        )

    def block(self, index: int) -> flir.Frame:
        """The FFF block of a frame, counted from the end if negative.

        Raises:
            UnreadableImageError: there are fewer frames.
        """
        if not -len(self) <= index < len(self):
            raise UnreadableImageError.of(self.path, f"no frame {index}: it has {len(self)}")
        return flir.parse(memoryview(self.data), self.starts[index])

    def counts(self, index: int) -> np.ndarray:
        """The sensor's counts of a frame, (H, W) uint16.

        Raises:
            UnreadableImageError: it cannot be decoded.
        """
        block = self.block(index)
        try:
            return flir.counts(block)
        except UnreadableImageError as error:
            raise UnreadableImageError.of(self.path, f"frame {index}: {error.reason}") from None

    def image(
        self, index: int, unit: str | None, parameters: Mapping[str, float] = {}
    ) -> ThermalImage:
        """A frame in a unit, see :func:`mmspec.read_thermal`."""
        if unit == "gray":
            raise UnreadableImageError.of(self.path, "no picture in it: read unit='counts'")
        values, block = self.counts(index), self.block(index)
        return flir.image(block, values, unit, parameters, "FLIR recording", len(self))
