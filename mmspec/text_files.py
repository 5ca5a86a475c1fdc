"""Read text, lists of names and JSON that people and labelling programs wrote.

UTF-8 with or without a byte-order mark, UTF-16 and UTF-32 are read. Older encodings cannot be told
apart, and a wrong guess alters names in silence: they are refused by the file's name.

Readers take ``backend_args`` of mmengine's file backend, and raise OSError where a file cannot be
opened, TextFileError where it cannot be used.
"""

import json
import logging
import os
from collections.abc import Iterable
from typing import Any

from mmengine import fileio
from mmengine.logging import print_log

_FLAGS = dict.fromkeys(("1", "1.0", "true", "yes"), True) | dict.fromkeys(
    ("0", "0.0", "false", "no", "none", ""), False
)


class TextFileError(ValueError):
    """A text file that cannot be used; the message names it and what is wrong."""


def read_text(path: str | os.PathLike, backend_args: dict | None = None) -> str:
    """The text of a file, without a byte-order mark."""
    try:
        return _decode(fileio.get(path, backend_args=backend_args))
    except ValueError as error:
        raise TextFileError(f"{path}: {error}") from None


def read_lines(path: str | os.PathLike, backend_args: dict | None = None) -> list[str]:
    """The lines of a text file, whatever ends them.

    Unlike ``str.splitlines`` it leaves names with a form feed or a Unicode line separator whole.
    """
    text = read_text(path, backend_args).replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n") if text else []


def read_names(path: str | os.PathLike, backend_args: dict | None = None) -> list[str]:
    """What the lines of a list hold, without blank ones, spaces around it and ``find``'s ``./``.

    A name may stand there twice, see :func:`each_once`.
    """
    lines = read_lines(path, backend_args)
    return [name for line in lines if (name := line.strip().removeprefix("./"))]


def each_once(names: Iterable[str], listed_in: str | os.PathLike) -> list[str]:
    """Names in their order, each once; a warning in the log counts and names what was repeated.

    Args:
        names: as the samples are found by them, so after suffixes are cut off.
        listed_in: the list, for the warning.
    """
    kept: dict[str, str] = {}
    repeated = []
    for name in names:
        same = os.path.normpath(name)  # 'a/b', './a/b' and 'a//b' are one file
        if same in kept:
            repeated.append(name)
        kept.setdefault(same, name)
    if repeated:
        print_log(
            f"{listed_in}: {len(repeated):,} of {len(kept) + len(repeated):,} entries repeat a"
            f" name, the first is {repeated[0]}; each counts once",
            logger="current",
            level=logging.WARNING,
        )
    return list(kept.values())


def read_json(path: str | os.PathLike, backend_args: dict | None = None) -> Any:
    """The content of a JSON file."""
    try:
        return json.loads(_decode(fileio.get(path, backend_args=backend_args)))
    except (ValueError, RecursionError) as error:
        raise TextFileError(f"{path}: not a JSON file ({error})") from None


def read_json_lines(path: str | os.PathLike, backend_args: dict | None = None) -> list:
    """The content of a file with JSON in each line, as logs are."""
    entries = []
    for number, line in enumerate(read_lines(path, backend_args), start=1):
        try:
            entries.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise TextFileError(f"{path}: line {number} is not JSON ({error})") from None
    return entries


def as_flag(value: Any) -> bool:
    """Whether a mark such as ``iscrowd`` or ``difficult`` is set, written as number or as text.

    Raises:
        ValueError: It is neither yes nor no.
    """
    flag = _FLAGS.get(str(value).strip().lower())
    if flag is None:
        raise ValueError(f"{value!r} is neither 0 nor 1")
    return flag


def _decode(data: bytes | memoryview) -> str:
    data = bytes(data)
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"line {line} is not {error.encoding} (byte {error.object[error.start]:#04x}); save the"
            " file as UTF-8, such as by iconv -f ITS_ENCODING -t UTF-8"
        ) from None
    if "\0" in text:
        raise ValueError("holds bytes of value 0, so it is no text file")
    return text.removeprefix("\ufeff")
