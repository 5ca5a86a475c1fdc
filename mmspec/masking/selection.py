"""From one score a patch, or from none, to the visible patches."""

from __future__ import annotations

import torch
from torch import Tensor

# 100 patches at ratio 0.9 are 10, not int(9.999999999999998).
_ROUNDING = 1e-6


def visible_count(num_patches: int, ratio: float) -> int:
    """Tell how many patches a masking ratio leaves, rounded down (0.9 of 196: 19), at least one."""
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio={ratio} is outside [0, 1)")
    return max(1, int(num_patches * (1 - ratio) + _ROUNDING))


def random_keep(
    batch: int, num_patches: int, keep: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw ``keep`` distinct patches for each image (MAE, arXiv 2111.06377, section 3).

    Returns:
        (batch, keep) int64 patch numbers.
    """
    if not 0 < keep <= num_patches:
        raise ValueError(f"keep={keep} is outside 1..{num_patches}")
    return torch.rand(batch, num_patches, device=device).argsort(dim=1)[:, :keep]


def select_by_rank(scores: Tensor, stride: int, descending: bool = True) -> Tensor:
    """Take every ``stride``-th rank of the sorted scores, beginning with the first.

    ``N // stride`` patches are taken. Where the stride does not divide N, the spacing is N over
    their number, rounded down rank by rank. Ties keep the order of the grid, so that the same
    scores give the same patches on every device.

    Args:
        scores: (B, N).
        stride: 1..N.
        descending: whether the largest score has rank 0.

    Returns:
        (B, N // stride) int64 patch numbers, in the order of their ranks.
    """
    num_patches = scores.shape[1]
    if not 1 <= stride <= num_patches:
        raise ValueError(f"stride={stride} is outside 1..{num_patches} (patches of the grid)")
    keep = num_patches // stride
    ranks = torch.arange(keep, device=scores.device) * num_patches // keep
    return scores.argsort(dim=1, descending=descending, stable=True)[:, ranks]
