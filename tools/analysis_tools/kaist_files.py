"""Read KAIST's annotation and files of detections."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from kaist_conventions import warn_of_conventions

from mmspec.evaluation.kaist import NOT_TOLD, Detections, Truth, frame_of
from mmspec.text_files import TextFileError, as_flag, read_json, read_lines

PERSON = "person"


class FileFormatError(TextFileError):
    """A file that cannot be used; the message names it, the line or entry and what is wrong."""


def read_truth(path: str | Path) -> Truth:
    """KAIST's annotation JSON, or a COCO file with 'occlusion' of its boxes.

    Boxes with ``ignore`` or ``iscrowd``, or of another category than 'person', are to be ignored.

    Args:
        path: the file.

    Raises:
        FileFormatError: not such a file, or an entry that cannot be used.
    """
    raw = read_json(path)
    try:
        categories = {entry["id"]: entry["name"] for entry in raw["categories"]}
        images = list(raw["images"])
        annotations = list(raw["annotations"])
    except (KeyError, TypeError) as error:
        raise FileFormatError(
            f"{path}: not an annotation with 'images', 'annotations' and 'categories'"
            f" ({type(error).__name__}: {error})"
        ) from None
    place: dict[Any, int] = {}
    for index, image in enumerate(images):
        if not _is_image(image):
            raise FileFormatError(f"{path}: images[{index}] has no id, width and height: {image}")
        if place.setdefault(image["id"], index) != index:
            raise FileFormatError(f"{path}: images[{index}] has the id of another: {image['id']}")
    if len({type(key) for key in place}) != 1:
        kinds = "text and numbers are among their ids" if place else "there are none"
        raise FileFormatError(f"{path}: 'images': {kinds}")
    index_of, boxes, occlusion, ignored, of_id_0 = [], [], [], [], []
    for index, entry in enumerate(annotations):
        name = f"{path}: annotations[{index}]"
        try:
            index_of.append(place[entry["image_id"]])
            boxes.append(_box(entry["bbox"]))
            category = categories[entry["category_id"]]
            occlusion.append(int(entry.get("occlusion", NOT_TOLD)))
            marked = [as_flag(entry.get(mark)) for mark in ("ignore", "iscrowd")]
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"{name}: not a box of a known image and category ({type(error).__name__}: {error})"
            ) from None
        of_id_0.append(entry.get("id") == 0)
        ignored.append(any(marked) or category != PERSON)
    if PERSON not in categories.values():
        raise FileFormatError(f"{path}: no category {PERSON!r} among {sorted(categories.values())}")
    return Truth(
        tuple(frame_of(image.get("im_name", image.get("file_name", ""))) for image in images),
        np.array([(image["width"], image["height"]) for image in images], float).reshape(-1, 2),
        np.array(index_of, np.int64),
        np.array(boxes, float).reshape(-1, 4),
        np.array(occlusion, np.int64),
        np.array(ignored, bool),
        np.array(of_id_0, bool),
        tuple(image["id"] for image in images),
    )


def read_detections(path: str | Path, truth: Truth) -> Detections:
    """A detector's results on the images of an annotation; without a line, there is none.

    Args:
        path: ``.txt`` with ``number,x,y,width,height,score`` in each line, as KAIST's evaluation
            has it: the number counts the images from 1 in the order of their ids (KAIST's ids begin
            at 0, so that it is the id and 1). Or ``.json``, a list of COCO results with
            ``image_id``, the id itself, ``bbox`` and ``score``.
        truth: of :func:`read_truth`.

    Warns where boxes leave their image, or where another convention would find far more people.

    Raises:
        FileFormatError: not such a file, or a line or entry that cannot be used.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".txt", ".json"):
        raise FileFormatError(f"{path}: detections are read from .txt and .json files")
    place = {number: index for index, number in enumerate(truth.ids)}
    known = f"ids {min(place)!r} to {max(place)!r}"
    if suffix == ".txt":
        if not all(isinstance(key, int) for key in place):
            raise FileFormatError(
                f"{path}: its lines count images in the order of their ids, but those of the"
                f" annotation are text ({truth.ids[0]!r})"
            )
        place = {number: place[key] for number, key in enumerate(sorted(place), start=1)}
        known = f"numbers 1 to {len(place)}"
    rows, entries = [], []
    for name, row in _text_rows(path) if suffix == ".txt" else _of_one_category(path):
        number, *box, score = row
        if number not in place:
            shown = repr(number) if isinstance(number, str) else f"{number:g}"
            hint = "; the first is 1" * (suffix == ".txt" and number == 0)
            raise FileFormatError(
                f"{name}: image {shown} is not among the annotation's {known}{hint}"
            )
        try:
            _box(box)
        except ValueError as error:
            raise FileFormatError(f"{name}: {error}") from None
        if not math.isfinite(score):
            raise FileFormatError(f"{name}: the score is {score}")
        rows.append((place[number], *box, score))
        entries.append(name)
    table = np.array(rows, float).reshape(-1, 6)
    detections = Detections(table[:, 0].astype(np.int64), table[:, 1:5], table[:, 5])
    warn_of_conventions(path, detections, truth, entries)
    return detections


def _text_rows(path: str | Path):
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            values = [float(text) for text in line.split(",")]
        except ValueError:
            values = []
        if len(values) != 6:
            raise FileFormatError(
                f"{path}: line {number}: {line.strip()!r}, not image,x,y,width,height,score"
            )
        yield f"{path}: line {number}", values


def _of_one_category(path: str | Path):
    categories = set()
    for name, category, row in coco_results(path):
        categories.add(category)
        if len(categories) > 1:
            raise FileFormatError(
                f"{name}: category_id {category} beside another; the miss rate is of one class"
            )
        yield name, row


def coco_results(path: str | Path, raw: Any = None) -> Iterator[tuple[str, Any, tuple]]:
    """The entries of a file of COCO results, a list of ``image_id``, ``bbox`` and ``score``.

    Args:
        path: the file.
        raw: its content, or the part that holds them; the file is read unless given.

    Yields:
        What errors call the entry; its ``category_id``, None without; and its image's id, x, y,
        width, height and score.

    Raises:
        FileFormatError: not such a file, or an entry that cannot be used.
    """
    raw = read_json(path) if raw is None else raw
    if not isinstance(raw, list):
        raise FileFormatError(f"{path}: not a list of results but a {type(raw).__name__}")
    for index, entry in enumerate(raw):
        name = f"{path}: entry {index}"
        try:
            row = (entry["image_id"], *map(float, entry["bbox"]), float(entry["score"]))
            if not isinstance(row[0], (int, float, str)):
                raise TypeError(f"image_id {row[0]!r}")
            category = entry.get("category_id")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileFormatError(
                f"{name}: no image_id, bbox and score ({type(error).__name__}: {error})"
            ) from None
        if len(row) != 6:
            raise FileFormatError(f"{name}: bbox {entry['bbox']} is not x, y, width, height")
        yield name, category, row


def _is_image(image: Any) -> bool:
    try:
        sizes = [float(image[key]) for key in ("width", "height")]
        return isinstance(image["id"], (int, str)) and all(0 < x < math.inf for x in sizes)
    except (KeyError, TypeError, ValueError):
        return False


def _box(values: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = (float(value) for value in values)
    if not all(map(math.isfinite, (x, y, width, height))) or width < 0 or height < 0:
        raise ValueError(f"a box of x, y, width, height {list(values)}")
    return x, y, width, height
