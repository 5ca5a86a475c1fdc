"""Check a data set with boxes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from mmspec.datasets.detection import InfraredDetDataset
from mmspec.datasets.detection.coco_json import AnnotatedImage
from mmspec.datasets.modality import MODALITY_PATHS
from mmspec.visualization.detection import TO_IGNORE
from mmspec.visualization.panels import legend
from mmspec.visualization.segmentation import infrared_palette

from . import Check
from .images import FileRecord, kinds_and_sizes, load_sides, remark_lines
from .sheet import choose_samples, grid_of, tile

SMALL, MEDIUM = 32**2, 96**2  # pixels; COCO's: small below the first, large from the second on
COLUMNS = {
    "infrared": ("infrared",) * 3,
    "visible": ("visible",) * 3,
    "both": ("infrared", "visible") * 2,
}


@dataclass
class DetectionSample:
    """A sample with the boxes of its image."""

    info: dict
    image: AnnotatedImage


class DetectionCheck(Check):
    """A data set with boxes from a COCO file."""

    tile_width = 480

    def __init__(self, dataset: InfraredDetDataset) -> None:
        self.classes = tuple(dataset.metainfo["classes"])
        self.palette = list(map(tuple, infrared_palette(len(self.classes), None).tolist()))
        self.modality = dataset.modality
        images, self.findings = dataset.read_annotations()
        samples = [DetectionSample(dataset.sample_of(image), image) for image in images]
        absent = dataset.absent_images(sample.info for sample in samples)
        gone = {fault.path for fault in absent}
        roles = MODALITY_PATHS[self.modality]
        self.samples = [s for s in samples if gone.isdisjoint(s.info[role] for role in roles)]
        self.faults = self.findings.faults + self.findings.dropped + absent
        self.read = read_images

    def summary(self) -> Iterator[str]:
        empty = sum(all(box.ignored for box in s.image.boxes) for s in self.samples)
        good = sum(not record.faults for record in self.records)
        yield (
            f"{len(self):,} images, {good:,} of them without a fault and {empty:,} without an"
            " object"
        )
        yield from kinds_and_sizes(self.records)
        yield from self._class_table()
        for name, count in self.findings.left_out.items():
            yield f"note: {count:,} boxes of {name}, which is not among the classes"
        if clipped := self.findings.clipped:
            yield (
                f"note: {len(clipped):,} boxes are clipped to their image, the first is"
                f" {clipped[0].path}: {clipped[0].reason}"
            )
        yield from remark_lines(self.records)

    def _class_table(self) -> Iterator[str]:
        """Lines of boxes, images and shares of COCO's sizes of each class."""
        boxes = [(i, box) for i, s in enumerate(self.samples) for box in s.image.boxes]
        objects = [(i, box.label, box.area) for i, box in boxes if not box.ignored]
        rows = {
            name: [(i, area) for i, label, area in objects if label == index]
            for index, name in enumerate(self.classes)
        }
        rows["(all)"] = [(i, area) for i, _, area in objects]
        rows["(to ignore)"] = [(i, box.area) for i, box in boxes if box.ignored]
        width = max(map(len, rows))
        yield (
            f"  {'class':{width}}{'boxes':>9}{'share':>9}{'images':>9}"
            f"{'small':>9}{'medium':>9}{'large':>9}"
        )
        for name, found in rows.items():
            if found:
                areas = np.array([area for _, area in found])
                small, large = (areas < SMALL).mean(), (areas >= MEDIUM).mean()
                share = "" if name == "(to ignore)" else f"{len(found) / len(objects):.2%}"
                yield (
                    f"  {name:{width}}{len(found):>9,}{share:>9}{len({i for i, _ in found}):>9,}"
                    f"{small:>9.1%}{1 - small - large:>9.1%}{large:>9.1%}"
                )
        if absent := [name for name in self.classes if not rows[name]]:
            yield f"note: no box of {', '.join(absent)}"

    def sheet(self) -> np.ndarray | None:
        counts = [
            None if record.faults else self._count(sample)
            for sample, record in zip(self.samples, self.records)
        ]
        chosen = choose_samples(counts, len(self.classes))
        if not chosen:
            return None
        tiles, size = [], self.tile_size(chosen[0])
        for index in chosen:
            sample = self.samples[index]
            for image in load_sides(sample.info, FileRecord()).values():
                tiles.append(self._draw(image, sample.image, size))
        grid = grid_of(tiles, COLUMNS[self.modality])
        entries = list(zip(self.classes, self.palette))
        if any(box.ignored for sample in self.samples for box in sample.image.boxes):
            entries.append(("(to ignore)", TO_IGNORE))
        return np.vstack([grid, legend(entries, grid.shape[1])])

    def _count(self, sample: DetectionSample) -> np.ndarray:
        labels = [box.label for box in sample.image.boxes if not box.ignored]
        return np.bincount(labels or [0], minlength=len(self.classes)) * bool(labels)

    def _draw(self, pixels: np.ndarray, image: AnnotatedImage, size: tuple[int, int]) -> np.ndarray:
        """The image in a tile of a size (width, height), with outlines around its boxes."""
        scale = min(size[0] / image.width, size[1] / image.height)
        shown = Image.fromarray(tile(pixels, size, image.file_name))
        draw = ImageDraw.Draw(shown)
        for box in image.boxes:
            colour = TO_IGNORE if box.ignored else self.palette[box.label]
            # The outline stands around the pixels of the object, not on them.
            x1, y1, x2, y2 = (round(value * scale) for value in box.xyxy)
            draw.rectangle((x1 - 1, y1 - 1, x2, y2), outline=colour)
        return np.asarray(shown)


def read_images(sample: DetectionSample) -> FileRecord:
    record = FileRecord()
    load_sides(sample.info, record)
    return record
