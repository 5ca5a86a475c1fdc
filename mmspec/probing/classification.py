"""A probe of image labels: how well frozen features tell whole images apart."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .attentive import AttentiveProbe
from .encoders import ProbeError
from .features import Features, check_same_maps, draw_images
from .linear import LinearProbe
from .neighbours import NearestNeighbours
from .scores import SCORES

POOLED = dict(neighbours=NearestNeighbours, linear=LinearProbe)
JUDGES = (*POOLED, "attentive")


def probe_pooled(
    known: Features,
    asked: Features,
    seed: int = 0,
    shares: Sequence[float] = (1.0,),
    judges: Iterable[str] = JUDGES,
) -> Iterator[dict]:
    """Judge each map, and all together where there are several, of features that were computed.

    Nearest neighbours and the linear classifier see the mean of a map over the image, the attentive
    probe its cells.

    Args:
        known: to learn from.
        asked: of other images, to judge on.
        seed, shares, judges: see :func:`~mmspec.probing.probe`.

    Yields:
        ``map``, ``judge``, ``share``; ``accuracy`` and its mean over classes, ``class accuracy``,
        in percent; ``counts``, the confusion of each image, (images, classes, classes) int64.

    Raises:
        ProbeError: maps of two kinds, a share without an image, or images to learn from of one
            class.
    """
    check_same_maps(known, asked)
    truth = np.asarray(asked.labels)
    for name, share in product(known.names, shares):
        drawn = np.sort(draw_images(len(known.labels), share, np.random.default_rng(seed)))
        labels = torch.from_numpy(known.labels[drawn].astype(np.int64))
        if len(labels.unique()) < 2:
            raise ProbeError(f"share={share}: all images to learn from are of one class")
        hot = F.one_hot(labels, len(known.classes)).float()
        pooled = _pooled(known, name)[drawn], _pooled(asked, name)
        for judge in judges:
            if judge in POOLED:
                scores = POOLED[judge](pooled[0], hot)(pooled[1])
            else:
                attentive = AttentiveProbe(known, name, drawn, seed)
                scores = torch.cat([attentive(batch) for batch in asked.batches(name)])
            counts = np.zeros((len(truth), *2 * [len(known.classes)]), np.int64)
            counts[np.arange(len(truth)), truth, scores.argmax(1).numpy()] = 1
            total = counts.sum(0)
            with np.errstate(invalid="ignore"):  # of a class without an image
                recall = 100 * total.diagonal() / total.sum(1)
            yield dict(
                map=name,
                judge=judge,
                share=share,
                score="accuracy",
                accuracy=float(SCORES["accuracy"](total)),
                counts=counts,
            ) | {"class accuracy": float(np.nanmean(recall))}


def _pooled(features: Features, name: str) -> Tensor:
    return torch.cat([batch.mean((2, 3)) for batch in features.batches(name)])
