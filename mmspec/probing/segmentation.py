"""A dense probe: how well frozen features tell the classes of pixels apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmspec.conventions import IGNORE_INDEX
from mmspec.evaluation.segmentation import class_iou, count_pixels

from .encoders import FrozenEncoder, ProbeError
from .features import Features, compute_features
from .images import LabelledImages
from .linear import LinearProbe
from .neighbours import NearestNeighbours

JUDGES: dict[str, Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]] = dict(
    neighbours=NearestNeighbours, linear=LinearProbe
)
MEMORY = 20_000  # cells to learn from, drawn evenly from the images


def probe(
    encoder: str | FrozenEncoder,
    dataset: str,
    data_root: str,
    *,
    arch: str | dict | None = None,
    out: str | Path = "work_dirs/probe",
    size: int = 224,
    splits: tuple[str, str] = ("train", "test"),
    seeds: Sequence[int] = (0, 1, 2),
    shares: Sequence[float] = (1.0,),
    judges: Iterable[str] = tuple(JUDGES),
    rolled: bool = True,
    device: str = "cpu",
    **options,
) -> list[dict]:
    """Judge the frozen features of an encoder on a labelled data set.

    Every map of the encoder is judged by itself and all together (``all``), by nearest neighbours
    and by a linear classifier, and again with positions that tell nothing (``rolled``, see
    :func:`~mmspec.probing.features.compute_features`). A seed draws the images (where not all are
    used) and cells to learn from, and the weights of ``'random'``.

    Args:
        encoder: a checkpoint, ``'random'``, ``'pixels'`` or ``'positions'``.
        dataset, data_root: see :class:`LabelledImages`, with its ``options``.
        arch: see :class:`FrozenEncoder`.
        out: folder whose ``features`` keeps what was computed.
        size: pixels a side to which images are brought, a multiple of 16.
        splits: to learn from, and to judge on.
        seeds: one result each.
        shares: of the images to learn from.
        judges: 'neighbours', 'linear'.
        rolled: judge without positions too.
        device: of the encoder.

    Returns:
        A record for each encoder, map, judge, share, seed and ``rolled``, with ``mIoU`` and
        ``IoU`` by class in percent and ``confusion``, (images, classes, classes) int64.

    Raises:
        ProbeError: a share without an image, a size that is no multiple of 16, an unknown judge.
    """
    check_judges(judges)
    if size % 16:
        raise ProbeError(f"size={size}: a multiple of 16")
    learn, test = (LabelledImages(dataset, data_root, split, size, **options) for split in splits)
    records = []
    for seed in seeds:
        network = FrozenEncoder(encoder, arch, seed) if isinstance(encoder, str) else encoder
        # Cells of pixels move with the image: nothing to tell.
        for roll in (False, True) if rolled and network.name != "pixels" else (False,):
            known, asked = (
                compute_features(network, images, Path(out) / "features", roll, device)
                for images in (learn, test)
            )
            for record in probe_maps(known, asked, seed, shares, judges):
                records.append(dict(encoder=network.name, seed=seed, rolled=roll, **record))
    return records


def check_judges(judges: Iterable[str]) -> None:
    """Raise ProbeError for a judge that is none of ``JUDGES``."""
    for judge in judges:
        if judge not in JUDGES:
            raise ProbeError(f"judge {judge!r}: {', '.join(JUDGES)}")


def probe_maps(
    known: Features,
    asked: Features,
    seed: int = 0,
    shares: Sequence[float] = (1.0,),
    judges: Iterable[str] = tuple(JUDGES),
) -> Iterator[dict]:
    """Judge each map, and all together where there are several, of features that were computed.

    Args:
        known: to learn from.
        asked: of other images, to judge on.
        seed, shares, judges: see :func:`probe`.

    Yields:
        ``map``, ``judge``, ``share``, ``mIoU``, ``IoU`` and ``confusion``, as :func:`probe` does.
    """
    names = [*known.maps, "all"] if len(known.maps) > 1 else list(known.maps)
    for name, share in product(names, shares):
        cells, labels = draw_cells(known, name, share, seed)
        for judge in judges:
            found = predictions(JUDGES[judge](cells, labels), asked, name)
            counts = [
                count_pixels(truth, one, len(known.classes))
                for truth, one in zip(asked.labels, found)
            ]
            iou = class_iou(sum(counts))
            yield dict(
                map=name,
                judge=judge,
                share=share,
                mIoU=float(np.nanmean(iou)),
                IoU=dict(zip(known.classes, iou.tolist())),
                confusion=np.stack(counts),
            )


def draw_cells(features: Features, name: str, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Features (M, C) and label shares (M, classes) of at most ``MEMORY`` cells of some images.

    Cells without a labelled pixel are left out.
    """
    draws = np.random.default_rng(seed)
    count = round(share * len(features.labels))
    if count < 1:
        raise ProbeError(f"share={share} of {len(features.labels)} images: not one")
    chosen = np.zeros(len(features.labels), bool)
    chosen[draws.permutation(len(chosen))[:count]] = True
    budget = max(MEMORY // count, 1)
    cells, labels = [], []
    start = 0
    for batch in features.batches(name):
        for x in batch:
            if chosen[start]:
                shares, counted = label_shares(features, start, x.shape[-2:])
                places = torch.from_numpy(
                    draws.permutation(np.flatnonzero(counted.numpy()))[:budget]
                )
                cells.append(x.flatten(1).T[places])
                labels.append(shares[places])
            start += 1
    return torch.cat(cells), torch.cat(labels)


def label_shares(features: Features, index: int, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Share of each class in the labelled pixels of each cell, and which cells have any.

    Returns:
        (cells, classes) float32 and (cells,) bool.
    """
    label = torch.from_numpy(features.labels[index].astype(np.int64))
    hot = F.one_hot(
        label.where(label != IGNORE_INDEX, len(features.classes)), len(features.classes) + 1
    )
    pooled = F.adaptive_avg_pool2d(hot.permute(2, 0, 1).float(), grid).flatten(1).T[:, :-1]
    total = pooled.sum(1, keepdim=True)
    return pooled / total.clamp_min(1e-12), total[:, 0] > 0


def predictions(
    judge: Callable[[Tensor], Tensor], features: Features, name: str
) -> Iterator[np.ndarray]:
    """Class of every pixel of each image, (H, W) int64; scores are enlarged bilinearly."""
    for batch in features.batches(name):
        n, channels, *grid = batch.shape
        scores = judge(batch.flatten(2).transpose(1, 2).reshape(-1, channels))
        scores = scores.reshape(n, *grid, -1).permute(0, 3, 1, 2)
        yield from (
            F.interpolate(scores, features.labels.shape[1:], mode="bilinear").argmax(1).numpy()
        )


def paired_difference(
    one: np.ndarray, other: np.ndarray, draws: int = 2000, level: float = 0.95
) -> tuple[float, float, float]:
    """Difference of two mean IoU on the same images, and its bootstrap interval over images.

    Args:
        one, other: confusions, (images, classes, classes), of :func:`probe`.
        draws: of images, with replacement.
        level: of the interval.

    Returns:
        mIoU of ``one`` minus that of ``other`` in percent, and the bounds of the interval.
    """
    if one.shape != other.shape:
        raise ProbeError(f"{one.shape} and {other.shape}: not of the same images and classes")
    counts = np.random.default_rng(0).multinomial(len(one), np.full(len(one), 1 / len(one)), draws)

    def mean_iou(confusion: np.ndarray) -> np.ndarray:
        return np.nanmean(class_iou(confusion), -1)

    spread = mean_iou(np.tensordot(counts, one, 1)) - mean_iou(np.tensordot(counts, other, 1))
    low, high = np.quantile(spread, ((1 - level) / 2, (1 + level) / 2))
    value = mean_iou(one.sum(0)) - mean_iou(other.sum(0))
    return float(value), float(low), float(high)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of a sample; NaN of one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
