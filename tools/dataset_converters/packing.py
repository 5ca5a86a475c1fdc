"""Images and pairs as ``pack_corpus.py`` packs them, read by several processes."""

import os
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mmspec.datasets.image_io import SEQUENCE, decode_visible, sequence_limits, sequence_of
from mmspec.datasets.packed import pixel_hash
from mmspec.datasets.transforms.loading import content_of
from mmspec.thermal.errors import UnreadableImageError
from mmspec.thermal.read import decode
from mmspec.thermal.scaling import Scaling, to_gray

ROUNDED = "values are rounded to float32, of"
FILLED = "pixels without a measurement in 8 bits are packed as the image's minimum"


@dataclass
class Packed:
    """An image or a pair as it is packed, or why it cannot be."""

    arrays: list[np.ndarray] = field(default_factory=list)
    source_size: tuple[int, int] = (0, 0)
    source_dtype: str = ""
    hash: bytes = b""
    remarks: tuple[str, ...] = ()
    fault: str = ""


class Packer(Dataset):
    """Reads samples and makes them as small as they shall be; see the options of the tool.

    Args:
        samples: paths of each, infrared alone or infrared and visible.
        scaling: what decides how files are read, and all of it where ``depth`` is '8'.
        depth: 'source' or '8'.
        short_side: longest, pixels; 0: any.
        min_side: an image with both sides shorter is broken.
    """

    def __init__(
        self,
        samples: list[tuple[str, ...]],
        scaling: Scaling,
        depth: str,
        short_side: int,
        min_side: int,
    ) -> None:
        self.samples, self.scaling, self.depth = samples, scaling, depth
        self.short_side, self.min_side = short_side, min_side

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> Packed:
        infrared, *visible = self.samples[number]
        name = infrared
        try:
            packed = self.infrared(infrared)
            for name in visible:
                with warnings.catch_warnings(record=True) as told:
                    warnings.simplefilter("always")
                    pixels = decode_visible(content_of({}, name, None), name)
                packed.remarks += tuple(str(one.message).removeprefix(f"{name}: ") for one in told)
                if pixels.shape[:2] != packed.source_size:
                    sizes = [f"{w} x {h}" for h, w in (packed.source_size, pixels.shape[:2])]
                    reason = f"{sizes[1]} pixels, its infrared image {infrared} {sizes[0]}"
                    raise UnreadableImageError.of(name, f"{reason}: not an aligned pair")
                packed.arrays.append(smaller(pixels, self.short_side)[..., ::-1])
        except UnreadableImageError as error:
            return Packed(fault=f"{name}: {error.reason}")
        packed.hash = pixel_hash(packed.arrays)
        return packed

    def infrared(self, name: str) -> Packed:
        image = decode(content_of({}, name, None), self.scaling.unit, palette=self.scaling.palette)
        values, remarks = image.values, image.remarks
        if max(values.shape) < self.min_side:
            height, width = values.shape
            reason = f"{width} x {height} pixels, both sides under --min-side {self.min_side}"
            raise UnreadableImageError(reason)
        if image.frames > 1:
            remarks = (*remarks, SEQUENCE)
        absent = None
        if self.depth == "8":
            limits = None
            if self.scaling.sequence and values.dtype != np.uint8:
                limits = limits_of_sequence(sequence_of(name), self.scaling)
            values, of_scaling = to_gray(image, self.scaling, limits)
            remarks += of_scaling
        elif values.dtype == np.uint8:
            remarks += () if image.absent is None else (FILLED,)
        elif values.dtype != np.uint16 or image.absent is not None:
            absent, exact = image.absent, values
            values = values.astype(np.float32)
            if not np.array_equal(values, exact, equal_nan=True):
                remarks += (f"{ROUNDED} {exact.dtype}",)
            if absent is not None:
                values[absent] = values[~absent].min()
        small = smaller(values, self.short_side)
        if absent is not None:  # as an array in memory says it
            share = smaller(absent.astype(np.float32), self.short_side, Image.Resampling.BOX)
            small = np.where(share > 0, np.float32(np.nan), small)
        dtype = image.values.dtype.newbyteorder("<").str
        return Packed([small], values.shape, dtype, remarks=remarks)


limits_of_sequence = lru_cache(sequence_limits)


def smaller(
    values: np.ndarray, short_side: int, how: Image.Resampling = Image.Resampling.BICUBIC
) -> np.ndarray:
    """Resize, antialiased, to a short side; what is not longer stays, as does the depth."""
    short = min(values.shape[:2])
    if not short_side or short <= short_side:
        return values
    height, width = (round(side * short_side / short) for side in values.shape[:2])
    deep = values.dtype != np.uint8
    image = Image.fromarray(values.astype(np.float32) if deep else values)
    resized = np.asarray(image.resize((width, height), how))
    if values.dtype == np.uint16:
        resized = np.rint(resized).clip(0, 65535)
    return resized.astype(values.dtype, copy=False)


def packed(packer: Packer, numbers: range | list[int], workers: int) -> Iterator[Packed]:
    """In order."""
    workers, how = min(workers, len(numbers)), {}
    if workers > 1:
        how = dict(num_workers=workers, prefetch_factor=16, worker_init_fn=end_with_parent)
    return iter(DataLoader(packer, batch_size=None, sampler=numbers, collate_fn=as_it_is, **how))


def end_with_parent(worker: int) -> None:
    """A worker whose pipe is full would outlive a process that is killed."""

    def watch(parent: int = os.getppid()) -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def as_it_is(sample: Packed) -> Packed:
    return sample
