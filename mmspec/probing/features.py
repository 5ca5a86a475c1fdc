"""Features of a set of images, computed once and kept on disk."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from .encoders import FrozenEncoder, ProbeError
from .images import ProbedImages

_BATCH = 16


@dataclass(frozen=True)
class Features:
    """Maps of images beside their labels.

    Attributes:
        maps: (N, C, h, w) float16 by name, memory-mapped.
        labels: (N, H, W) uint8 of pixels, or (N,) int32 of images, memory-mapped.
        classes: names of the labels' values.
        image_names: N paths.
    """

    maps: dict[str, np.ndarray]
    labels: np.ndarray
    classes: tuple[str, ...]
    image_names: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The maps, and ``'all'`` where there are several."""
        return [*self.maps, "all"] if len(self.maps) > 1 else list(self.maps)

    def levels(self, name: str, which: slice | np.ndarray) -> list[Tensor]:
        """The maps behind a name, of some images, (n, C, h, w) float32 each."""
        names = self.maps if name == "all" else (name,)
        return [torch.from_numpy(self.maps[n][which].astype(np.float32)) for n in names]

    def take(self, name: str, which: slice | np.ndarray) -> Tensor:
        """The map of some images, (n, C, h, w) float32; ``'all'``: all maps side by side."""
        parts = self.levels(name, which)
        grid = max((part.shape[-2:] for part in parts), key=lambda side: side[0])
        parts = [
            part if part.shape[-2:] == grid else F.interpolate(part, grid, mode="bilinear")
            for part in parts
        ]
        return torch.cat(parts, 1)

    def batches(self, name: str, size: int = _BATCH) -> Iterator[Tensor]:
        """:meth:`take` of all images, in pieces."""
        for start in range(0, len(self.labels), size):
            yield self.take(name, slice(start, start + size))


def compute_features(
    encoder: FrozenEncoder,
    images: ProbedImages,
    folder: str | Path,
    rolled: bool = False,
    device: str = "cpu",
) -> Features:
    """Run the encoder over all images, or open what an earlier run has left in ``folder``.

    Args:
        encoder: the frozen network.
        images: what it sees.
        folder: for the arrays, by key; maps go to it image by image, in half precision.
        rolled: shift each image by its own random number of patches, wrapping around, and its
            maps back: where something lies in the image then tells nothing about what it is,
            but for a seam.
        device: of the network.

    Raises:
        ProbeError: the size is no multiple of the encoder's stride, or a map covers another area.
    """
    if images.size % encoder.stride:
        raise ProbeError(f"size={images.size}: a multiple of {encoder.stride}")
    home = Path(folder) / f"{encoder.key}-{images.key}{'-rolled' if rolled else ''}"
    done = home / "done.json"
    if not done.is_file():
        part = home.with_name(home.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        names = _write(encoder.to(device), images, part, rolled, device)
        (part / "done.json").write_text(json.dumps(names))
        shutil.rmtree(home, ignore_errors=True)
        part.rename(home)
    maps = {name: np.load(home / f"{name}.npy", mmap_mode="r") for name in encoder.names}
    labels = np.load(home / "labels.npy", mmap_mode="r")
    return Features(maps, labels, images.classes, tuple(json.loads(done.read_text())))


def _write(
    encoder: FrozenEncoder, images: ProbedImages, folder: Path, rolled: bool, device: str
) -> list[str]:
    shape = (len(images), *images.label_shape)
    labels = np.lib.format.open_memmap(folder / "labels.npy", "w+", images.label_dtype, shape)
    draws = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    names: list[str] = []
    pending: list[np.ndarray] = []
    progress = tqdm(
        images, f"features of {encoder.name}, {images.split}", len(images), disable=None
    )
    for index, (name, image, label) in enumerate(progress):
        names.append(name)
        labels[index] = label
        pending.append(image)
        if len(pending) < _BATCH and index + 1 < len(images):
            continue
        batch = torch.from_numpy(np.stack(pending)[:, None]).to(device)
        stride = encoder.stride
        moves = draws.integers(0, images.size // stride, (len(pending), 2)) * stride * rolled
        batch = _roll(batch, moves)
        for key, value in encoder(batch).items():
            if value.shape[-1] != value.shape[-2] or images.size % value.shape[-1]:
                raise ProbeError(
                    f"{encoder.name}: {key} has {value.shape[-2]} x {value.shape[-1]} cells, which"
                    f" do not share out an image of {images.size} pixels a side"
                )
            if images.size // value.shape[-1] < images.finest:
                value = F.adaptive_avg_pool2d(value, images.size // images.finest)
            value = _roll(value, -moves * value.shape[-1] // images.size).cpu().numpy()
            if key not in arrays:
                arrays[key] = np.lib.format.open_memmap(
                    folder / f"{key}.npy", "w+", np.float16, (len(images), *value.shape[1:])
                )
            arrays[key][index + 1 - len(pending) : index + 1] = value
        pending.clear()
    return names


def _roll(batch: Tensor, moves: np.ndarray) -> Tensor:
    if not moves.any():
        return batch
    return torch.stack([x.roll(tuple(move), (-2, -1)) for x, move in zip(batch, moves.tolist())])


def draw_images(number: int, share: float, draws: np.random.Generator) -> np.ndarray:
    """Indices of a share of so many images, drawn at random; ProbeError where that is none."""
    count = round(share * number)
    if count < 1:
        raise ProbeError(f"share={share} of {number} images: not one")
    return draws.permutation(number)[:count]


def check_same_maps(known: Features, asked: Features) -> None:
    """Raise ProbeError where two sets of features are not those of one encoder at one size."""
    shapes = [{name: maps.shape[1:] for name, maps in one.maps.items()} for one in (known, asked)]
    if shapes[0] != shapes[1]:
        raise ProbeError(f"maps of two kinds, to learn from {shapes[0]}, to judge {shapes[1]}")
    if known.classes != asked.classes:
        raise ProbeError(f"classes {known.classes} to learn from, {asked.classes} to judge")
