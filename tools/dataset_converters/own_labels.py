"""Labels of one's own, as labelling tools write them: one function a format, for any folder."""

import argparse
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from box_files import (
    LabelFileError,
    LabelledBox,
    box_of_shares,
    label_files,
    read_voc,
    refuse_negative,
    yolo_line,
)
from coco_layouts import Converted, Scene, counted, draw_split, read_list, refuse_overlap, scene
from PIL import Image
from pycocotools import mask as mask_tools

from mmspec.datasets.files import find_by_end, find_images, without_suffix
from mmspec.text_files import as_flag, read_json, read_lines, read_names, read_text
from mmspec.thermal.errors import FileError
from mmspec.visualization.segmentation import infrared_palette

WRITTEN_BY = "written by to_coco.py"
SHEET = "sheet.png"  # in --out
LABEL_IMAGES = "label_images"  # in the data set's folder
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def yolo(root: Path, args: argparse.Namespace) -> Converted:
    """Text files beside the images or in ``labels/``; an empty or absent one: nothing to find.

    Of pose labels the boxes are read. The split is the one that ``data.yaml`` states, if any.
    """
    settings, content = _data_yaml(root)
    classes = args.classes or _yolo_names(root, settings, content.get("names"))
    keypoints = _keypoint_values(settings, content.get("kpt_shape"))
    images = Images(root, args.out)
    labels: dict[str, tuple] = {}
    for path in label_files(root.rglob("*"), ".txt"):
        place = path.relative_to(root)
        beside = place.with_suffix("").as_posix() in images.by_path
        listed = path.name in _YOLO_NAMES and path.stem not in images.by_stem
        if (beside or "labels" in place.parts[:-1]) and not listed:
            _add(labels, images.of(path), path)
    if not labels:
        raise LabelFileError(f"{root}: no .txt in a folder labels/ or beside an image")

    def read(image: str) -> Scene:
        (path,) = labels.get(image, (None,))
        lines = enumerate(read_lines(path) if path else [], start=1)
        entries = [(f"{path}: line {number}", line) for number, line in lines if line.strip()]
        return images.scene(
            image, lambda size: [_yolo_entry(*e, classes, size, keypoints) for e in entries]
        )

    if without := len(images.names) - len(labels):
        print(f"{counted(without)} without a .txt: taken as images with nothing to find")
    stated = None if args.list else _stated_splits(settings, content, images)
    return _converted("YOLO", classes, images.names, read, args, stated)


def voc(root: Path, args: argparse.Namespace) -> Converted:
    """Pascal VOC XML (LabelImg, Roboflow, ...); images without a file are not labelled."""
    images, labels = Images(root, args.out), {}
    for path in label_files(root.rglob("*"), ".xml"):
        _add(labels, images.of(path), path)

    def read(image: str) -> Scene:
        return images.scene(
            image, lambda size: [(box, []) for box in read_voc(labels[image][0], size)]
        )

    return _labelled("Pascal VOC", args.classes, images, labels, "*.xml", read, args)


def labelme(root: Path, args: argparse.Namespace) -> Converted:
    """JSON of LabelMe, X-AnyLabeling or AnyLabeling: rectangles and polygons.

    Shapes of one label and ``group_id`` are parts of one object.
    """
    images, labels, joined = Images(root, args.out), {}, []
    for path in label_files(root.rglob("*"), ".json"):
        content = read_json(path)
        if isinstance(content, dict) and "shapes" in content:
            name = str(content.get("imagePath") or path.stem)
            _add(labels, images.of(path, name), path, content)

    def read(image: str) -> Scene:
        path, content = labels[image]
        said = content.get("imageWidth"), content.get("imageHeight")
        if not isinstance(content["shapes"], list):
            raise LabelFileError(f"{path}: 'shapes' is {content['shapes']!r}, not a list")
        shapes = enumerate(content["shapes"], start=1)
        groups: dict[object, list[Entry]] = {}
        for n, shape in shapes:
            entry, group = _shape(f"{path}: shape {n}", shape), shape.get("group_id")
            key = n if group is None else (entry[0].name, str(group))
            groups.setdefault(key, []).append(entry)
        joined.extend(len(parts) for parts in groups.values() if len(parts) > 1)
        return images.scene(image, lambda _: map(_one_object, groups.values()), said)

    result = _labelled("LabelMe", args.classes, images, labels, "*.json with shapes", read, args)
    if joined:
        print(f"{sum(joined):,} shapes of one label and group_id joined: {len(joined):,} objects")
    return result


def cvat(root: Path, args: argparse.Namespace) -> Converted:
    """XML of CVAT ("CVAT for images 1.1"): boxes and polygons."""
    images, labels, classes = Images(root, args.out), {}, []
    for path in label_files(root.rglob("*"), ".xml"):
        try:
            tree = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as error:
            raise LabelFileError(f"{path}: not an XML file ({error})") from None
        if tree.tag != "annotations":
            continue
        if tree.find("track") is not None:
            raise LabelFileError(
                f"{path}: exported as 'CVAT for video': export it as 'CVAT for images 1.1'"
            )
        classes += [name.text for name in tree.iterfind(".//labels/label/name")]
        for element in tree.iter("image"):
            _add(labels, images.of(path, element.get("name", "")), path, element)

    def read(image: str) -> Scene:
        path, element = labels[image]
        said = element.get("width"), element.get("height")
        entries = [e for e in element if e.tag != "tag"]  # a tag is of the whole image
        return images.scene(
            image, lambda _: [_cvat_entry(f"{path}: {image}", entry) for entry in entries], said
        )

    names = args.classes or list(dict.fromkeys(classes))
    return _labelled("CVAT", names, images, labels, "*.xml of CVAT", read, args)


def coco(root: Path, args: argparse.Namespace) -> Converted:
    """COCO JSON of CVAT, Label Studio, Roboflow, ...: boxes and masks, one file or several."""
    images, labels, classes = Images(root, args.out), {}, []
    for path in label_files(root.rglob("*"), ".json"):
        content = read_json(path)
        if not (
            isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content)
        ):
            continue
        if WRITTEN_BY in str(content.get("info")):  # what an earlier run left
            continue
        try:
            names = {entry["id"]: entry["name"] for entry in content["categories"]}
            if len(names) < len(content["categories"]):
                raise LabelFileError(f"{path}: two categories of one id; give each its own")
            used = {entry["category_id"] for entry in content["annotations"]}
            # Roboflow adds a parent of all classes, without a box of its own.
            parents = {entry.get("supercategory") for entry in content["categories"]}
            classes += [n for i, n in names.items() if i in used or n not in parents]
            home = {entry["id"]: images.of(path, entry["file_name"]) for entry in content["images"]}
            for entry in content["images"]:
                _add(labels, home[entry["id"]], path, entry, [])
            for entry in content["annotations"]:
                labels[home[entry["image_id"]]][2].append((names[entry["category_id"]], entry))
        except (KeyError, TypeError) as error:
            raise LabelFileError(
                f"{path}: not a COCO file ({type(error).__name__}: {error})"
            ) from None

    def read(image: str) -> Scene:
        path, entry, boxes = labels[image]
        said = entry.get("width"), entry.get("height")
        return images.scene(
            image, lambda size: [_coco_entry(path, name, b, size) for name, b in boxes], said
        )

    names = args.classes or list(dict.fromkeys(classes))
    return _labelled("COCO", names, images, labels, "COCO *.json", read, args)


class Images:
    """The images of a folder, to be found from what label files call them.

    What the converter itself leaves in ``root`` and ``out`` is not among them.
    """

    def __init__(self, root: Path, out: Path) -> None:
        self.root = root
        # Of an earlier conversion.
        sheet, labels = os.path.relpath(out / SHEET, root), f"{LABEL_IMAGES}/"
        found = find_images(str(root))
        self.names = [n for n in found if n != sheet and not n.startswith(labels)]
        self.by_path: dict[str, list[str]] = {}
        self.by_stem: dict[str, list[str]] = {}
        for name in self.names:
            self.by_path.setdefault(without_suffix(name), []).append(name)
            self.by_stem.setdefault(Path(without_suffix(name)).name, []).append(name)

    def of(self, label: Path, said: str | None = None) -> str:
        """The image of a label file, or the one that the file names, relative to the root.

        Raises:
            LabelFileError: none has its path, and of its name there is none, one of another split
                or several.
        """
        relative = label.relative_to(self.root)
        said = said and said.replace("\\", "/")  # of Windows
        suffix = said.removeprefix(without_suffix(said)) if said else ""
        name = without_suffix(said) if said else relative.with_suffix("").as_posix()
        places = [name, os.path.normpath((relative.parent / name).as_posix())]
        places += [re.sub(r"(^|/)(labels|annotations|Annotations)/", rf"\1{folder}/", place)
                   for place in places for folder in ("images", "JPEGImages")]  # fmt: skip
        for place in places:
            if len(found := _of_suffix(self.by_path.get(place, []), suffix)) == 1:
                return found[0]
        found = _of_suffix(self.by_stem.get(Path(name).name, []), suffix)
        told = f"{len(found)} images of this name: {', '.join(found[:3])}" if found else "no image"
        if len(found) == 1:
            # A path that leads out of the root says nothing of the split in it.
            outside = re.match(r"/|\.\.|[A-Za-z]:/", name) or places[1].startswith("..")
            split = _split_folders(relative if outside else places[1])
            if not split or not split.isdisjoint(_split_folders(found[0]) or split):
                return found[0]
            told = f"no image but {found[0]}, of another split,"
        raise LabelFileError(f"{label}: {told} for {said or relative} under {self.root}")

    def scene(
        self, image: str, read: Callable[[tuple[int, int]], Iterable], said: Sequence | None = None
    ) -> Scene:
        """The image with its boxes, and polygons where there are any."""
        found: list = []

        def boxes(size: tuple[int, int]) -> list[LabelledBox]:
            if said and all(said) and tuple(int(float(side)) for side in said) != size:
                raise LabelFileError(
                    f"{self.root / image}: {size[0]} x {size[1]} pixels, its labels are of"
                    f" {said[0]} x {said[1]}: not the image that was labelled"
                )
            found.extend(read(size))
            return [box for box, _ in found]

        result = scene(self.root, self.root / image, boxes)
        result.extra = [
            dict(segmentation=mask, area=_area(mask)) if mask else {} for _, mask in found
        ]
        return result


def _of_suffix(names: list[str], suffix: str) -> list[str]:
    """Those of this suffix, or all where there is none."""
    return [name for name in names if suffix and name.endswith(suffix)] or names


def write_label_images(converted: Converted, root: Path) -> list[str]:
    """Write ``label_images/NAME.png``, 0 background and the classes from 1, and ``SPLIT.txt``.

    Large outlines first, so that small objects lie on top. Regions to ignore become 255. Gives a
    line of text a split.

    Raises:
        LabelFileError: an object has a box alone, there are more than 254 classes, or a
            ``SPLIT.txt`` lists other images.
    """
    lists = {
        root / f"{split}.txt": "".join(f"{without_suffix(item.file_name)}\n" for item in scenes)
        for split, scenes in converted.splits.items()
    }
    for path, names in lists.items():
        if path.exists() and read_text(path) != names:
            raise LabelFileError(f"{path} exists and lists other images: move it elsewhere")
    if len(converted.classes) > 254:
        raise LabelFileError(f"{len(converted.classes)} classes; a label PNG holds 254")
    numbers = {name: number for number, name in enumerate(converted.classes, start=1)}
    # All 256 colours: of a shorter palette Pillow stores 1, 2 or 4 bits a pixel, which cut 255.
    palette = np.zeros((256, 3), np.uint8)
    palette[1 : len(numbers) + 1] = infrared_palette(len(numbers), None)
    told = []
    for scenes in converted.splits.values():
        for item in scenes:
            label = np.zeros((item.height, item.width), np.uint8)
            objects = list(zip(item.boxes, item.extra))
            for box, extra in sorted(objects, key=_pixels, reverse=True):
                if not extra and not box.ignored:
                    raise LabelFileError(
                        f"{item.file_name}: a {box.name} with a box and no outline: label images"
                        " need polygons"
                    )
                mask = extra.get("segmentation") or [_corners(box)]
                if isinstance(mask, list):
                    mask = mask_tools.merge(mask_tools.frPyObjects(mask, item.height, item.width))
                label[_decoded(mask)] = 255 if box.ignored else numbers[box.name]
            path = root / LABEL_IMAGES / f"{without_suffix(item.file_name)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(label, "P")
            image.putpalette(palette.tobytes())
            image.save(path)
    for (path, names), scenes in zip(lists.items(), converted.splits.values()):
        path.write_text(names, encoding="utf-8")
        told.append(f"{path}: {len(scenes):,} images with {LABEL_IMAGES}/*.png")
    return told


def _pixels(labelled: tuple[LabelledBox, dict]) -> float:
    """The area of an object's outlines, or of its box where it has none."""
    box, extra = labelled
    return extra.get("area", box.width * box.height)


def _corners(box: LabelledBox) -> list[float]:
    right, bottom = box.x + box.width, box.y + box.height
    return [box.x, box.y, right, box.y, right, bottom, box.x, bottom]


def _converted(
    tool: str,
    classes: Sequence[str] | None,
    names: Iterable[str],
    read: Callable[[str], Scene],
    args: argparse.Namespace,
    stated: tuple[dict[str, list[str]], str] | None = None,
) -> Converted:
    splits, how = stated or _splits(sorted(names), args)
    scenes = {split: [read(name) for name in members] for split, members in splits.items()}
    if not classes:
        items = [item for part in scenes.values() for item in part]
        classes = sorted({box.name for item in items for box in item.boxes})
        if not classes:
            raise LabelFileError(f"no object in labels of {len(items):,} images: give --classes")
    return Converted(classes, scenes, f"{tool}; split: {how}; {WRITTEN_BY}")


def _splits(names: list[str], args: argparse.Namespace) -> tuple[dict[str, list[str]], str]:
    """Given lists, else folders called train, val, test, else a draw by the seed."""
    if args.list:
        known = {without_suffix(name): name for name in names}
        stems: dict[str, list[str]] = {}
        for name in names:
            stems.setdefault(Path(without_suffix(name)).name, []).append(name)
        splits = {}
        for split, path in args.list.items():
            splits[split] = []
            for entry in read_list(args.root / path):
                found = [known[entry]] if entry in known else stems.get(Path(entry).name, [])
                if len(found) != 1:
                    told = (
                        "not among the labelled images" if not found else "is there several times"
                    )
                    raise LabelFileError(f"{path}: {entry}: {told}")
                splits[split].append(found[0])
        refuse_overlap(splits)
        return splits, "by lists " + ", ".join(args.list.values())
    parts = {name: _split_folders(name) for name in names}
    if any(parts.values()):
        if loose := [name for name, part in parts.items() if len(part) != 1]:
            raise LabelFileError(
                f"{args.root / loose[0]} is in no folder train, val or test, or in several,"
                " unlike other images: give --list train=FILE val=FILE"
            )
        folders = [next(iter(part)) for part in parts.values()]
        return {
            split: [name for name, part in parts.items() if split in part]
            for split in ("train", "val", "test")
            if split in folders
        }, "by folders"
    drawn = draw_split(names, args.val_share, args.seed, "--val-share")
    return dict(train=drawn["train"], val=drawn["test"]), (
        f"drawn, seed {args.seed}, val share {args.val_share}"
    )


def _split_folders(path: str | Path) -> set[str]:
    return {SPLITS[part] for part in Path(path).parts[:-1] if part in SPLITS}


_YOLO_NAMES = ("classes.txt", "obj.names", "labels.txt", "train.txt", "val.txt", "test.txt")


def _data_yaml(root: Path) -> tuple[Path, dict]:
    """The first YAML file with ``names`` and its content, which is empty where there is none."""
    import yaml  # comes with mmengine

    for path in label_files(root.rglob("*"), ".yaml", ".yml"):
        try:
            content = yaml.safe_load(read_text(path))
        except yaml.YAMLError as error:
            raise LabelFileError(
                f"{path}: not a YAML file ({error}): mend it or move it elsewhere"
            ) from None
        if isinstance(content, dict) and content.get("names"):
            return path, content
    return root, {}


def _yolo_names(root: Path, settings: Path, names: Mapping | Sequence | None) -> list[str]:
    """Class names as ``data.yaml`` has them, or from ``classes.txt`` or ``obj.names``."""
    if isinstance(names, Mapping):
        if sorted(names) != list(range(len(names))):
            raise LabelFileError(
                f"{settings}: names has the numbers {sorted(names)}, not 0, 1, 2, ..."
            )
        names = [names[number] for number in sorted(names)]
    if names:
        return list(map(str, names))
    for name in ("classes.txt", "obj.names", "labels.txt"):
        for path in sorted(root.rglob(name)):
            return [line.strip() for line in read_lines(path) if line.strip()]
    raise LabelFileError(
        f"{root}: no data.yaml, classes.txt or obj.names with the class names: give --classes"
    )


def _stated_splits(
    settings: Path, content: Mapping, images: Images
) -> tuple[dict[str, list[str]], str] | None:
    """The split of ``train``, ``val`` and ``test`` in a ``data.yaml``, and a note of where from.

    Each is a folder, a ``.txt`` list of images or several of them. None where fewer than two
    splits differ. Prints what is not found, repeats another split or is in none.

    Raises:
        LabelFileError: an image is in two splits, or a name in a list fits two images.
    """
    places = [settings.parent / str(content.get("path") or ""), settings.parent, images.root]
    stated = {SPLITS[key]: value for key, value in content.items() if key in SPLITS and value}
    splits: dict[str, list[str]] = {}
    for split in [split for split in ("train", "val", "test") if split in stated]:
        names: set[str] = set()
        for entry in stated[split] if isinstance(stated[split], list) else [stated[split]]:
            if not (found := _stated_images(str(entry).replace("\\", "/"), places, images)):
                print(f"{settings}: {split}: {entry}: no image of it under {images.root}")
            names.update(found)
        if same := [other for other, members in splits.items() if names == set(members)]:
            print(f"{settings}: {split} has the images of {same[0]}: not used")
        elif names:
            splits[split] = sorted(names)
    if len(splits) < 2:
        return None
    try:
        refuse_overlap(splits)
    except LabelFileError as error:
        raise LabelFileError(f"{settings}: {error}: give --list train=FILE val=FILE") from None
    if rest := len(images.names) - sum(map(len, splits.values())):
        print(f"{settings}: {counted(rest)} in no split of it: left out")
    return splits, f"by {settings.name}"


def _stated_images(entry: str, places: Sequence[Path], images: Images) -> list[str]:
    """The images in a folder or list of a ``data.yaml``, from the first place that has some."""
    # Roboflow writes ../train/images for what lies beside the data.yaml.
    for path in [place / e for e in (entry, entry.removeprefix("../")) for place in places]:
        if path.suffix == ".txt" and path.is_file():
            listed = read_names(path)
            try:
                found = find_by_end(listed, images.names, str(path), longer=True)
            except FileError as error:
                raise LabelFileError(str(error)) from None
            if absent := [name for name in listed if name not in found]:
                print(f"{path}: names without an image: {len(absent):,}, the first is {absent[0]}")
            return list(found.values())
        folder = os.path.relpath(path, images.root)
        if found := [n for n in images.names if folder == "." or n.startswith(f"{folder}/")]:
            return found
    return []


def _keypoint_values(settings: Path, shape: object) -> int:
    """How many values of keypoints end a line of pose labels, by ``kpt_shape``; 0 without it."""
    if shape is None:
        return 0
    try:
        points, values = map(int, shape)
    except (TypeError, ValueError):
        raise LabelFileError(f"{settings}: kpt_shape is {shape}, not as [17, 3]") from None
    print(f"{settings}: kpt_shape {[points, values]}: boxes are read, keypoints are left out")
    return points * values


# A box and the outlines of its object, if drawn, or COCO's run-length code of its pixels.
Entry = tuple[LabelledBox, list[list[float]] | dict]


def _yolo_entry(
    entry: str, line: str, classes: Sequence[str], size: tuple[int, int], keypoints: int
) -> Entry:
    if keypoints:  # cut off unread: their visibility, 2, is no share
        values = line.split()
        if len(values) not in (5, 5 + keypoints):
            raise LabelFileError(
                f"{entry}: {len(values)} values; class, box and keypoints by kpt_shape in data.yaml"
                f" are {5 + keypoints}"
            )
        line = " ".join(values[:5])
    name, shares = yolo_line(entry, line, classes)
    if len(shares) == 4:
        return box_of_shares(name, shares, size), []
    outline = [share * size[place % 2] for place, share in enumerate(shares)]
    return _from_points(entry, name, outline, False, True)


def _shape(entry: str, shape: dict) -> Entry:
    try:
        kind, points = shape.get("shape_type") or "polygon", shape["points"]
        if kind not in ("rectangle", "polygon"):
            raise LabelFileError(f"{entry}: a {kind}; rectangles and polygons are read, remove it")
        flags = shape.get("flags") or {}
        ignored = as_flag(shape.get("difficult", False)) or as_flag(flags.get("ignore", False))
        outline = [float(value) for point in points for value in point]
        return _from_points(entry, str(shape["label"]), outline, ignored, kind == "polygon")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, LabelFileError):
            raise
        raise LabelFileError(f"{entry}: {type(error).__name__}: {error}") from None


def _one_object(parts: Sequence[Entry]) -> Entry:
    """The parts as one object, with the outlines of all if one has an outline."""
    if len(parts) == 1:
        return parts[0]
    corners = [value for box, _ in parts for value in _corners(box)]
    ignored = any(box.ignored for box, _ in parts)
    box, _ = _from_points("", parts[0][0].name, corners, ignored, False)
    outlines = [outline for part, drawn in parts for outline in drawn or [_corners(part)]]
    return box, outlines if any(drawn for _, drawn in parts) else []


def _cvat_entry(entry: str, element: ElementTree.Element) -> Entry:
    name = element.get("label", "")
    entry = f"{entry}: {element.tag} of {name!r}"
    try:
        if element.tag == "box":
            corners = [float(element.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")]
            box, _ = _from_points(entry, name, corners, False, False)
            if not (degrees := float(element.get("rotation", 0))):
                return box, []
            outline = _turned(box, degrees)
        elif element.tag == "polygon":
            outline = [float(v) for v in element.get("points").replace(";", ",").split(",")]
        else:
            raise LabelFileError(f"{entry}: boxes and polygons are read, remove it")
        return _from_points(entry, name, outline, False, True)
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, LabelFileError):
            raise
        raise LabelFileError(f"{entry}: {type(error).__name__}: {error}") from None


def _turned(box: LabelledBox, degrees: float) -> list[float]:
    """The corners turned about the centre, clockwise as one sees it (y points down)."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    corners = np.reshape(_corners(box), (4, 2))
    centre = corners.mean(axis=0)
    turned = centre + (corners - centre) @ [[cos, sin], [-sin, cos]]
    return turned.round(3).ravel().tolist()


def _coco_entry(path: Path, name: str, entry: dict, size: tuple[int, int]) -> Entry:
    where = f"{path}: annotation {entry.get('id')}"
    try:
        x, y, width, height = map(float, entry["bbox"])
        if not np.isfinite([x, y, width, height]).all():
            raise ValueError(f"{entry['bbox']} is not finite")
        ignored = as_flag(entry.get("iscrowd", 0)) or as_flag(entry.get("ignore", 0))
    except (KeyError, TypeError, ValueError) as error:
        raise LabelFileError(f"{where}: bbox or iscrowd: {type(error).__name__}: {error}") from None
    refuse_negative(where, width, height)
    mask = entry.get("segmentation") or []
    try:
        if isinstance(mask, dict):
            fits = _decoded(mask).shape == size[::-1]
        else:
            fits = all(len(outline) >= 6 and len(outline) % 2 == 0 for outline in mask)
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise LabelFileError(
            f"{where}: segmentation is neither outlines [[x, y, x, y, x, y, ...], ...] nor a"
            f" run-length code of {size[0]} x {size[1]} pixels"
        )
    return LabelledBox(name, x, y, width, height, ignored), mask


def _from_points(
    entry: str, name: str, outline: list[float], ignored: bool, polygon: bool
) -> Entry:
    """A box around points x, y, x, y, ...; with them if they are an outline."""
    if len(outline) < (6 if polygon else 4) or len(outline) % 2:
        raise LabelFileError(
            f"{entry}: {len(outline)} numbers are no {'outline' if polygon else 'box'}"
        )
    if not np.isfinite(outline).all():
        raise LabelFileError(f"{entry}: {outline} are not all finite")
    xs, ys = outline[::2], outline[1::2]
    box = LabelledBox(name, min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys), ignored)
    return box, [outline] if polygon else []


def _area(mask: list[list[float]] | dict) -> float:
    """Pixels of a run-length code, or inside outlines x, y, x, y, ... (the shoelace formula)."""
    if isinstance(mask, dict):
        return int(_decoded(mask).sum())
    area = 0.0
    for outline in mask:
        xs, ys = outline[::2], outline[1::2]
        shifted = zip(xs, ys, [*xs[1:], xs[0]], [*ys[1:], ys[0]])
        area += round(abs(sum(x * v - u * y for x, y, u, v in shifted)) / 2, 3)
    return area


def _decoded(code: dict) -> np.ndarray:
    """(H, W) bool of a run-length code, whose counts are numbers, or text where compressed."""
    counts = code["counts"]
    if isinstance(counts, list):  # pycocotools does not look whether they fill the image
        return np.repeat(np.arange(len(counts)) % 2 > 0, counts).reshape(code["size"][::-1]).T
    return mask_tools.decode(code) > 0


def _add(labels: dict[str, tuple], image: str, path: Path, *content: object) -> None:
    """Keep what a file says of an image.

    Raises:
        LabelFileError: a file before it has labels of the image too.
    """
    if image in labels:
        raise LabelFileError(f"{path}: {image} is labelled in {labels[image][0]} too")
    labels[image] = (path, *content)


def _labelled(
    tool: str,
    classes: Sequence[str] | None,
    images: Images,
    labels: Mapping[str, tuple],
    kind: str,
    read: Callable[[str], Scene],
    args: argparse.Namespace,
) -> Converted:
    """The images with ``labels``, by ``--unlabelled-are-empty`` the others too, without an object.

    Raises:
        LabelFileError: there are no labels at all.
    """
    if not labels:
        raise LabelFileError(f"{images.root}: no {kind} in it or below")
    names = images.names if args.unlabelled_are_empty else labels
    if rest := [name for name in images.names if name not in labels]:
        done = (
            "taken as images with nothing to find"
            if args.unlabelled_are_empty
            else f"left out, as not labelled (the first is {rest[0]}); where they show nothing to"
            " find, give --unlabelled-are-empty"
        )
        print(f"{counted(len(rest))} without labels: {done}")

    def read_any(image: str) -> Scene:
        return read(image) if image in labels else images.scene(image, lambda _: [])

    return _converted(tool, classes, names, read_any, args)


OWN = dict(yolo=yolo, voc=voc, labelme=labelme, cvat=cvat, coco=coco)
