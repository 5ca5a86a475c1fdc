"""Segmentation by the nearest labelled features, without training."""

import torch
import torch.nn.functional as F
from torch import Tensor

_AT_ONCE = 1 << 27  # similarities held at a time


class NearestNeighbours:
    """Soft vote of the nearest cells of a memory (arXiv 2306.01667, in-context segmentation).

    A cell's scores are the label shares of its ``k`` most similar cells by cosine, weighted by the
    softmax of similarity / ``temperature`` (section 3.2 there, with k = 30 and 0.02).

    Args:
        memory: (M, C) float, features of labelled cells.
        shares: (M, classes) float, the share of each class in the cell's pixels.
        k: neighbours that vote.
        temperature: of their weights.
    """

    def __init__(
        self, memory: Tensor, shares: Tensor, k: int = 30, temperature: float = 0.02
    ) -> None:
        self.memory = F.normalize(memory, dim=1).T.contiguous()
        self.shares, self.k, self.temperature = shares, min(k, len(memory)), temperature

    def __call__(self, cells: Tensor) -> Tensor:
        """Scores (N, classes), each row of sum 1, of cells (N, C)."""
        votes = []
        for part in F.normalize(cells, dim=1).split(max(_AT_ONCE // self.memory.shape[1], 1)):
            similarity, nearest = (part @ self.memory).topk(self.k, sorted=False)
            weights = (similarity / self.temperature).softmax(1)
            votes.append(torch.einsum("nk,nkc->nc", weights, self.shares[nearest]))
        return torch.cat(votes)
