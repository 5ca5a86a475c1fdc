"""Recordings: files of frames, counted when they are opened, each frame read by its number.

A frame's name is its file's with the number, from 0, behind a hash: ``clip.seq#12``. A reader of
another kind of recording is a :class:`Recording` that is found by its suffix in ``RECORDINGS``.
"""

import logging
import math
import mmap
import os
import re
import threading
import weakref
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import tifffile

from . import flir, tiff
from .errors import UnreadableImageError

_log = logging.getLogger(__name__)
SUFFIXES = (".seq", ".csq", ".fff")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".mpg", ".webm")
#: Videos whose header counts their frames; the others' would be a guess from their duration.
_COUNTED = (".mp4", ".avi", ".mov", ".m4v")
_NEAR = 16  # frames that are passed rather than sought
_OPEN_AT_ONCE = 8
_PATIENCE = 20_000  # milliseconds that OpenCV may take for a frame; damaged files can stall it
_LARGEST_NPZ = 1 << 30  # bytes of a compressed array, which is held in memory


class Recording:
    """A file's frames: ``len()``, ``frame(index)``, ``content(index)``, ``seconds(index)``, and an
    iterator over them.

    Attributes:
        path: the file.
        rate: frames a second; None where the file does not tell.
    """

    rate: float | None = None

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._state = _state(self.path)

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self.frame, range(len(self)))

    def frame(self, index: int) -> np.ndarray:
        """Pixels (H, W) or (H, W, 3), blue first, of any depth.

        Raises:
            UnreadableImageError: there are fewer frames, it cannot be decoded, or the file was
                written to since it was opened.
        """
        number = self._number(index)
        try:
            return self._decode(number)
        except Exception as error:  # on damaged bytes decoders raise whatever they trip over
            reason = getattr(error, "reason", f"damaged ({type(error).__name__}: {error})")
            raise UnreadableImageError.of(f"{self.path}#{index}", reason) from None

    def seconds(self, index: int) -> float | None:
        """When a frame was taken, from the start of the recording; None where nothing tells."""
        return self._number(index) / self.rate if self.rate else None

    def content(self, index: int) -> np.ndarray | bytes:
        """What :func:`mmspec.thermal.read.decode` takes of a frame: its pixels, or its bytes."""
        return self.frame(index)

    def _number(self, index: int) -> int:
        """From 0, of a frame that is counted from the end if negative; errors as of `frame`."""
        if not -len(self) <= index < len(self):
            raise UnreadableImageError.of(self.path, f"no frame {index}: it has {len(self)}")
        # Of a mapped file that has become shorter the process would die.
        if _state(self.path) != self._state:
            raise UnreadableImageError.of(self.path, "changed since it was opened: open it anew")
        return index % len(self)

    def _decode(self, index: int) -> np.ndarray:
        raise NotImplementedError


class FlirRecording(Recording):
    """The frames of SEQ (counts as they are) and CSQ (JPEG-LS) files, read one at a time.

    A last frame that is cut is warned of and left out.

    Raises:
        UnreadableImageError: the file cannot be opened, or holds no whole frame.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
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

    def _cut(self, start: int, reason: str) -> None:
        if not self.starts:
            raise UnreadableImageError.of(self.path, f"no whole FLIR frame: {reason}")
        _log.warning(
            "%s: frame %d, at byte %d, is not whole (%s): it and what follows are left out",
            *(self.path, len(self.starts), start, reason),
        )

    def block(self, index: int) -> flir.Frame:
        """The FFF block of a frame; arguments and errors as of :meth:`frame`."""
        return flir.parse(memoryview(self.data), self.starts[self._number(index)])

    def _decode(self, index: int) -> np.ndarray:
        """The sensor's counts, (H, W) uint16."""
        return flir.counts(self.block(index))

    def content(self, index: int) -> bytes:
        """The block, whose constants turn its counts into temperatures."""
        block = self.block(index)
        return bytes(block.data[: block.length])


class TiffFrames(Recording):
    """Pages of a TIFF that have the size of its first one and are no thumbnail and no mask.

    Pixels without a measurement are NaN, of 8 bits masked.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        try:
            self.file = tifffile.TiffFile(self.path)
            self.pages = tiff.frames(self.file)
        except Exception as error:  # on damaged bytes it raises whatever it trips over
            raise UnreadableImageError.of(self.path, f"no TIFF ({error})") from None
        # Its pages refer to it, so that it would stay open until such circles are looked for.
        weakref.finalize(self, self.file.close)

    def __len__(self) -> int:
        return len(self.pages)

    def _decode(self, index: int) -> np.ndarray:
        pixels, absent, *_ = tiff.decode_page(self.file, self.pages[index], self.path)
        if absent is None:
            return pixels
        if pixels.dtype == np.uint8:  # which has no NaN
            mask = absent if pixels.ndim == 2 else np.repeat(absent[..., None], pixels.shape[2], 2)
            return np.ma.MaskedArray(pixels, mask)
        pixels = pixels.astype(np.float32)
        pixels[absent] = np.nan
        return pixels


class VideoFrames(Recording):
    """Frames of a video file by OpenCV: (H, W, 3) uint8, blue first, or (H, W) uint16.

    The latter are those of lossless codecs (FFV1), which OpenCV would cut to 8 bits without a word.

    A frame is found by its time, which is noted when it is passed first: OpenCV seeks by number as
    if the rate were constant, which it is not where a camera pauses (for its shutter, say).
    Matroska, WebM and MPEG files do not state how many frames they hold, and are passed once; so
    are others whose last frame OpenCV does not find: their headers may count frames that were
    dropped, or that an edit list hides.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._times = _times_of(self.path, threading.get_ident(), self._state)
        self._open()
        self.rate = float(self.video.get(cv2.CAP_PROP_FPS)) or None
        if self._times.total is None:
            self._times.total = self._count()
        if self._times.total == 0:
            raise UnreadableImageError.of(self.path, "a video of no frames")

    def __len__(self) -> int:
        return self._times.total

    def seconds(self, index: int) -> float | None:
        """As of any recording; passes the frames up to this one if they were not passed yet."""
        number = self._number(index)
        if number >= len(self._times):
            self._reach(number)
        return self._times.seconds(number)

    def _count(self) -> int:
        stated = max(0, int(self.video.get(cv2.CAP_PROP_FRAME_COUNT)))
        counted = self.path.lower().endswith(_COUNTED)
        if counted and stated:
            if _is_cut(self.path):  # which is told where its frames end
                return stated
            self.video.set(cv2.CAP_PROP_POS_FRAMES, stated - 1)
            found = self.video.grab()
            self._open()
            if found:
                return stated
        while self._grab():
            pass
        if not counted:
            self._warn_if_cut(stated)
        elif len(self._times) != stated:
            _log.warning(
                "%s: its header counts %d frames, of which %d can be read: the others were dropped,"
                " are hidden by an edit list, or damaged",
                *(self.path, stated, len(self._times)),
            )
        return len(self._times)

    def _open(self) -> None:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
        given = [number for limit in limits for number in (limit, _PATIENCE)]
        # Threads of a decoder do not live on in a forked worker, which would wait for them.
        given += [cv2.CAP_PROP_N_THREADS, 1]
        self.video = cv2.VideoCapture(self.path, cv2.CAP_FFMPEG, given)
        if not self.video.isOpened():
            self.video = cv2.VideoCapture(self.path)  # what another library of OpenCV's reads
        if not self.video.isOpened():
            raise UnreadableImageError.of(self.path, "not a video that OpenCV can read")
        pixel_format = int(self.video.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)) & 0xFFFFFFFF
        tag = pixel_format.to_bytes(4, "little")  # FFmpeg's; of gray of 9 to 16 bits they end it
        if tag.startswith(b"Y1"):
            if tag[3] != 16:
                raise UnreadableImageError.of(
                    self.path,
                    f"gray of {tag[3]} bits, which OpenCV garbles: write it as 16 bits (ffmpeg -i"
                    " FILE -c:v ffv1 -pix_fmt gray16le NEW.mkv)",
                )
            self.video.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        self._next = 0  # the frame behind the one that was grabbed last

    def _warn_if_cut(self, stated: int) -> None:
        """Warn of a file whose frames end long before the length that its header states."""
        if self.rate and self._times and self._times.distinct:
            end, length = self._times[-1] / 1000, stated / self.rate
            if length - end > max(1.0, 2 / self.rate):
                _log.warning(
                    "%s: its frames end at %.1f of %.1f s: cut short, damaged, or a last pause",
                    *(self.path, end, length),
                )

    def _decode(self, index: int) -> np.ndarray:
        found, pixels = self.video.retrieve() if self._reach(index) else (False, None)
        if not found:
            self._open()
            raise UnreadableImageError(
                f"ends after {index:,} of {len(self):,} frames: cut short or damaged"
            )
        return pixels

    def _reach(self, index: int) -> bool:
        """Grab a frame; False if they end before."""
        known = min(index, len(self._times) - 1)
        far = known - self._next > _NEAR and self._times.distinct
        if far or index < self._next - 1:
            self._seek(known)
        found = True
        while found and self._next <= index:
            found = self._grab()
        return found

    def _grab(self) -> bool:
        if not self.video.grab():
            self._open()  # behind the end nothing is handed out, not even the frame grabbed last
            return False
        if self._next == len(self._times):
            self._times.append(self.video.get(cv2.CAP_PROP_POS_MSEC))
        self._next += 1
        return True

    def _seek(self, known: int) -> None:
        """Go to a frame whose time is known, or to one before it."""
        back = 0
        while self._times.distinct and known > back:
            self.video.set(cv2.CAP_PROP_POS_MSEC, self._times[known - back])
            if not self.video.grab():
                break
            place = self._times.numbers.get(self.video.get(cv2.CAP_PROP_POS_MSEC))
            if place is not None and place <= known:
                self._next = place + 1
                return
            back = 2 * back + 8
        self._open()


class _Times(list):
    """Milliseconds of a video's frames, as far as they have been passed.

    Attributes:
        numbers: the frame of a time.
        total: how many frames there are; None until they are counted.
    """

    total: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[float, int] = {}
        self._seconds: list[float | None] = []
        self._latest = -math.inf

    def append(self, time: float) -> None:
        self.numbers[time] = len(self)
        super().append(time)
        self._seconds.append(time / 1000 if time > self._latest else None)
        self._latest = max(self._latest, time)

    def seconds(self, number: int) -> float | None:
        """None of a frame that was not passed, or is no later than one before it.

        AVI holds no times: of its frames out of order OpenCV makes some up.
        """
        return self._seconds[number] if number < len(self) else None

    @property
    def distinct(self) -> bool:
        """Whether each frame has a time of its own: not every stream has times."""
        return len(self.numbers) == len(self)


@lru_cache(maxsize=1024)
def _times_of(path: str, thread: int, state: tuple[int, ...] | None) -> _Times:
    """One list a file and thread, which processes that are forked start with."""
    return _Times()


def _is_cut(path: str) -> bool:
    """Whether a file ends inside a part that it begins: a box of MP4, a RIFF list of AVI."""
    place, size = 0, os.path.getsize(path)
    with open(path, "rb") as file:
        while place + 16 <= size:
            file.seek(place)
            head = file.read(16)
            if head.startswith(b"RIFF"):
                length = 8 + int.from_bytes(head[4:8], "little")
            elif (length := int.from_bytes(head[:4], "big")) == 1:  # it does not fit into 4 bytes
                length = int.from_bytes(head[8:], "big")
            if length < 8:  # the last one, without a length
                return False
            place += length
    return place > size


def is_one_image(shape: tuple[int, ...]) -> bool:
    """Whether an array is (H, W) or (H, W, 1 to 4), and not a stack of such."""
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] <= 4)


class Celsius(np.ndarray):
    """Pixels of an array whose name tells their unit."""


class ArrayFrames(Recording):
    """Frames of a .npy, or of a .npz with one array: (N, H, W), or (N, H, W, 1 to 4), blue first.

    Their count stands in the header. A .npy is read frame by frame; a .npz, which is one compressed
    stream, as a whole when a frame is asked for.
    """

    celsius = False

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.array = None
        try:
            if zipfile.is_zipfile(self.path):
                with zipfile.ZipFile(self.path) as archive:
                    names = archive.namelist()
                    if len(names) != 1:
                        shown = ", ".join(name.removesuffix(".npy") for name in names)
                        reason = f"{len(names)} arrays ({shown}): give one a file"
                        raise UnreadableImageError(reason)
                    self.celsius = names == ["celsius.npy"]
                    with archive.open(names[0]) as file:
                        version, _ = np.lib.format.read_magic(file)
                        header = getattr(np.lib.format, f"read_array_header_{version}_0")
                        shape, _, dtype = header(file)
            else:
                self.array = np.load(self.path, mmap_mode="r", allow_pickle=False)
                shape, dtype = self.array.shape, self.array.dtype
        except Exception as error:  # on damaged bytes it raises whatever it trips over
            reason = getattr(error, "reason", f"no NumPy file ({type(error).__name__}: {error})")
            raise UnreadableImageError.of(self.path, reason) from None
        if dtype.kind not in "uif" or len(shape) not in (2, 3, 4) or 0 in shape:
            raise UnreadableImageError.of(self.path, f"no frames: an array {shape} of {dtype}")
        self.shape = (1, *shape) if is_one_image(shape) else shape
        self.bytes = int(np.prod(shape)) * dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def content(self, index: int) -> np.ndarray:
        frame = self.frame(index)
        return frame.view(Celsius) if self.celsius else frame

    def _decode(self, index: int) -> np.ndarray:
        if self.array is None:
            if self.bytes > _LARGEST_NPZ:
                raise UnreadableImageError(
                    f"{self.bytes / 2**30:.1f} GiB in one compressed stream: save it as .npy"
                )
            (self.array,) = np.load(self.path, allow_pickle=False).values()
        return np.array(self.array.reshape(self.shape)[index])


RECORDINGS: dict[str, type[Recording]] = {
    **dict.fromkeys(SUFFIXES, FlirRecording),
    **dict.fromkeys(VIDEOS, VideoFrames),
    **dict.fromkeys((".npy", ".npz"), ArrayFrames),
    **dict.fromkeys(tiff.SUFFIXES, TiffFrames),
}
_FRAME = re.compile(rf"(.+(?:{'|'.join(map(re.escape, RECORDINGS))}))#(\d+)", re.IGNORECASE)


def open_recording(path: str | Path) -> Recording | None:
    """The frames of a file; None of a still image: of another kind, or a TIFF or array of one.

    Raises:
        UnreadableImageError: it cannot be opened, or is damaged. A TIFF is a still image then,
            whose fault shows when it is read.
    """
    path = str(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in RECORDINGS:
        return None
    if not os.path.isfile(path):  # a pipe would be waited for
        reason = "no regular file" if os.path.exists(path) else "no such file"
        raise UnreadableImageError.of(path, reason)
    try:
        found = RECORDINGS[suffix](path)
    except UnreadableImageError:
        if suffix in tiff.SUFFIXES:
            return None
        raise
    return None if isinstance(found, TiffFrames | ArrayFrames) and len(found) == 1 else found


def split_frame(name: str) -> tuple[str, int] | None:
    """File and number of a frame's name, ``clip.seq#12``; None of the name of a still image."""
    found = _FRAME.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def read_frame(name: str) -> np.ndarray | bytes | None:
    """The content of ``clip.seq#12``; None of the name of a still image.

    A thread keeps the recordings open that were read last.

    Raises:
        UnreadableImageError: see :meth:`Recording.frame`.
    """
    frame = split_frame(name)
    if frame is None:
        return None
    path, index = frame
    recording = kept_open(path)
    if recording is None:
        raise UnreadableImageError.of(path, "a still image, or no TIFF: it has no frames")
    return recording.content(index)


def kept_open(path: str) -> Recording | None:
    """As :func:`open_recording`, for one that is read again: the last few stay open."""
    # By process and thread: they would share the place in the file.
    return _opened(path, os.getpid(), threading.get_ident(), _state(path))


@lru_cache(maxsize=_OPEN_AT_ONCE)
def _opened(
    path: str, process: int, thread: int, state: tuple[int, ...] | None
) -> Recording | None:
    return open_recording(path)


def _state(path: str) -> tuple[int, ...] | None:
    """Tells a file that was written anew; None of none, which is told by its reader."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
