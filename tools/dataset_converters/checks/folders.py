"""Check a folder of images, or of pairs, without labels."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from mmspec.datasets.files import Fault
from mmspec.datasets.image_io import UnreadableImageError
from mmspec.datasets.infrared_folder import InfraredFolder
from mmspec.datasets.modality import sample_of
from mmspec.datasets.rgbt_folder import RGBTFolder
from mmspec.datasets.transforms import LoadInfraredImageFromFile

from . import Check
from .images import FileRecord, kinds_and_sizes, load_sides, remark_lines
from .sheet import choose_samples, grid_of, tile

COLUMNS = {"infrared": ("infrared",) * 4, "both": ("infrared", "visible") * 2}


class FolderCheck(Check):
    """Images to pre-train on, or aligned pairs, to match too."""

    tile_width = 320

    def __init__(self, dataset: InfraredFolder) -> None:
        broken: list[Fault] = []  # recordings, of which the data set raises the first

        def note(error: UnreadableImageError) -> None:
            broken.append(Fault(str(error).removesuffix(f": {error.reason}"), error.reason))

        dataset.leave_out = note
        unpaired: list[Fault] = []
        if isinstance(dataset, RGBTFolder):
            self.modality = "both"
            pairs, unpaired = dataset.match_files()
            self.samples = [sample_of(pair) for pair in pairs]
        else:
            self.modality = "infrared"
            try:
                self.samples = dataset.load_data_list()
            except FileNotFoundError:
                if not broken:
                    raise
                self.samples = []  # each file is a broken recording
        self.unpaired = len(unpaired)
        self.faults = unpaired + broken
        self.read = partial(read_images, self.modality)

    def summary(self) -> Iterator[str]:
        good = sum(not record.faults for record in self.records)
        line = f"{len(self):,} samples, {good:,} without a fault"
        if self.modality == "both":
            line += f"; {self.unpaired:,} names without a counterpart"
        yield line
        yield from kinds_and_sizes(self.records)
        yield from remark_lines(self.records)

    def sheet(self) -> np.ndarray | None:
        good = [None if record.faults else np.empty(0) for record in self.records]
        chosen = choose_samples(good, classes=0)
        if not chosen:
            return None
        size = self.tile_size(chosen[0])
        tiles = [
            tile(image, size, self.samples[index]["img_path"])
            for index in chosen
            for image in load(self.modality, self.samples[index], FileRecord()).values()
        ]
        return grid_of(tiles, COLUMNS[self.modality])


def read_images(modality: str, sample: dict) -> FileRecord:
    record = FileRecord()
    load(modality, sample, record)
    return record


def load(modality: str, sample: dict, record: FileRecord) -> dict[str, np.ndarray]:
    """The images by side, read as the configs of pre-training do: single ones not too small."""
    if modality == "both":
        return load_sides(sample, record)
    sample = dict(sample, modality=modality, infrared_path=sample["img_path"])
    return load_sides(sample, record, LoadInfraredImageFromFile(color_type="color"))
