"""Readers of the boxes of one image: Pascal VOC XML, YOLO text and KAIST's text."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmspec.datasets.sizes import size_fault
from mmspec.text_files import as_flag, read_lines

ROUNDING = 1e-6  # of shares, which are written with six decimals or more


class LabelFileError(ValueError):
    """A label file that cannot be understood; the message names it, the entry and what is wrong."""


def label_files(paths: Iterable[Path], *suffixes: str) -> list[Path]:
    """Those of a suffix, in any case, sorted; not the hidden ones, which macOS leaves behind."""
    return sorted(path for path in paths if path.suffix.lower() in suffixes and path.name[0] != ".")


@dataclass(frozen=True)
class LabelledBox:
    """A box in pixels, (x, y) its upper left corner, with its category's name."""

    name: str
    x: float
    y: float
    width: float
    height: float
    ignored: bool = False


def read_voc(path: Path, size: tuple[int, int]) -> list[LabelledBox]:
    """Objects of a Pascal VOC XML file, of an image of ``size`` (width, height).

    Corners are taken as they are: labelling programs write pixel edges, not the 1-based inclusive
    pixels of the original VOC. Objects marked 'difficult' are to ignore, as VOC's evaluation does.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last: its encoding
        raise LabelFileError(f"{path}: not an XML file ({error})") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # without its namespace
    if root.tag != "annotation":
        raise LabelFileError(f"{path}: <{root.tag}>, not the <annotation> of a Pascal VOC file")
    texts = [root.findtext(f"size/{side}") or "0" for side in ("width", "height")]
    said = _numbers(texts)
    if said is None:
        raise LabelFileError(f"{path}: width and height are {texts}, not numbers")
    if any(said) and (reason := size_fault(size, said)):
        raise LabelFileError(f"{path}: its image has {reason}")
    boxes = []
    for number, item in enumerate(root.iter("object"), start=1):
        name = (item.findtext("name") or "").strip()
        corners = [item.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
        values = _numbers(corners)
        if not name or values is None:
            raise LabelFileError(
                f"{path}: object {number}: name {name!r} and corners {corners}, not a name and"
                " xmin, ymin, xmax, ymax"
            )
        x1, y1, x2, y2 = values
        entry = f"{path}: object {number}"
        refuse_negative(entry, x2 - x1, y2 - y1)
        try:
            ignored = as_flag(item.findtext("difficult"))
        except ValueError as error:
            raise LabelFileError(f"{entry}: difficult: {error}") from None
        boxes.append(LabelledBox(name, x1, y1, x2 - x1, y2 - y1, ignored))
    return boxes


def read_yolo(path: Path, size: tuple[int, int], classes: Sequence[str]) -> list[LabelledBox]:
    """Lines ``class cx cy width height`` in shares of the image's ``size`` (width, height)."""
    boxes = []
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            entry = f"{path}: line {number}"
            name, values = yolo_line(entry, line, classes)
            if len(values) != 4:
                raise LabelFileError(f"{entry}: {line!r}, not class, cx, cy, w, h")
            boxes.append(box_of_shares(name, values, size))
    return boxes


def yolo_line(entry: str, line: str, classes: Sequence[str]) -> tuple[str, list[float]]:
    """The class name of a line and what follows: shares of the image's sides, from 0 to 1."""
    values = _numbers(line.split())
    if values is None or len(values) < 5:
        raise LabelFileError(f"{entry}: {line!r}, not class, cx, cy, w, h")
    if values[0] not in range(len(classes)):
        known = ", ".join(f"{i} {name}" for i, name in enumerate(classes))
        raise LabelFileError(f"{entry}: class {line.split()[0]}; known: {known}")
    if max(values[1:]) > 2:
        raise LabelFileError(f"{entry}: {line!r} is in pixels, not in shares of the image")
    if not -ROUNDING <= min(values[1:]) <= max(values[1:]) <= 1 + ROUNDING:
        raise LabelFileError(f"{entry}: {line!r} has a share outside 0 to 1")
    return classes[int(values[0])], values[1:]


def box_of_shares(name: str, shares: Sequence[float], size: tuple[int, int]) -> LabelledBox:
    """A box from its centre, width and height as shares of an image's ``size`` (width, height)."""
    width, height = shares[2] * size[0], shares[3] * size[1]
    x, y = shares[0] * size[0] - width / 2, shares[1] * size[1] - height / 2
    return LabelledBox(name, x, y, width, height)


def read_kaist(path: Path, wanted: str, ignored: Sequence[str]) -> list[LabelledBox]:
    """Lines of Piotr Dollar's ``bbGt version=3``: label, x, y, width, height, then seven more.

    Boxes of the labels ``ignored``, or with the eleventh value set, are to ignore; all get the name
    ``wanted``.
    """
    lines = read_lines(path)
    if not lines or not lines[0].startswith("% bbGt version=3"):
        raise LabelFileError(f"{path}: does not begin with '% bbGt version=3'")
    boxes = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        label, *rest = line.split()
        values = _numbers(rest)
        if values is None or len(values) < 10:
            raise LabelFileError(f"{path}: line {number}: {line!r}, not a label and 11 numbers")
        if label != wanted and label not in ignored:
            known = ", ".join((wanted, *ignored))
            raise LabelFileError(f"{path}: line {number}: label {label!r}; known: {known}")
        refuse_negative(f"{path}: line {number}", *values[2:4])
        boxes.append(LabelledBox(wanted, *values[:4], label != wanted or values[9] != 0))
    return boxes


def refuse_negative(entry: str, width: float, height: float) -> None:
    if width < 0 or height < 0:
        raise LabelFileError(
            f"{entry}: a box of {width:g} x {height:g} pixels; are its corners exchanged?"
        )


def _numbers(texts: Sequence[str | None]) -> list[float] | None:
    try:
        values = [float(text) for text in texts]
    except (TypeError, ValueError):
        return None
    return values if all(map(math.isfinite, values)) else None
