"""Uniformly random masking (MAE, arXiv 2111.06377, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor


def random_keep(
    batch: int,
    num_patches: int,
    keep: int,
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draws ``keep`` distinct patches for each image: (batch, keep) int64."""
    if not 0 < keep <= num_patches:
        raise ValueError(f"keep={keep} is outside 1..{num_patches}")
    noise = torch.rand(batch, num_patches, device=device, generator=generator)
    return noise.argsort(dim=1)[:, :keep]
