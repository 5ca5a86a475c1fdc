"""A linear classifier of cells, trained to its optimum."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LinearProbe:
    """Multinomial logistic regression on standardised features: one 1x1 convolution.

    Cells count by label share, so that a cell with two classes teaches both. The loss is the mean
    cross-entropy plus ``decay`` / 2 times the squared weights (not the biases), minimised by L-BFGS
    from zero: no learning rate, no seed, the same result again.

    Args:
        features: (M, C) float.
        shares: (M, classes) float, rows of sum 1.
        decay: of the weights.
        steps: at most so many evaluations of all cells.
    """

    def __init__(
        self, features: Tensor, shares: Tensor, decay: float = 1e-4, steps: int = 200
    ) -> None:
        self.mean = features.mean(0)
        self.scale = 1 / features.std(0, unbiased=False).clamp_min(1e-6)
        x = (features - self.mean) * self.scale
        self.layer = nn.Linear(x.shape[1], shares.shape[1]).to(x)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        optimizer = torch.optim.LBFGS(
            self.layer.parameters(), max_iter=steps, history_size=20, line_search_fn="strong_wolfe",
            tolerance_grad=1e-8, tolerance_change=1e-12,
        )  # fmt: skip

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(self.layer(x), shares)
            loss = loss + decay / 2 * self.layer.weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        self.layer.requires_grad_(False)

    def __call__(self, cells: Tensor) -> Tensor:
        """Logits (N, classes) of cells (N, C)."""
        return self.layer((cells - self.mean) * self.scale)
