"""Files of a data set: finding them, and which belong together by their names alone."""

import os
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mmengine.fileio import join_path
from mmengine.logging import print_log

from mmspec.thermal.errors import FileError
from mmspec.thermal.recordings import RECORDINGS

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
ALL_SUFFIXES = tuple(dict.fromkeys((*IMAGE_SUFFIXES, *RECORDINGS)))
_NAMED_AT_ONCE = 10
_TELL_EVERY = 5  # seconds of a search


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


def by_suffix(counts: Counter[str]) -> str:
    """Counts in words, by suffix, those beyond the eight most frequent in one."""
    told = [f"{count:,} {suffix}" for suffix, count in counts.most_common(8)]
    if rest := sum(count for _, count in counts.most_common()[8:]):
        told.append(f"{rest:,} others")
    return ", ".join(told)


def without_suffix(path: str) -> str:
    """'a/00001D.png' gives 'a/00001D'; what follows a dot and is no suffix stays."""
    stem, suffix = os.path.splitext(path)
    return stem if suffix.lower() in ALL_SUFFIXES else path


def index_by_name(folder: str, paths: Iterable[str]) -> tuple[dict[str, str], list[Fault]]:
    """Full path of every file by its relative path without suffix, and names that occur twice."""
    index: dict[str, str] = {}
    faults, prefix = [], join_path(folder, "")
    for path in paths:
        name, full = without_suffix(path), prefix + path
        if name in index:
            faults.append(Fault(full, f"has the same name as {index[name]} but for the suffix"))
        else:
            index[name] = full
    return index, faults


def find_by_end(
    names: Iterable[str], paths: Iterable[str], listed_in: str, longer: bool = False
) -> dict[str, str]:
    """The path that each name means; its first folders may be left out, suffixes do not count.

    One rule: the path that equals the name; else the path that ends in it, as 'data/a/1.png' does
    in 'a/1'; else, if names may be ``longer``, the longest path that the name ends in.

    Args:
        names: of images, in a list or of results.
        paths: of the images that may be meant.
        listed_in: what holds the names, for errors.
        longer: names may have folders that the paths lack, as those of another program's file.

    Returns:
        A path by name. A name that no path fits is not in it.

    Raises:
        FileError: two paths fit a name alike.
    """
    whole: dict[str, list[str]] = {}
    by_end: dict[str, list[str]] = {}
    for path in paths:
        stem, *ends = _ends(path)
        whole.setdefault(stem, []).append(path)
        for end in ends:
            by_end.setdefault(end, []).append(path)
    found = {}
    for name in names:
        stem, *ends = _ends(name)
        fits = whole.get(stem) or by_end.get(stem) or ()
        if longer and not fits:
            fits = next(filter(None, map(whole.get, ends)), ())
        if len(fits) > 1:
            raise FileError(
                f"{listed_in}: {name} may be {fits[0]} or {fits[1]}; write more of its path"
            )
        if fits:
            found[name] = fits[0]
    return found


def _ends(path: str) -> list[str]:
    """'a/1.png' gives 'a/1' and '1'."""
    parts = without_suffix(path).split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]


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
    """A list of what :func:`walk_images` gives."""
    return list(walk_images(folder, suffixes, left_out))


def walk_images(
    folder: str,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    left_out: Counter[str] | None = None,
) -> Iterator[str]:
    """Paths of the images below ``folder``, relative to it, with '/', sorted.

    Suffixes count in any case, hidden files and folders do not, links are followed and each folder
    is entered once. A link named as an image that leads nowhere, or to itself, is listed, so that
    loading names it. ``left_out`` takes how many files there are of each other suffix. Of a million
    images the names of one folder at a time are in memory; the log tells of a long search.

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
    others: Counter[str] = Counter() if left_out is None else left_out
    entered: set[tuple[int, int]] = set()
    found, told = 0, time.monotonic()
    pending = ["/"]  # the next one last; folders end with '/', so that whole paths are in order
    while pending:
        relative = pending.pop()
        if not relative.endswith("/"):
            yield relative
            continue
        below, path = relative.lstrip("/"), os.path.join(folder, relative.strip("/"))
        here = []
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(path) as listing:
                for entry in listing:
                    name = entry.name
                    if name.startswith("."):
                        continue
                    suffix = os.path.splitext(name)[1].lower()
                    if _is_folder(entry):
                        here.append(f"{below}{name}/")
                    elif suffix in suffixes:
                        here.append(below + name)
                        found += 1
                    else:
                        others[suffix or "no suffix"] += 1
                        _warn_of_lost_link(entry)
                    if time.monotonic() > told + _TELL_EVERY:
                        told = time.monotonic()
                        print_log(f"{found:,} images found in {folder} so far", "current")
        except OSError as error:
            raise FileNotFoundError(
                f"the folder {path!r} cannot be read ({error.strerror}): make it readable, or move"
                f" it out of {folder!r}"
            ) from None
        here.sort(reverse=True)
        pending += here
    if not found:
        listed = by_suffix(others)
        raise FileNotFoundError(
            f"no images in {folder!r} or below: looked for {', '.join(suffixes)}, found"
            f" {listed or 'no other files either'}"
        )


def _warn_of_lost_link(entry: os.DirEntry) -> None:
    if entry.is_symlink() and not os.path.exists(entry.path):
        warnings.warn(
            f"{entry.path} is a link that leads nowhere or to itself: if it stands for a folder of"
            " images, they are missing",
            stacklevel=2,
        )


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()  # of most entries without a call to the file system
    except OSError:  # a link to itself
        return False
