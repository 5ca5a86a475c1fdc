"""How detection data sets lie on disk, one function a layout: images, their boxes and splits."""

import argparse
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from box_files import (
    LabelFileError,
    LabelledBox,
    label_files,
    read_kaist,
    read_voc,
    read_yolo,
    refuse_negative,
)

from mmspec.datasets.files import IMAGE_SUFFIXES, without_suffix
from mmspec.datasets.image_io import UnreadableImageError, image_size
from mmspec.text_files import as_flag, each_once, read_json, read_names

M3FD = ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck")
M3FD_YOLO = ("People", "Car", "Bus", "Lamp", "Motorcycle", "Truck")  # TarDAL's loader/m3fd.py
FLIR = ("person", "bicycle", "car")
MSRS = ("person", "bicycle", "car")
PERSON = ("person",)
KAIST_IGNORED = ("people", "cyclist", "person?", "person?a")
KAIST_LISTS = {"train": "imageSets/train-all-02.txt", "test": "imageSets/test-all-20.txt"}
FLIR_LISTS = {"train": "align_train.txt", "val": "align_validation.txt"}


@dataclass
class Scene:
    """An image with its boxes; names are relative to the folder that the data set class joins."""

    file_name: str
    width: int
    height: int
    boxes: list[LabelledBox]
    visible_file_name: str = ""
    extra: list[dict] = field(default_factory=list)


@dataclass
class Converted:
    """What a layout gives: the scenes of each file to write, by its name without suffix."""

    classes: Sequence[str]
    splits: dict[str, list[Scene]]
    note: str
    left_out: Sequence[str] = ()


def m3fd(root: Path, args: argparse.Namespace) -> Converted:
    return _m3fd(root, args, subfolder(root, "Annotation", "Annotations"), ".xml", read_voc)


def m3fd_yolo(root: Path, args: argparse.Namespace) -> Converted:
    read = partial(read_yolo, classes=check_names(args.classes, M3FD))
    return _m3fd(root, args, subfolder(root, "labels"), ".txt", read)


def _m3fd(
    root: Path, args: argparse.Namespace, labels: Path, suffix: str, read: Callable
) -> Converted:
    infrared, visible = subfolder(root, "Ir", "ir"), subfolder(root, "Vis", "vi", wanted=False)
    images, seen = by_stem(infrared), by_stem(visible)
    files = {path.stem: path for path in label_files(labels.iterdir(), suffix)}
    same_names(images, files, infrared, labels)
    if args.list:
        splits = {name: read_list(root / path) for name, path in args.list.items()}
        note = "M3FD; lists " + ", ".join(args.list.values())
    else:
        splits = draw_split(images, args.test_share, args.seed)
        note = f"M3FD; drawn by to_coco.py, seed {args.seed}, test share {args.test_share}"
    refuse_overlap(splits)
    scenes = {}
    for split, stems in splits.items():
        absent = [stem for stem in stems if stem not in images]
        if absent:
            raise LabelFileError(f"split {split!r}: {absent[0]!r} is not in {infrared}")
        scenes[split] = [
            scene(root, images[stem], partial(read, files[stem]), seen.get(stem)) for stem in stems
        ]
    return Converted(M3FD, scenes, note)


def llvip(root: Path, args: argparse.Namespace) -> Converted:
    labels = subfolder(root, "Annotations")
    files = {path.stem: path for path in label_files(labels.iterdir(), ".xml")}
    splits = {split: by_stem(subfolder(root, f"infrared/{split}")) for split in ("train", "test")}
    refuse_overlap(splits)
    same_names({**splits["train"], **splits["test"]}, files, root / "infrared", labels)
    scenes = {}
    for split, images in splits.items():
        seen = by_stem(subfolder(root, f"visible/{split}", wanted=False))
        scenes[split] = [
            scene(root, path, partial(read_voc, files[stem]), seen.get(stem))
            for stem, path in images.items()
        ]
    return Converted(PERSON, scenes, "LLVIP; its own split")


def flir(root: Path, args: argparse.Namespace) -> Converted:
    labels, folder = subfolder(root, "Annotations"), subfolder(root, "JPEGImages")
    images = by_stem(folder)
    splits = {
        split: read_list(root / path, ending="_PreviewData")
        for split, path in (args.list or FLIR_LISTS).items()
    }
    refuse_overlap(splits)
    scenes: dict[str, list[Scene]] = {}
    for split, stems in splits.items():
        scenes[split] = []
        for stem in stems:
            if stem not in images:
                raise LabelFileError(f"split {split!r}: no {stem} in {folder}")
            seen = images.get(stem.replace("_PreviewData", "_RGB"))
            read = partial(read_voc, labels / f"{stem}.xml")
            scenes[split].append(scene(root, images[stem], read, seen))
    return Converted(FLIR, scenes, "FLIR aligned; its own split", left_out=("dog",))


def kaist(root: Path, args: argparse.Namespace) -> Converted:
    labels, images = subfolder(root, args.annotations), subfolder(root, "images")
    splits = {split: read_list(root / path) for split, path in (args.list or KAIST_LISTS).items()}
    refuse_overlap(splits)
    scenes: dict[str, list[Scene]] = {}
    for split, names in splits.items():
        scenes[split] = []
        for name in names:
            folder, slash, frame = name.rpartition("/")
            if not slash:
                raise LabelFileError(f"split {split!r}: {name!r} is not as set00/V000/I00001")
            # Original and improved labels; paired ones, a file a modality; the sanitized ones.
            places = (f"{name}.txt", f"{folder}/lwir/{frame}.txt", f"{name.replace('/', '_')}.txt")
            path = next((labels / p for p in places if (labels / p).is_file()), None)
            if path is None:
                raise LabelFileError(f"{labels}: none of {', '.join(places)}")
            scenes[split].append(
                scene(
                    root,
                    images / folder / "lwir" / f"{frame}.jpg",
                    lambda size, path=path: read_kaist(path, "person", KAIST_IGNORED),
                    images / folder / "visible" / f"{frame}.jpg",
                )
            )
    return Converted(PERSON, scenes, f"KAIST; labels of {args.annotations}")


def kaist_json(root: Path, args: argparse.Namespace) -> Converted:
    """The only layout whose sizes are its own: the images need not be there."""
    path = root / args.json
    raw = read_json(path)
    try:
        names = {entry["id"]: entry["name"] for entry in raw["categories"]}
        scenes = {}
        for image in raw["images"]:
            folder, frame = image["im_name"].rsplit("/", 1)
            if image["id"] in scenes:
                raise ValueError(f"two images have the id {image['id']}")
            scenes[image["id"]] = Scene(
                f"images/{folder}/lwir/{frame}.jpg",
                image["width"],
                image["height"],
                [],
                f"images/{folder}/visible/{frame}.jpg",
            )
        for entry in raw["annotations"]:
            name, found = names[entry["category_id"]], scenes[entry["image_id"]]
            ignored = name != "person" or as_flag(entry["ignore"])
            x, y, width, height = entry["bbox"]
            refuse_negative(f"{path}: annotation {entry.get('id')}", width, height)
            found.boxes.append(LabelledBox("person", x, y, width, height, ignored))
            found.extra.append({key: entry[key] for key in ("height", "occlusion")})
    except LabelFileError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise LabelFileError(
            f"{path}: not KAIST's annotation JSON ({type(error).__name__}: {error})"
        ) from None
    return Converted(PERSON, {"test": list(scenes.values())}, f"KAIST; {path.name}")


def msrs(root: Path, args: argparse.Namespace) -> Converted:
    scenes = {}
    for split in ("train", "test"):
        folder = subfolder(root, f"MSRS/{split}/ir")
        images = by_stem(folder)
        for kind in ("infrared", "visible", "fusion"):
            labels = subfolder(root, f"MSRS-detection-label/{kind}/{split}")
            files = {path.stem: path for path in label_files(labels.iterdir(), ".txt")}
            same_names(images, files, folder, labels)
            scenes[f"{kind}_{split}"] = [
                scene(folder, path, partial(read_yolo, files[stem], classes=MSRS))
                for stem, path in images.items()
            ]
    return Converted(MSRS, scenes, "MSRS with MSRS-detection-label; split of the images")


def scene(
    base: Path,
    image: Path,
    read: Callable[[tuple[int, int]], list[LabelledBox]],
    visible: Path | None = None,
) -> Scene:
    """An image with the boxes that ``read`` gives for its size, names relative to ``base``."""
    try:
        size = image_size(image)
    except UnreadableImageError as error:
        raise LabelFileError(f"{image}: cannot be opened as an image ({error.reason})") from None
    try:
        boxes = read(size=size)
    except OSError as error:
        raise LabelFileError(f"no labels for {image} ({error})") from None
    name = visible.relative_to(base).as_posix() if visible else ""
    return Scene(image.relative_to(base).as_posix(), *size, boxes, name)


def draw_split(
    names: Iterable[str], test_share: float, seed: int, option: str = "--test-share"
) -> dict[str, list[str]]:
    """Names for training and test, each sorted, by the hash of seed and name.

    Independent of the version of Python, of the order of files and of other names.

    Raises:
        LabelFileError: a side is empty; the ``option`` of the share is named.
    """
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    tests = round(test_share * len(ranked))
    if not 0 < tests < len(ranked):
        raise LabelFileError(
            f"{counted(len(ranked))} cannot be split by {option} {test_share}, which leaves one"
            " side empty: give another share, or --list"
        )
    return {"train": sorted(ranked[tests:]), "test": sorted(ranked[:tests])}


def counted(images: int) -> str:
    return f"{images:,} image{'s' * (images != 1)}"


def refuse_overlap(splits: dict[str, Iterable[str]]) -> None:
    home: dict[str, str] = {}
    for split, names in splits.items():
        for name in names:
            if name in home:
                raise LabelFileError(f"{name} is in {home[name]} and again in {split}")
            home[name] = split


def subfolder(root: Path, *names: str, wanted: bool = True) -> Path | None:
    """The first of the folders that is there; None if none is and none is wanted."""
    found = next((root / name for name in names if (root / name).is_dir()), None)
    if found is None and wanted:
        raise LabelFileError(f"{root}: no folder {' or '.join(names)}")
    return found


def by_stem(folder: Path | None) -> dict[str, Path]:
    """Images of a folder by name without suffix, sorted."""
    if folder is None:
        return {}
    images: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            if path.stem in images:
                raise LabelFileError(f"{path} has the same name as {images[path.stem]}")
            images[path.stem] = path
    if not images:
        raise LabelFileError(f"{folder}: no images, looked for {', '.join(IMAGE_SUFFIXES)}")
    return images


def same_names(images: dict, labels: dict, image_folder: Path, label_folder: Path) -> None:
    """Raise unless every image has its labels and the other way round."""
    for found, other, folder, what in (
        (images, labels, label_folder, "labels"),
        (labels, images, image_folder, "image"),
    ):
        alone = sorted(set(found) - set(other))
        if alone:
            raise LabelFileError(
                f"{len(alone):,} files without {what} in {folder}, the first is {found[alone[0]]}"
            )


def read_list(path: Path, ending: str = "") -> list[str]:
    """Names of a list, each once, without image suffixes and with an ``ending`` of all names."""
    try:
        names = [without_suffix(name).removesuffix(ending) + ending for name in read_names(path)]
    except OSError as error:
        raise LabelFileError(f"{path}: cannot be opened ({error})") from None
    if not names:
        raise LabelFileError(f"{path}: an empty list")
    return each_once(names, path)


def check_names(names: Sequence[str], wanted: Sequence[str]) -> Sequence[str]:
    if sorted(names) != sorted(wanted):
        raise LabelFileError(f"--classes {' '.join(names)}; these are to be put in order: {wanted}")
    return names


LAYOUTS: dict[str, Callable[[Path, argparse.Namespace], Converted]] = {
    "m3fd": m3fd,
    "m3fd-yolo": m3fd_yolo,
    "llvip": llvip,
    "flir": flir,
    "kaist": kaist,
    "kaist-json": kaist_json,
    "msrs": msrs,
}
