"""Image labels by attention over the cells of a map, with few learned queries."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .features import Features

QUERIES, EPOCHS, BATCH, RATE = 8, 30, 32, 3e-3


class AttentivePooling(nn.Module):
    """Efficient probing (arXiv 2506.10178): each query pools its own part of the values.

    With cells x_i of C channels and queries q_j, attention of query j is the softmax over cells of
    <q_j, x_i> / sqrt(C): keys are the cells as they are. Values are one linear map of the cells,
    cut into as many parts as there are queries; query j weighs part j, and what all have pooled,
    put together, goes to a linear classifier.

    Args:
        channels: C.
        classes: of images.
        queries: learned vectors.
    """

    def __init__(self, channels: int, classes: int, queries: int = QUERIES) -> None:
        super().__init__()
        width = -(-channels // queries) * queries  # the least that queries share out evenly
        self.queries = nn.Parameter(torch.randn(queries, channels) * 0.02)
        self.values = nn.Linear(channels, width)
        self.classify = nn.Linear(width, classes)

    def forward(self, cells: Tensor) -> Tensor:
        """Logits (B, classes) of cells (B, N, C)."""
        attention = (cells @ self.queries.T / cells.shape[2] ** 0.5).softmax(1)
        values = self.values(cells).unflatten(2, (len(self.queries), -1))
        return self.classify(torch.einsum("bnq,bnqd->bqd", attention, values).flatten(1))


class AttentiveProbe:
    """:class:`AttentivePooling` of standardised cells, trained by AdamW over 30 epochs.

    Batches are read from disk as they are needed. Draws are those of ``seed``: the same result
    again.

    Args:
        features: to learn from, of images with labels.
        name: of the map.
        drawn: indices of the images.
        seed: of weights and batches.
    """

    def __init__(self, features: Features, name: str, drawn: np.ndarray, seed: int = 0) -> None:
        draws = np.random.default_rng(seed)
        sample = _cells(features.take(name, np.sort(draws.permutation(drawn)[:256])))
        self.mean = sample.mean((0, 1))
        self.scale = 1 / sample.std((0, 1), unbiased=False).clamp_min(1e-6)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = AttentivePooling(sample.shape[2], len(features.classes))
        optimizer = torch.optim.AdamW(self.network.parameters(), RATE, weight_decay=1e-2)
        steps = EPOCHS * -(-len(drawn) // BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(EPOCHS):
            for part in np.array_split(draws.permutation(drawn), -(-len(drawn) // BATCH)):
                part = np.sort(part)
                labels = torch.from_numpy(features.labels[part].astype(np.int64))
                loss = F.cross_entropy(self(features.take(name, part)), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        self.network.requires_grad_(False)

    def __call__(self, maps: Tensor) -> Tensor:
        """Logits (B, classes) of maps (B, C, h, w)."""
        return self.network((_cells(maps) - self.mean) * self.scale)


def _cells(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2)
