"""Files of a data set: finding them, and which belong together by their names alone."""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmengine.fileio import join_path

from mmspec.thermal.recordings import RECORDINGS

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
ALL_SUFFIXES = tuple(dict.fromkeys((*IMAGE_SUFFIXES, *RECORDINGS)))
_NAMED_AT_ONCE = 10


@dataclass(frozen=True)
class Fault:
    """A file, or a name in a list, that cannot be used, and why."""

    path: str
    reason: str


def named(faults: Sequence[Fault]) -> str:
    """The first faults for an error message, a line each, and how many there are beside."""
    lines = [f"\n  {fault.path}: {fault.reason}" for fault in faults[:_NAMED_AT_ONCE]]
    more = len(faults) - len(lines)
    return "".join(lines) + (f"\n  and {more:,} more" if more else "")


def without_suffix(path: str) -> str:
    """'a/00001D.png' gives 'a/00001D'; what follows a dot and is no suffix stays."""
    stem, suffix = os.path.splitext(path)
    return stem if suffix.lower() in ALL_SUFFIXES else path


def index_by_name(folder: str, paths: Iterable[str]) -> tuple[dict[str, str], list[Fault]]:
    """Full path of every file by its relative path without suffix, and names that occur twice."""
    index: dict[str, str] = {}
    faults = []
    for path in paths:
        name = without_suffix(path)
        full = join_path(folder, path)
        if name in index:
            faults.append(Fault(full, f"has the same name as {index[name]} but for the suffix"))
        else:
            index[name] = full
    return index, faults


def pair(
    found: Mapping[str, Mapping[str, str]],
    names: Iterable[str],
    folders: Mapping[str, str],
    listed_in: str = "",
) -> tuple[list[dict[str, str]], list[Fault]]:
    """Put together the files of each name.

    Args:
        found: for each role ('infrared image', 'label', ...) full paths by name.
        names: names to put together, in the order of the samples.
        folders: for each role the folder that was searched, for the faults.
        listed_in: file that lists the names, if there is one.

    Returns:
        For each complete name its path in every role; and what is missing for the others.
    """
    samples, faults = [], []
    for name in names:
        paths = {role: index[name] for role, index in found.items() if name in index}
        if len(paths) == len(found):
            samples.append(paths)
        elif paths:
            present, path = next(iter(paths.items()))
            absent = " and no ".join(f"{r} in {folders[r]}" for r in found if r not in paths)
            faults.append(Fault(path, f"{present} with no {absent}"))
        else:
            absent = " nor ".join(sorted(set(folders.values())))
            faults.append(Fault(f"{listed_in}: {name}", f"no file of this name in {absent}"))
    return samples, faults


def find_images(
    folder: str,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    left_out: Counter[str] | None = None,
) -> list[str]:
    """Paths of the images below ``folder``, relative to it, with '/', sorted.

    Suffixes count in any case, hidden files and folders do not, links are followed and each folder
    is entered once. A link named as an image that leads nowhere, or to itself, is listed, so that
    loading names it. ``left_out`` takes how many files there are of each other suffix.

    Raises:
        FileNotFoundError: No such local folder, or no image in it; says what else was found. Or a
            subfolder that cannot be read. Any other link that leads nowhere gives a warning, as
            there may be a folder of images missing behind it.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"no folder {folder!r}: check data_root and data_prefix (images on another storage"
            " backend than the local disk need an ann_file that lists them)"
        )
    images: list[str] = []
    others: Counter[str] = Counter() if left_out is None else left_out
    entered: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        below = pending.pop()
        path = os.path.join(folder, below)
        try:
            status = os.stat(path)
            with os.scandir(path) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError as error:
            raise FileNotFoundError(
                f"the folder {path!r} cannot be read ({error.strerror}): make it readable, or move"
                f" it out of {folder!r}"
            ) from None
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        subfolders = []
        for entry in entries:
            relative = f"{below}/{entry.name}" if below else entry.name
            suffix = os.path.splitext(entry.name)[1].lower()
            if _is_folder(entry):
                subfolders.append(relative)
            elif suffix in suffixes:
                images.append(relative)
            else:
                others[suffix or "no suffix"] += 1
                if entry.is_symlink() and not os.path.exists(entry.path):
                    warnings.warn(
                        f"{entry.path} is a link that leads nowhere or to itself: if it stands for"
                        " a folder of images, they are missing",
                        stacklevel=2,
                    )
        pending.extend(sorted(subfolders, reverse=True))
    if not images:
        found = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(8))
        raise FileNotFoundError(
            f"no images in {folder!r} or below: looked for {', '.join(suffixes)}, found"
            f" {found or 'no other files either'}"
        )
    return sorted(images)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()  # of most entries without a call to the file system
    except OSError:  # a link to itself
        return False
