"""A dense probe: how well frozen features tell the classes of pixels apart."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmspec.conventions import IGNORE_INDEX
from mmspec.evaluation.segmentation import class_iou, count_pixels

from .encoders import ProbeError
from .features import Features, check_same_maps, draw_images
from .linear import LinearProbe
from .neighbours import NearestNeighbours

JUDGES: dict[str, Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]] = dict(
    neighbours=NearestNeighbours, linear=LinearProbe
)
MEMORY = 20_000  # cells to learn from, drawn evenly from the images


def probe_maps(
    known: Features,
    asked: Features,
    seed: int = 0,
    shares: Sequence[float] = (1.0,),
    judges: Iterable[str] = tuple(JUDGES),
    memory: int = MEMORY,
) -> Iterator[dict]:
    """Judge each map, and all together where there are several, of features that were computed.

    Args:
        known: to learn from.
        asked: of other images, to judge on.
        seed, shares, judges: see :func:`~mmspec.probing.probe`.
        memory: cells to learn from.

    Yields:
        ``map``, ``judge``, ``share``; ``mIoU`` and ``IoU`` by class in percent; ``counts``, the
        confusion of each image, (images, classes, classes) int64.

    Raises:
        ProbeError: maps of two kinds, a share without an image, images without a label.
    """
    check_same_maps(known, asked)
    for name, share in product(known.names, shares):
        cells, labels = draw_cells(known, name, share, seed, memory)
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
                score="mIoU",
                mIoU=float(np.nanmean(iou)),
                IoU=dict(zip(known.classes, iou.tolist())),
                counts=np.stack(counts),
            )


def draw_cells(
    features: Features, name: str, share: float, seed: int, memory: int = MEMORY
) -> tuple[Tensor, Tensor]:
    """Features (M, C) and label shares (M, classes) of at most ``memory`` cells of some images.

    Cells without a labelled pixel are left out.
    """
    draws = np.random.default_rng(seed)
    drawn = draw_images(len(features.labels), share, draws)
    chosen = np.zeros(len(features.labels), bool)
    chosen[drawn] = True
    budget = max(memory // len(drawn), 1)
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
    cells, labels = torch.cat(cells), torch.cat(labels)
    if not len(cells):
        raise ProbeError(
            f"no labelled pixel in the {len(drawn)} images to learn from, {features.image_names[0]}"
            " the first: all are to be ignored"
        )
    return cells, labels


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
