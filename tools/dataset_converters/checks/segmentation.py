"""Check a data set with a class for every pixel."""

# Without mmseg its data sets are functions, which know no "|".
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from mmspec.datasets.files import Fault
from mmspec.datasets.label_io import LabelError
from mmspec.datasets.segmentation import InfraredSegDataset
from mmspec.datasets.synthetic import SyntheticInfrared
from mmspec.datasets.transforms import LoadSegmentationLabels
from mmspec.visualization.panels import as_shown, legend
from mmspec.visualization.segmentation import background_of, infrared_palette, label_overlay

from . import Check
from .images import FileRecord, file_kind, kinds_and_sizes, load_sides, remark_lines
from .sheet import choose_samples, grid_of, tile

SAMPLES_A_ROW = 2


@dataclass
class SegmentationRecord(FileRecord):
    """What one sample holds; ``pixels`` are (classes + 1,) counts, the last of ignored ones."""

    pixels: np.ndarray | None = None


class SegmentationCheck(Check):
    """A data set with a class for every pixel, from files or rendered."""

    tile_width = 320

    def __init__(self, dataset: InfraredSegDataset | SyntheticInfrared) -> None:
        self.classes = dataset.metainfo["classes"]
        self.background = background_of(self.classes)
        self.palette = infrared_palette(len(self.classes), self.background)
        if isinstance(dataset, SyntheticInfrared):
            dataset.full_init()
            self.samples, self.faults = range(len(dataset)), []
            self.load = partial(load_rendered, dataset)
        else:
            self.samples, self.faults = dataset.match_files()
            self.load = partial(load_from_files, dataset.label_codes)
        self.read = partial(read_segmentation, self.load, len(self.classes))
        self.unpaired = len(self.faults)

    def summary(self) -> Iterator[str]:
        good = [record for record in self.records if not record.faults]
        yield (
            f"{len(self):,} samples, {len(good):,} without a fault;"
            f" {self.unpaired:,} names without a counterpart"
        )
        yield from kinds_and_sizes(self.records)
        counts = [record.pixels for record in self.records if record.pixels is not None]
        if counts:
            yield from class_table((*self.classes, "(ignored)"), np.array(counts))
        yield from remark_lines(self.records)

    def sheet(self) -> np.ndarray | None:
        pixels = [None if record.faults else record.pixels for record in self.records]
        chosen = choose_samples(pixels, len(self.classes))
        if not chosen:
            return None
        tiles, size = [], self.tile_size(chosen[0])
        for index in chosen:
            image, labels, name = self.load(self.samples[index], SegmentationRecord())
            tinted = label_overlay(as_shown(image), labels, self.palette, self.background)
            tiles += [tile(image, size, name), tile(tinted, size)]
        grid = grid_of(tiles, ("image", "label") * SAMPLES_A_ROW)
        entries = list(zip(self.classes, map(tuple, self.palette.tolist())))
        return np.vstack([grid, legend(entries, grid.shape[1])])


def load_from_files(
    codes, sample: dict, record: SegmentationRecord
) -> tuple[np.ndarray | None, np.ndarray | None, str]:
    """(H, W) or RGB (H, W, 3) image, (H, W) labels and name; None and a fault if unusable."""
    image = next(iter(load_sides(sample, record).values()), None)
    path = sample["seg_map_path"]
    record.kinds.append(f"labels: {file_kind(path)}")
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
    image, channels = sample["img"], sample["channels"]
    if image.ndim == 3:  # shown as from files: the infrared side of a pair, colours red first
        image = image[..., 0] if "infrared" in channels else image[..., ::-1]
    record.kinds.append(f"rendered scenes, 8-bit: {', '.join(dict.fromkeys(channels))}")
    return image, sample["gt_seg_map"], sample["img_path"]


def read_segmentation(load: Callable, classes: int, sample: dict | int) -> SegmentationRecord:
    record = SegmentationRecord()
    image, labels, _ = load(sample, record)
    record.size = None if image is None else image.shape[:2]
    if labels is not None:
        counts = np.bincount(labels.ravel(), minlength=256)
        record.pixels = np.append(counts[:classes], counts[classes:].sum())
    return record


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
