"""What is predicted on: image files, folders, globs, arrays, recordings, and pairs of them.

Recordings are read frame by frame (:mod:`mmspec.thermal.recordings`).
"""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from mmspec.conventions import MODALITIES
from mmspec.datasets.files import ALL_SUFFIXES, Fault, find_images
from mmspec.datasets.image_io import UnreadableImageError
from mmspec.datasets.rgbt_folder import match_pairs
from mmspec.thermal.recordings import kept_open, read_frame

#: A path, a folder, a glob, or pixels: (H, W) or (H, W, 1 to 4), blue first, of any depth.
One = str | PathLike | np.ndarray


@dataclass(frozen=True)
class Frame:
    """An image, or an aligned pair of images, still unread."""

    name: str  # of its results: a path without suffix, unique among the inputs
    files: tuple[str, ...]  # what messages call the image, or the infrared and the visible image
    pixels: tuple[np.ndarray | bytes, ...] = ()  # in place of the files: arrays, of FLIR blocks
    recording: str = ""  # the recording it is from, '' of a still image
    index: int = 0  # its number in the recording
    rate: float | None = None  # of the recording, frames a second, where its file tells
    seconds: float | None = None  # when it was taken, from the recording's start, likewise


@dataclass(frozen=True)
class _Found:
    """A recording, or a pair of them, that is opened when its frames are asked for."""

    name: str
    files: tuple[str, ...]
    lengths: tuple[int, ...]  # in frames


class InputError(ValueError):
    """Inputs that are not there or that the model does not take; the message has the way out."""


class Inputs:
    """The frames of what a user named, one after the other; its length counts them.

    Args:
        given: a path, a folder (searched with its subfolders), a glob, pixels, or a list of these
            (an iterator too, which is taken one by one and has no length); for ``sides=2`` a pair
            (infrared, visible) of files, arrays or folders, or a list of pairs. Of two folders the
            images and recordings with the same path but for the suffix are pairs.
        sides: images that the model takes: 1, or 2 for aligned pairs.
        broken, and what is raised: see :meth:`Predictor.predict`.
    """

    def __init__(
        self, given: One | Sequence, sides: int = 1, broken: list[Fault] | None = None
    ) -> None:
        self.broken = broken
        self._names: set[str] = set()
        self._folders: set[str] = set()
        self._recordings: set[str] = set()
        found = self._found(given, sides)
        self._found_ones = found if isinstance(given, Iterator) else list(found)

    def __len__(self) -> int:
        if isinstance(self._found_ones, Iterator):
            raise TypeError("an iterator's inputs cannot be counted")
        found = self._found_ones
        return sum(1 if isinstance(one, Frame) else min(one.lengths) for one in found)

    def __iter__(self) -> Iterator[Frame]:
        for one in self._found_ones:
            yield from [one] if isinstance(one, Frame) else self._frames(one)

    def fault(self, error: UnreadableImageError, path: str) -> None:
        """Note what cannot be used, or raise."""
        if self.broken is None:
            raise error
        self.broken.append(Fault(path, error.reason))

    def _frames(self, found: _Found) -> Iterator[Frame]:
        if len(set(found.lengths)) > 1:
            counts = " and ".join(f"{length:,}" for length in found.lengths)
            reason = f"{counts} frames, the surplus is left out"
            files = " and ".join(found.files)
            self.fault(UnreadableImageError.of(files, reason), found.files[0])
        length, last_broken = min(found.lengths), None
        for i in range(length):
            called = tuple(f"{file}#{i}" for file in found.files)
            try:
                pixels = tuple(map(read_frame, called))
                first = kept_open(found.files[0])
            except UnreadableImageError as error:
                if last_broken != i - 1:
                    self.fault(error, called[0])
                    last_broken = i
                    continue
                # A second in a row: the recording is cut, and every further frame would be one.
                reason = f"{error.reason}; {length - i:,} frames from here on are left out"
                self.fault(UnreadableImageError.of(called[0], reason), called[0])
                return
            name = found.name
            yield Frame(f"{name}/{i:06d}", called, pixels, name, i, first.rate, first.seconds(i))

    def _found(self, given: One | Sequence, sides: int) -> Iterator[Frame | _Found]:
        for one in given if isinstance(given, list | Iterator) else [given]:
            pair = one if isinstance(one, tuple) else (one,)
            if sides == 2 and len(pair) != 2:
                raise InputError(
                    f"{_called(one)}: the model takes aligned pairs; give (infrared, visible),"
                    " on the command line INFRARED --visible VISIBLE"
                )
            if sides == 1 and pair is one:
                raise InputError(f"{one[0]} and {one[-1]}: a pair, and the model takes one image")
            if all(isinstance(side, np.ndarray) for side in pair):
                files = ("infrared array", "visible array") if sides == 2 else ("array",)
                yield Frame(self._unique(f"array_{len(self._names):06d}"), files, pair)
            elif sides == 2:
                yield from self._pairs(dict(zip(MODALITIES, map(str, pair))))
            else:
                for path, root in _files(str(one)):
                    yield from self._named(os.path.relpath(path, root), (path,))

    def _pairs(self, given: dict[str, str]) -> Iterator[Frame | _Found]:
        if absent := [path for path in given.values() if not os.path.exists(path)]:
            raise InputError(f"{' and '.join(absent)}: no such file or folder")
        folders = [os.path.isdir(path) for path in given.values()]
        if all(folders):
            pairs, faults = match_pairs(given, find=_images)
            for fault in faults:
                self.fault(UnreadableImageError.of(fault.path, fault.reason), fault.path)
            for pair in pairs:
                yield from self._named(os.path.relpath(pair[0], given["infrared"]), pair)
        elif any(folders):
            raise InputError(f"{' and '.join(given.values())}: a file and a folder are no pair")
        else:
            yield from self._named(Path(given["infrared"]).name, tuple(given.values()))

    def _named(self, relative: str, files: tuple[str, ...]) -> Iterator[Frame | _Found]:
        """A still image or pair, or a recording or pair of them."""
        # Results lie in the folder for them, whatever the way to their image.
        stem = os.path.splitext(relative)[0]
        stem = "/".join(part for part in Path(stem).parts if part not in ("..", "/"))
        try:
            lengths = tuple(len(reader) for reader in map(kept_open, files) if reader is not None)
        except UnreadableImageError as error:
            self.fault(error, files[0])
            return
        if lengths and len(lengths) < len(files):
            raise InputError(f"{' and '.join(files)}: a recording and a still image are no pair")
        name = self._unique(stem, relative, recording=bool(lengths))
        yield _Found(name, files, lengths) if lengths else Frame(name, files)

    def _unique(self, stem: str, relative: str = "", recording: bool = False) -> str:
        """The stem, or else the whole name, or else with a number.

        A recording's frames lie in a folder of its name, in which no other image may lie.
        """
        name, number = stem, 1
        while (
            name in self._names
            or (recording and name in self._folders)
            or not self._recordings.isdisjoint(_parents(name))
        ):
            name = relative if number == 1 and relative else f"{stem}_{number}"
            number += 1
        self._names.add(name)
        self._folders.update(_parents(name))
        if recording:
            self._recordings.add(name)
        return name


def _files(path: str) -> Iterable[tuple[str, str]]:
    """Files that a path, folder or glob stands for, each with the folder its name starts from."""
    if os.path.isdir(path):
        return [(os.path.join(path, name), path) for name in _images(path)]
    if os.path.isfile(path):
        return [(path, os.path.dirname(path) or ".")]
    if glob.has_magic(path):
        parts = Path(path).parts
        fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        root = str(Path(*parts[:fixed])) if fixed else "."
        if found := sorted(filter(os.path.isfile, glob.glob(path, recursive=True))):
            return [(one, root) for one in found]
    raise InputError(f"{path}: no such file or folder, and nothing matches it as a pattern")


def _images(folder: str) -> list[str]:
    return find_images(folder, ALL_SUFFIXES)


def _called(given: object) -> str:
    if isinstance(given, np.ndarray):
        return f"an array of shape {given.shape}"
    return str(given) if isinstance(given, str | PathLike) else f"{type(given).__name__}"


def _parents(name: str) -> set[str]:
    return {str(folder) for folder in PurePosixPath(name).parents} - {"."}
