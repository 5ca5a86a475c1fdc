"""Readers of the boxes of one image: Pascal VOC XML, YOLO text and KAIST's text."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class LabelFileError(ValueError):
    """A label file that cannot be understood; the message names it, the entry and what is wrong."""


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
    pixels of the original VOC.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise LabelFileError(f"{path}: not an XML file ({error})") from None
    said = tuple(root.findtext(f"size/{side}", "0") for side in ("width", "height"))
    if said != ("0", "0") and said != tuple(map(str, size)):
        raise LabelFileError(
            f"{path}: boxes for an image of {said[0]} x {said[1]} pixels, its image has"
            f" {size[0]} x {size[1]}: they would be in wrong places"
        )
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
        boxes.append(LabelledBox(name, x1, y1, x2 - x1, y2 - y1))
    return boxes


def read_yolo(path: Path, size: tuple[int, int], classes: Sequence[str]) -> list[LabelledBox]:
    """Lines ``class cx cy width height`` in shares of the image's ``size`` (width, height)."""
    boxes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        values = _numbers(line.split())
        if values is None or len(values) != 5:
            raise LabelFileError(f"{path}: line {number}: {line!r}, not class, cx, cy, w, h")
        if values[0] not in range(len(classes)):
            known = ", ".join(f"{i} {name}" for i, name in enumerate(classes))
            raise LabelFileError(f"{path}: line {number}: class {line.split()[0]}; known: {known}")
        if max(values[1:]) > 2:
            raise LabelFileError(
                f"{path}: line {number}: {line!r} is in pixels, not in shares of the image"
            )
        width, height = values[3] * size[0], values[4] * size[1]
        x, y = values[1] * size[0] - width / 2, values[2] * size[1] - height / 2
        boxes.append(LabelledBox(classes[int(values[0])], x, y, width, height))
    return boxes


def read_kaist(path: Path, wanted: str, ignored: Sequence[str]) -> list[LabelledBox]:
    """Lines of Piotr Dollar's ``bbGt version=3``: label, x, y, width, height, then seven more.

    Boxes of the labels ``ignored``, or with the eleventh value set, are to ignore; all get the name
    ``wanted``.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
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
        boxes.append(LabelledBox(wanted, *values[:4], label != wanted or values[9] != 0))
    return boxes


def _numbers(texts: Sequence[str | None]) -> list[float] | None:
    try:
        values = [float(text) for text in texts]
    except (TypeError, ValueError):
        return None
    return values if all(map(math.isfinite, values)) else None
