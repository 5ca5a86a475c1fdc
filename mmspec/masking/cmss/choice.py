"""From targets to patches."""

from __future__ import annotations

import torch
from torch import Tensor


def choose_nearest(scores: Tensor, targets: Tensor) -> Tensor:
    """For one target after the other, the patch of nearest score that is not yet taken.

    Sequential over the targets by definition, one batched search a target. Both modalities' targets
    in one call, one after the other, give disjoint sets.

    Args:
        scores: (B, L). Patches whose score is not finite are taken last.
        targets: (B, V), V at most L.

    Returns:
        (B, V) int64 distinct patch numbers, in the order of the targets.
    """
    if targets.shape[1] > scores.shape[1]:
        raise ValueError(f"{targets.shape[1]} targets for {scores.shape[1]} patches")
    # NaN would be the nearest to any target, and as good as taken where it is infinite.
    largest = torch.finfo(scores.dtype).max / 2
    free = scores.nan_to_num(largest, largest, largest)
    distance = torch.empty_like(free)
    chosen = []
    for target in targets.t().unsqueeze(-1):
        torch.sub(free, target, out=distance)
        nearest = distance.abs_().argmin(1, keepdim=True)
        free.scatter_(1, nearest, torch.inf)
        chosen.append(nearest)
    return torch.cat(chosen, 1)
