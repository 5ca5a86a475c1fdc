#!/usr/bin/env python
"""Read a data set from end to end: what it holds, what is wrong with it, and what it looks like."""

import argparse
import inspect
import multiprocessing
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import tifffile
from mmengine.config import Config, DictAction
from PIL import Image, ImageDraw, ImageFont
from rich.progress import track

from mmspec.datasets.image_io import UnreadableImageError
from mmspec.datasets.segmentation import InfraredSegDataset
from mmspec.datasets.segmentation.pairing import Fault
from mmspec.datasets.synthetic import SyntheticInfrared
from mmspec.datasets.transforms import LabelError, LoadRGBTImageFromFile, LoadSegmentationLabels
from mmspec.registry import DATASETS
from mmspec.visualization.reconstruction import display_gain, titled_grid, to_display

DESCRIPTION = """\
Check a data set by its class name: count images, labels, classes, sizes and bit depths, list every
file that cannot be read, has no counterpart or holds a label outside the classes, and draw samples
with their labels. The exit status is 1 if anything is wrong.
"""
EPILOG = """\
examples:
  check_dataset.py MSRSDataset data/MSRS --split test --out sheet.png
  check_dataset.py MSRSDataset data/MSRS --options modality=both
  check_dataset.py PST900Dataset data/PST900 --options data_prefix.infrared_path=train/thermal_raw
  check_dataset.py SyntheticInfrared --options length=60 --out sheet.png
"""
TILE_WIDTH = 320
LEAST_SAMPLES_SHOWN = 12
SAMPLES_A_ROW = 2
TINT = 0.55
BLACK = (0, 0, 0)


class Check(Protocol):
    """What a kind of data set brings along to be checked; tasks that follow add theirs."""

    faults: list[Fault]

    def __len__(self) -> int: ...

    def read_all(self, workers: int) -> None:
        """Read every sample and add to ``faults``."""

    def summary(self) -> Iterator[str]:
        """Lines to print."""

    def sheet(self) -> np.ndarray | None:
        """(H, W, 3) uint8 picture of samples; None if none is without a fault."""


@dataclass
class SegmentationRecord:
    """What one sample holds; ``pixels`` are (classes + 1,) counts, the last of ignored ones."""

    size: tuple[int, int] | None = None
    pixels: np.ndarray | None = None
    kinds: list[str] = field(default_factory=list)
    remarks: list[Fault] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class SegmentationCheck:
    """A data set with a class for every pixel, from files or rendered."""

    def __init__(self, dataset: InfraredSegDataset | SyntheticInfrared) -> None:
        self.classes = dataset.metainfo["classes"]
        self.palette = np.array(dataset.metainfo["palette"], np.uint8)
        self.records: list[SegmentationRecord] = []
        if isinstance(dataset, SyntheticInfrared):
            dataset.full_init()
            self.samples, self.faults = range(len(dataset)), []
            self.load = partial(load_rendered, dataset)
        else:
            self.samples, self.faults = dataset.match_files()
            self.load = partial(load_from_files, dataset.label_codes)
        self.unpaired = len(self.faults)

    def __len__(self) -> int:
        return len(self.samples)

    def read_all(self, workers: int) -> None:
        read = partial(read_segmentation, self.load, len(self.classes))
        self.records = in_parallel(read, self.samples, workers)
        self.faults = self.faults + [fault for record in self.records for fault in record.faults]

    def summary(self) -> Iterator[str]:
        good = [record for record in self.records if not record.faults]
        yield (
            f"{len(self):,} samples, {len(good):,} without a fault;"
            f" {self.unpaired:,} names without a counterpart"
        )
        for kind, count in Counter(k for record in self.records for k in record.kinds).items():
            yield f"  {count:>7,}  {kind}"
        sizes = Counter(record.size for record in self.records if record.size)
        for (height, width), count in sizes.most_common(5):
            yield f"  {count:>7,}  images of {width} x {height} pixels"
        if len(sizes) > 5:
            yield f"           and {len(sizes) - 5:,} other sizes"
        counts = [record.pixels for record in self.records if record.pixels is not None]
        if counts:
            yield from class_table((*self.classes, "(ignored)"), np.array(counts))
        remarks = [remark for record in self.records for remark in record.remarks]
        for reason, count in Counter(remark.reason for remark in remarks).items():
            first = next(remark.path for remark in remarks if remark.reason == reason)
            yield f"note: {count:,} files, the first is {first}: {reason}"

    def sheet(self) -> np.ndarray | None:
        chosen = choose_samples(self.records, len(self.classes))
        if not chosen:
            return None
        height, width = self.records[chosen[0]].size
        size = (TILE_WIDTH, min(TILE_WIDTH, round(TILE_WIDTH * height / width)))
        tiles = []
        for index in chosen:
            image, labels, name = self.load(self.samples[index], SegmentationRecord())
            tiles += [tile(image, size, name), tile(overlay(image, labels, self.palette), size)]
        a_row = 2 * SAMPLES_A_ROW
        tiles += [np.full_like(tiles[0], 250)] * (-len(tiles) % a_row)
        rows = [tiles[start : start + a_row] for start in range(0, len(tiles), a_row)]
        grid = titled_grid(rows, ("image", "label") * SAMPLES_A_ROW)
        return np.vstack([grid, legend(self.classes, self.palette, grid.shape[1])])


def load_from_files(
    codes, sample: dict, record: SegmentationRecord
) -> tuple[np.ndarray | None, np.ndarray | None, str]:
    """(H, W) or RGB (H, W, 3) image, (H, W) labels and name; None and a fault if unusable."""
    shown = {}
    sides = ("infrared", "visible") if sample["modality"] == "both" else (sample["modality"],)
    for side in sides:
        path = sample[f"{side}_path"]
        record.kinds.append(f"{side} images: {file_kind(path)}")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                loaded = LoadRGBTImageFromFile()(dict(sample, modality=side))["img"]
                shown[side] = loaded[..., 0] if side == "infrared" else loaded[..., ::-1]
            except UnreadableImageError as error:
                record.faults.append(Fault(path, error.reason))
        said = [
            str(w.message).removeprefix(f"{path}: ").removesuffix(" (said once)") for w in caught
        ]
        record.remarks += [Fault(path, text) for text in said]
    sizes = [f"{image.shape[1]} x {image.shape[0]}" for image in shown.values()]
    if len(set(sizes)) > 1:
        reason = f"{sizes[0]} pixels, its visible image {sample['visible_path']} {sizes[1]}"
        record.faults.append(Fault(sample["infrared_path"], reason))
    path = sample["seg_map_path"]
    record.kinds.append(f"labels: {file_kind(path)}")
    image = next(iter(shown.values()), None)
    known = {} if image is None else dict(ori_shape=image.shape[:2])
    labels = None
    try:
        wanted = dict(sample, label_codes=codes, seg_fields=[], **known)
        labels = LoadSegmentationLabels()(wanted)["gt_seg_map"]
    except LabelError as error:
        record.faults.append(Fault(path, error.reason))
    return image, labels, sample["img_path"]


def load_rendered(
    dataset: SyntheticInfrared, index: int, record: SegmentationRecord
) -> tuple[np.ndarray, np.ndarray, str]:
    sample = dataset.get_data_info(index)
    record.kinds.append("rendered scenes, 8-bit gray")
    return sample["img"], sample["gt_seg_map"], sample["img_path"]


def read_segmentation(load: Callable, classes: int, sample: dict | int) -> SegmentationRecord:
    record = SegmentationRecord()
    image, labels, _ = load(sample, record)
    record.size = None if image is None else image.shape[:2]
    if labels is not None:
        counts = np.bincount(labels.ravel(), minlength=256)
        record.pixels = np.append(counts[:classes], counts[classes:].sum())
    return record


def file_kind(path: str) -> str:
    """Format and bit depth by the file's head, such as 'PNG, 16-bit gray'."""
    try:
        if Path(path).suffix.lower() in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as tiff:
                page = tiff.pages[0]
                return f"TIFF, {page.bitspersample}-bit, {page.samplesperpixel} channels"
        with Image.open(path) as image, open(path, "rb") as file:
            depth = file.read(25)[24] if image.format == "PNG" else 8
            kind = dict(L="gray", P="palette", RGB="colour", RGBA="four channels")
            mode = "gray" if image.mode.startswith(("I", "1")) else kind.get(image.mode, image.mode)
            return f"{image.format}, {depth}-bit {mode}"
    except Exception:  # damaged: the fault comes from the loading step
        return "unknown kind"


def class_table(names: tuple[str, ...], counts: np.ndarray) -> Iterator[str]:
    """Lines of pixels, share and images of each class, from counts (images, classes + 1)."""
    width = max(map(len, names))
    totals, images = counts.sum(axis=0), (counts > 0).sum(axis=0)
    yield f"  {'class':{width}}{'pixels':>16}{'share':>9}{'images':>9}"
    for name, total, present in zip(names, totals, images):
        if name != names[-1] or total:
            share = f"{total / totals.sum():.2%}"
            yield f"  {name:{width}}{total:>16,}{share:>9}{present:>9,}"
    if absent := [name for name, total in zip(names[:-1], totals) if not total]:
        yield f"note: no pixel of {', '.join(absent)}"


def choose_samples(records: list[SegmentationRecord], classes: int) -> list[int]:
    """For every class the image with most of it, then others evenly spaced; no faulty ones."""
    usable = [i for i, record in enumerate(records) if not record.faults]
    wanted = min(max(LEAST_SAMPLES_SHOWN, classes), len(usable))
    chosen: dict[int, None] = {}
    for index in range(classes):
        best = max(usable, key=lambda i: records[i].pixels[index], default=None)
        if best is not None and records[best].pixels[index]:
            chosen[best] = None
    for position in np.linspace(0, len(usable) - 1, wanted).round().astype(int):
        if len(chosen) < wanted:
            chosen[usable[position]] = None
    return sorted(chosen)


def overlay(image: np.ndarray, labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Labels in the colours of the palette over the image; black leaves the image as it is."""
    shown = as_colour(image)
    colours = np.concatenate([palette, np.zeros((256 - len(palette), 3), np.uint8)])[labels]
    tinted = ((1 - TINT) * shown + TINT * colours).round().astype(np.uint8)
    return np.where(colours.any(axis=-1, keepdims=True), tinted, shown)


def as_colour(image: np.ndarray) -> np.ndarray:
    return to_display(image, display_gain(image)) if image.ndim == 2 else image


def tile(image: np.ndarray, size: tuple[int, int], name: str = "") -> np.ndarray:
    """(H, W, 3) uint8 of a size (width, height) with the picture inside and its file's name."""
    image = as_colour(image)
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    inside = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    sheet = Image.new("RGB", size, (250, 250, 250))
    sheet.paste(Image.fromarray(cv2.resize(np.ascontiguousarray(image), inside, interpolation=way)))
    if name:
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
        text = name.replace("\\", "/").rpartition("/")[2]
        draw.rectangle(draw.textbbox((3, 2), text, font=font), fill=BLACK)
        draw.text((3, 2), text, fill=(255, 255, 255), font=font)
    return np.asarray(sheet)


def legend(classes: tuple[str, ...], palette: np.ndarray, width: int) -> np.ndarray:
    """Class names beside their colours, as many a line as fit."""
    font, line, box = ImageFont.load_default(), 18, 12
    steps = [box + 26 + int(font.getlength(name)) for name in classes]
    places, x, y = [], 6, 4
    for step in steps:
        if x + step > width and x > 6:
            x, y = 6, y + line
        places.append((x, y))
        x += step
    strip = Image.new("RGB", (width, y + line + 4), (250, 250, 250))
    draw = ImageDraw.Draw(strip)
    for name, colour, (x, y) in zip(classes, palette.tolist(), places):
        draw.rectangle((x, y, x + box, y + box), fill=tuple(colour), outline=BLACK)
        draw.text((x + box + 5, y), name, fill=(20, 20, 20), font=font)
    return np.asarray(strip)


def in_parallel(read: Callable, samples: Iterable, workers: int) -> list:
    show = partial(track, total=len(samples), description="Reading")
    if workers == 1:
        return list(show(map(read, samples)))
    with multiprocessing.Pool(workers) as pool:
        return list(show(pool.imap(read, samples, chunksize=8)))


def check_of(name: str, arguments: dict) -> Check:
    """The check of a registered data set, built with those of the arguments that it takes."""
    cls = DATASETS.get(f"mmspec.{name}")
    if not inspect.isclass(cls):  # the stand-in of a package that is not installed says so
        cls(**arguments)
    if not (issubclass(cls, SyntheticInfrared) or issubclass(cls, InfraredSegDataset)):
        raise ValueError(f"{name}: no check for this kind of data set yet")
    taken = inspect.signature(cls).parameters
    if "data_root" in taken and "data_root" not in arguments:
        raise ValueError(f"{name} lies in a folder: give ROOT")
    arguments = {key: value for key, value in arguments.items() if key in taken or key != "split"}
    return SegmentationCheck(cls(**arguments, lazy_init=True))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="class, with or without 'mmspec.'")
    parser.add_argument("root", metavar="ROOT", nargs="?", help="its folder")
    parser.add_argument("--split", default="train", help="default %(default)s")
    parser.add_argument("--out", help="picture of samples with their labels to write")
    parser.add_argument(
        "--options",
        nargs="+",
        action=DictAction,
        default={},
        metavar="KEY=VALUE",
        help="other arguments of the class",
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes, default %(default)s"
    )
    args = parser.parse_args()
    args.name = args.name.removeprefix("mmspec.")
    if f"mmspec.{args.name}" not in DATASETS:
        DATASETS.import_from_location()
        parser.error(
            f"no data set {args.name}; there are {', '.join(sorted(DATASETS.module_dict))}"
        )
    if args.workers < 1:
        parser.error("--workers must be at least 1")
    return args


def draw(sheet: np.ndarray | None, out: str) -> None:
    if sheet is None:
        print("no picture: no sample is without a fault")
        return
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(out)
    print(f"picture: {out}")


def main() -> None:
    args = parse_args()
    options = Config()
    options.merge_from_dict(args.options)
    arguments = dict(split=args.split, **options.to_dict())
    if args.root is not None:
        arguments["data_root"] = args.root
    try:
        check = check_of(args.name, arguments)
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.exit(f"error: {error}")
    check.read_all(args.workers)
    for line in check.summary():
        print(line)
    for fault in check.faults:
        print(f"fault: {fault.path}: {fault.reason}")
    if args.out:
        draw(check.sheet(), args.out)
    if check.faults:
        sys.exit(f"error: {args.name} has {len(check.faults):,} faults, listed above")
    print("no fault found")


if __name__ == "__main__":
    main()
