"""Features of a set of images, computed once and kept on disk."""

from __future__ import annotations

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

from .encoders import FrozenEncoder
from .images import LabelledImages

FINEST = 8  # pixels of a cell: maps at 1/4 are averaged to it
_BATCH = 16


@dataclass(frozen=True)
class Features:
    """Maps of images beside their labels.

    Attributes:
        maps: (N, C, h, w) float16 by name, memory-mapped.
        labels: (N, H, W) uint8, memory-mapped.
        classes: names of the labels' values.
        image_names: N paths.
    """

    maps: dict[str, np.ndarray]
    labels: np.ndarray
    classes: tuple[str, ...]
    image_names: tuple[str, ...]

    def batches(self, name: str, size: int = _BATCH) -> Iterator[Tensor]:
        """The map in pieces, (n, C, h, w) float32; ``'all'``: all maps side by side."""
        for start in range(0, len(self.labels), size):
            names = self.maps if name == "all" else (name,)
            parts = [
                torch.from_numpy(self.maps[n][start : start + size].astype(np.float32))
                for n in names
            ]
            grid = max((part.shape[-2:] for part in parts), key=lambda side: side[0])
            parts = [
                part if part.shape[-2:] == grid else F.interpolate(part, grid, mode="bilinear")
                for part in parts
            ]
            yield torch.cat(parts, 1)


def compute_features(
    encoder: FrozenEncoder,
    images: LabelledImages,
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
    """
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
    encoder: FrozenEncoder, images: LabelledImages, folder: Path, rolled: bool, device: str
) -> list[str]:
    shape = (len(images), images.size, images.size)
    labels = np.lib.format.open_memmap(folder / "labels.npy", "w+", np.uint8, shape)
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
        moves = draws.integers(0, images.size // 16, (len(pending), 2)) * 16 * rolled
        batch = _roll(batch, moves)
        for key, value in encoder(batch).items():
            if images.size // value.shape[-1] < FINEST:
                value = F.adaptive_avg_pool2d(value, images.size // FINEST)
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
