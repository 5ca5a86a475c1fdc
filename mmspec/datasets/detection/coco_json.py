"""Images and boxes of a COCO file, with every entry checked."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

from mmspec.datasets.files import Fault
from mmspec.text_files import TextFileError, as_flag, read_json

ROUNDING = 0.01  # pixels; boxes are often written with two decimals
MIN_SIDE = 1.0  # pixels; thinner boxes are dropped, as by mmdet's CocoDataset


class AnnotationError(ValueError):
    """An annotation file that cannot be used; the message names it, the entry and what is wrong."""


@dataclass
class Box:
    """A box inside its image; ``xyxy`` in pixels, x2 and y2 exclusive.

    ``label`` is None for a region in which objects of any class are to be ignored. ``occlusion`` is
    what the file says of it, for KAIST's miss rate.
    """

    entry: str
    xyxy: tuple[float, float, float, float]
    label: int | None
    ignored: bool = False
    mask: list | dict | None = None
    occlusion: int | None = None

    @property
    def area(self) -> float:
        x1, y1, x2, y2 = self.xyxy
        return (x2 - x1) * (y2 - y1)


@dataclass
class AnnotatedImage:
    """An image of a COCO file; names are relative to the folder of images, sizes in pixels.

    ``visible_name`` is of the aligned visible image, where the file gives it another name.
    """

    entry: str
    id: int | str
    file_name: str
    visible_name: str
    width: int
    height: int
    boxes: list[Box] = field(default_factory=list)


@dataclass
class Findings:
    """What was found beside usable images and boxes; the path of a fault names file and entry."""

    faults: list[Fault] = field(default_factory=list)
    dropped: list[Fault] = field(default_factory=list)
    clipped: list[Fault] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    reordered: bool = False


def load_json(path: str, backend_args: dict | None = None) -> dict:
    """The object in a JSON file.

    Raises:
        AnnotationError: Not JSON, or no object but a list or value.
    """
    try:
        raw = read_json(path, backend_args)
    except TextFileError as error:
        raise AnnotationError(str(error)) from None
    if not isinstance(raw, dict):
        raise AnnotationError(
            f"{path}: not a COCO file: it holds a {type(raw).__name__}, not an object with"
            " 'images', 'annotations' and 'categories'"
        )
    return raw


def read_coco(
    raw: Mapping,
    name: str,
    classes: Sequence[str],
    ignored: Collection[str] = (),
    keys: Mapping[str, str] | None = None,
) -> tuple[list[AnnotatedImage], Findings]:
    """Check the content of a COCO file and put the boxes to their images.

    Boxes partly outside their image are clipped; boxes that are of zero area or, inside the image,
    less than a pixel wide or high are dropped; both are listed in the findings. Categories are
    found by name, so their ids and their order do not matter.

    Args:
        raw: content of the file.
        name: what errors call the file.
        classes: names of the classes, in the order of the labels.
        ignored: names of categories that mark regions to ignore, where the file has them.
        keys: names that this file gives to keys of COCO, such as ``dict(file_name="filename")``.

    Returns:
        Images in the order of the file; and the findings. With ``faults`` among them, which are
        entries that cannot be understood, the images are incomplete.

    Raises:
        AnnotationError: Not a COCO file, or without one of the classes.
    """
    reader = _Reader(raw, name, keys or {})
    return reader.read(classes, ignored), reader.findings


class _Reader:
    """One reading of one file."""

    def __init__(self, raw: Mapping, name: str, keys: Mapping[str, str]) -> None:
        self.raw = raw
        self.name = name
        self.keys = keys
        self.findings = Findings()

    def read(self, classes: Sequence[str], ignored: Collection[str]) -> list[AnnotatedImage]:
        entries = {key: self._entries(key) for key in ("images", "annotations", "categories")}
        names = self._category_names(entries["categories"])
        labels = self._labels(names, classes, ignored)
        images = self._images(entries["images"])
        seen: set = set()
        for position, raw in enumerate(entries["annotations"]):
            entry = self._entry("annotation", raw, position)
            reason = self._add_box(raw, entry, images, names, labels, seen)
            if reason:
                self.findings.faults.append(Fault(f"{self.name}: {entry}", reason))
        return list(images.values())

    def _entries(self, key: str) -> list:
        entries = self._get(self.raw, key)
        if not isinstance(entries, list):
            found = ", ".join(map(repr, self.raw)) or "nothing"
            raise AnnotationError(
                f"{self.name}: not a COCO file: no list {self._known_as(key)}, only {found}"
            )
        return entries

    def _category_names(self, entries: list) -> dict:
        """Names of the file's categories by id."""
        names = {}
        for position, raw in enumerate(entries):
            category = raw if isinstance(raw, dict) else {}
            key, name = category.get("id"), category.get("name")
            known = _is_id(key) and (key in names or name in names.values())
            if known or not _is_id(key) or not isinstance(name, str):
                raise AnnotationError(
                    f"{self.name}: category {position} of the list is {raw!r}, not an 'id' and a"
                    " 'name' of its own"
                )
            names[key] = name
        return names

    def _labels(
        self, names: dict, classes: Sequence[str], ignored: Collection[str]
    ) -> dict[object, int | None]:
        """Label of each category id that counts; None for regions to ignore."""
        if absent := [name for name in classes if name not in names.values()]:
            raise AnnotationError(
                f"{self.name}: no category {', '.join(map(repr, absent))}; the file has"
                f" {', '.join(map(repr, names.values()))}. Give the classes by these names with"
                " metainfo=dict(classes=(...))"
            )
        order = [name for name in names.values() if name in classes]
        self.findings.reordered = order != list(classes)
        labels = {key: classes.index(name) for key, name in names.items() if name in classes}
        return labels | {
            key: None for key, name in names.items() if name in ignored and name not in classes
        }

    def _images(self, entries: list) -> dict[object, AnnotatedImage]:
        images: dict = {}
        files: dict[str, str] = {}
        for position, raw in enumerate(entries):
            entry = self._entry("image", raw, position)
            reason = self._add_image(raw, entry, images, files)
            if reason:
                self.findings.faults.append(Fault(f"{self.name}: {entry}", reason))
        return images

    def _add_image(self, raw, entry: str, images: dict, files: dict[str, str]) -> str:
        """Add an image; gives the reason if it cannot be used."""
        if not isinstance(raw, dict):
            return f"{raw!r} is not an object"
        file_name = self._get(raw, "file_name")
        size = _pixels(raw.get("width")), _pixels(raw.get("height"))
        if not _is_id(raw.get("id")):
            return "no 'id'"
        if not isinstance(file_name, str) or not file_name:
            return f"no {self._known_as('file_name')}"
        visible_name = raw.get("visible_file_name", file_name)
        if not isinstance(visible_name, str) or not visible_name:
            return f"'visible_file_name' is {visible_name!r}"
        if None in size:
            return (
                f"width and height are {raw.get('width')!r} and {raw.get('height')!r}, not pixels"
            )
        if raw["id"] in images:
            return f"{file_name} has the id of {images[raw['id']].file_name}"
        if file_name in files:
            return f"{file_name} is {files[file_name]} already"
        files[file_name] = entry
        images[raw["id"]] = AnnotatedImage(entry, raw["id"], file_name, visible_name, *size)
        return ""

    def _add_box(self, raw, entry: str, images: dict, names: dict, labels: dict, seen: set) -> str:
        """Add a box to its image; gives the reason if the entry cannot be understood."""
        if not isinstance(raw, dict):
            return f"{raw!r} is not an object"
        box, key, image_id, category = map(raw.get, ("bbox", "id", "image_id", "category_id"))
        if key is not None and str(key) in seen:
            return "another annotation has this id"
        seen.add(str(key))
        if not _is_id(image_id) or image_id not in images:
            return f"image_id {image_id!r} is not among the images{_other_type(image_id, images)}"
        image = images[image_id]
        if not _is_id(category) or category not in names:
            listed = ", ".join(f"{key} {name}" for key, name in names.items())
            kind = _other_type(category, names)
            return (
                f"{image.file_name}: unknown category_id {category!r}{kind}; the file lists"
                f" {listed}"
            )
        if not _is_box(box):
            return f"{image.file_name}: bbox {box!r} is not [x, y, width, height]"
        if min(box[2:]) < 0:
            return f"{image.file_name}: bbox {box!r} is of negative width or height"
        try:
            marked = True in [as_flag(raw.get(mark)) for mark in ("iscrowd", "ignore")]
        except ValueError as error:
            return f"{image.file_name}: 'iscrowd' or 'ignore': {error}"
        if category not in labels:
            self.findings.left_out[names[category]] += 1
            return ""
        inside, note = _inside(box, image)
        where = Fault(f"{self.name}: {entry}", f"{image.file_name}: box {box} {note}")
        if inside is None:
            self.findings.dropped.append(where)
            return ""
        if note:
            self.findings.clipped.append(where)
        label = labels[category]
        mask = raw.get("segmentation") or None
        ignored = label is None or marked
        image.boxes.append(Box(entry, inside, label, ignored, mask, raw.get("occlusion")))
        return ""

    def _get(self, raw: Mapping, key: str):
        return raw.get(key, raw.get(self.keys.get(key)))

    def _known_as(self, key: str) -> str:
        return " or ".join(repr(k) for k in (key, self.keys.get(key)) if k)

    def _entry(self, kind: str, raw, position: int) -> str:
        key = raw.get("id") if isinstance(raw, dict) else None
        return f"{kind} {position} of the list" if key is None else f"{kind} {key}"


def _is_id(key) -> bool:
    return isinstance(key, (int, str))


def _other_type(key, known: Collection) -> str:
    """Say so where an id is known, but as text instead of a number or the other way round."""
    same = next((other for other in known if str(other) == str(key)), None)
    return "" if same is None else f", but {same!r} is: ids of one type are needed"


def _pixels(side) -> int | None:
    """A side of an image; None if it is no whole number above 0."""
    number = isinstance(side, Real) and not isinstance(side, bool) and math.isfinite(side)
    return int(side) if number and side == int(side) > 0 else None


def _is_box(box) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, Real) and math.isfinite(value) for value in box)
    )


def _inside(
    box: list[float], image: AnnotatedImage
) -> tuple[tuple[float, float, float, float] | None, str]:
    """(x1, y1, x2, y2) within the image, None if nothing remains; and what is odd about it."""
    x, y, width, height = map(float, box)
    size = f"of {image.width} x {image.height} pixels"
    if width == 0 or height == 0:
        return None, "of zero area"
    x1, y1 = max(x, 0.0), max(y, 0.0)
    x2, y2 = min(x + width, float(image.width)), min(y + height, float(image.height))
    if x2 <= x1 or y2 <= y1:
        return None, f"outside the image {size}"
    if x2 - x1 < MIN_SIDE or y2 - y1 < MIN_SIDE:
        return None, f"less than a pixel wide or high inside the image {size}"
    beyond = max(-x, -y, x + width - image.width, y + height - image.height)
    return (x1, y1, x2, y2), f"partly outside the image {size}" if beyond > ROUNDING else ""
