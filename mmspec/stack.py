"""Which mm packages are installed: one family, complete and recent, or one clear message.

The same modules come from two families of distributions: OneDL (``onedl-mmcv``, maintained) and
OpenMMLab (``mmcv``, last released in 2024). pip knows nothing of that, so mmspec requires neither
and looks by itself, in the metadata of what is installed; no mm package is imported for it.
"""

import importlib.util
import re
from importlib import metadata
from pathlib import Path
from typing import NamedTuple


class StackError(ImportError):
    """The mm packages are missing, too old, or installed twice; the message holds the remedy."""


class Part(NamedTuple):
    """One mm module and the distributions that provide it, by family."""

    module: str
    minimum: str
    onedl: tuple[str, ...]
    openmmlab: tuple[str, ...]
    required: bool = True


# The minima are the oldest interfaces mmspec is written for; the versions it is tested with are in
# requirements/onedl.txt and requirements/openmmlab.txt.
PARTS = (
    Part("mmengine", "0.10", ("onedl-mmengine",), ("mmengine", "mmengine-lite")),
    Part("mmcv", "2.0", ("onedl-mmcv",), ("mmcv", "mmcv-lite", "mmcv-full")),
    Part("mmpretrain", "1.0", ("onedl-mmpretrain",), ("mmpretrain",)),
    Part("mmdet", "3.0", ("onedl-mmdetection",), ("mmdet",), required=False),
    Part("mmseg", "1.0", ("onedl-mmsegmentation",), ("mmsegmentation",), required=False),
)


def check() -> None:
    """Pass if every required mm package is there once and is recent enough.

    Raises:
        StackError: names each package at fault and the commands that put it right.
    """
    found = {part: _installed(part) for part in PARTS}
    for at_fault, problem in (
        (_listed_twice(found), "overwrite each other's files"),
        (_listed_old(found), "are too old for mmspec"),
    ):
        if at_fault:
            names = " ".join(name for versions in found.values() for name in versions)
            raise StackError(
                f"These mm packages {problem}:\n"
                + "".join(f"  {line}\n" for line in at_fault)
                + "Uninstall the mm packages and install one family of them again:\n"
                f"  pip uninstall -y {names}\n  {_install_command('onedl')}"
            )

    missing = [
        part
        for part, versions in found.items()
        if part.required and not versions and not _importable(part.module)
    ]
    if missing:
        raise StackError(
            "mmspec needs mmengine, mmcv and mmpretrain; not installed: "
            + f"{', '.join(part.module for part in missing)}.\n  {_complete(found, missing)}"
        )


def _installed(part: Part) -> dict[str, str]:
    """Versions of the installed distributions that provide the module, by distribution name."""
    versions = {}
    for name in part.onedl + part.openmmlab:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _importable(module: str) -> bool:
    """Whether a source checkout of the module, without metadata, is on the path."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def _listed_twice(found: dict[Part, dict[str, str]]) -> list[str]:
    return [
        " and ".join(f"{name} {version}" for name, version in versions.items())
        for versions in found.values()
        if len(versions) > 1
    ]


def _listed_old(found: dict[Part, dict[str, str]]) -> list[str]:
    return [
        f"{name} {version} (needed: {part.minimum} or newer)"
        for part, versions in found.items()
        for name, version in versions.items()
        if _release(version) < _release(part.minimum)
    ]


def _complete(found: dict[Part, dict[str, str]], missing: list[Part]) -> str:
    """The command that adds what is missing, in the family that is there."""
    installed = {name for versions in found.values() for name in versions}
    if not installed or installed & {name for part in PARTS for name in part.onedl}:
        return _install_command("onedl")
    if any(part.module == "mmcv" for part in missing):
        return _install_command("openmmlab")
    # The extra would put mmcv-lite over an mmcv with compiled operators.
    return "pip install " + " ".join(part.openmmlab[0] for part in missing)


def _install_command(family: str) -> str:
    """The pip command for a family, of a clone or of an installed mmspec."""
    clone = Path(__file__).resolve().parent.parent
    if (clone / "pyproject.toml").is_file():
        return f'pip install -e "{clone}[{family}]"'
    return f'pip install "mmspec[{family}]"'


def _release(version: str) -> tuple[int, ...]:
    """Leading numbers of a version: ``2.1.0rc1`` gives (2, 1, 0)."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in numbers[0].split(".")) if numbers else ()
