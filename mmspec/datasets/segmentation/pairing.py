"""Which images and labels belong together, by the names of their files alone."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmengine.fileio import join_path

from mmspec.datasets.infrared_folder import IMAGE_SUFFIXES

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
    """'a/00001D.png' gives 'a/00001D'; what follows a dot and is no image suffix stays."""
    stem, suffix = os.path.splitext(path)
    return stem if suffix.lower() in IMAGE_SUFFIXES else path


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
        found: For each role ('infrared image', 'label', ...) full paths by name.
        names: Names to put together, in the order of the samples.
        folders: For each role the folder that was searched, for the faults.
        listed_in: File that lists the names, if there is one.

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
