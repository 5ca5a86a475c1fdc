"""From one score a patch to the visible patches."""

from __future__ import annotations

import torch
from torch import Tensor

# 100 patches at ratio 0.9 are 10, not int(9.999999999999998).
_ROUNDING = 1e-6


def visible_count(num_patches: int, stride: int | None = None, ratio: float | None = None) -> int:
    """Number of visible patches, from a stride over the ranks or from a masking ratio.

    A stride S leaves ``num_patches // S`` (InfMAE, section 4.1: S = 4, 49 of 196), a ratio r leaves
    ``num_patches * (1 - r)``, rounded down (MAE, M-SpecGene: 0.9 leaves 19); at least one.
    """
    if (stride is None) == (ratio is None):
        raise ValueError(f"give either stride or ratio, got stride={stride}, ratio={ratio}")
    if stride is not None:
        if not 1 <= stride <= num_patches:
            raise ValueError(f"stride={stride} is outside 1..{num_patches} (patches of the grid)")
        return num_patches // stride
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio={ratio} is outside [0, 1)")
    return max(1, int(num_patches * (1 - ratio) + _ROUNDING))


def select_by_rank(
    scores: Tensor, keep: int, order: str = "descending", phase: int | Tensor = 0
) -> Tensor:
    """Takes ``keep`` patches at evenly spaced ranks of the sorted scores.

    With ``keep = N / S`` these are the ranks ``phase, phase + S, phase + 2 S, ...`` of InfMAE's
    information-aware masking; for other numbers the spacing is N / keep, rounded down rank by rank.
    Ties keep the order of the grid, so the same scores give the same patches on every device.

    Args:
        scores: (B, N).
        keep: number of visible patches.
        order: 'descending' (the paper) or 'ascending' (the released code).
        phase: rank of the first one, in 0..ceil(N / keep) - 1; an integer, or (B, 1) int64 to give
            each image its own.

    Returns:
        (B, keep) int64 patch numbers, in the order of their ranks.
    """
    if order not in ("descending", "ascending"):
        raise ValueError(f"order={order!r}: 'descending' or 'ascending'")
    num_patches = scores.shape[1]
    if not 0 < keep <= num_patches:
        raise ValueError(f"keep={keep} is outside 1..{num_patches}")
    if isinstance(phase, int) and not 0 <= phase * keep < num_patches:
        raise ValueError(f"phase={phase} is outside 0..{(num_patches - 1) // keep}")
    ranked = scores.argsort(dim=1, descending=order == "descending", stable=True)
    ranks = (torch.arange(keep, device=scores.device) * num_patches + phase * keep) // keep
    return ranked.gather(1, ranks.expand(scores.shape[0], keep))


def information_keep(
    scores: Tensor,
    stride: int | None = 4,
    ratio: float | None = None,
    order: str = "descending",
    phase: int | str = 0,
) -> Tensor:
    """Information-aware masking (InfMAE, section 4.1): the visible patches of scores (B, N).

    Args:
        scores: (B, N).
        stride, ratio: see :func:`visible_count`; one of them is None.
        order: see :func:`select_by_rank`.
        phase: rank of the first visible patch; 'random' draws it for each image from torch's
            default generator, so that the same crop does not always show the same patches.

    Returns:
        (B, V) int64 patch numbers.
    """
    batch, num_patches = scores.shape
    keep = visible_count(num_patches, stride, ratio)
    if phase == "random":
        phase = torch.randint(num_patches // keep, (batch, 1), device=scores.device)
    elif not isinstance(phase, int):
        raise ValueError(f"phase={phase!r}: a rank or 'random'")
    return select_by_rank(scores, keep, order, phase)
