"""Uniform masking for pyramid transformers (UM-MAE, arXiv 2205.10063)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .patch_mask import PatchMask


@dataclass(frozen=True)
class UniformMask(PatchMask):
    """One sampled patch in each 2x2 window, and which of these are hidden behind a mask token.

    ``ids_keep`` lists the sampled patches window by window, row by row: a compact image of
    (rows / 2, columns / 2) patches. The encoder sees those of ``secondary``, (B, V) bool, as a mask
    token; ``mask`` is True where no pixel was seen, there and at patches that were not sampled.
    """

    secondary: Tensor

    @classmethod
    def from_sampled(
        cls, ids_keep: Tensor, secondary: Tensor, grid: tuple[int, int]
    ) -> UniformMask:
        """Build the mask from the sampled patches (B, V) int64 and the hidden ones (B, V) bool."""
        sampled = PatchMask.from_keep(ids_keep, grid)
        mask = sampled.mask.scatter(1, ids_keep, secondary)
        return cls(ids_keep, sampled.ids_restore, mask, grid, sampled.flat_ids, secondary)

    @property
    def compact_grid(self) -> tuple[int, int]:
        """(rows, columns) of the compact image."""
        return self.grid[0] // 2, self.grid[1] // 2


def uniform_mask(
    batch: int,
    grid: tuple[int, int],
    secondary_ratio: float = 0.25,
    device: torch.device | str = "cpu",
) -> UniformMask:
    """Draw one patch in every 2x2 window of an even grid and hide a part of these (section 3).

    Three quarters of the patches are not sampled. ``secondary_ratio`` is the share of an image's
    sampled patches that become mask tokens, rounded to a whole number of them; with the paper's
    0.25 a further sixteenth is seen as one. Both are reconstructed.
    """
    rows, columns = grid
    if rows % 2 or columns % 2:
        raise ValueError(
            f"uniform sampling takes one patch of each 2x2 window: a grid of {rows}x{columns} "
            "patches has an odd side; choose an image size that is a multiple of 32"
        )
    if not 0 <= secondary_ratio < 1:
        raise ValueError(f"secondary_ratio={secondary_ratio} is outside [0, 1)")
    window_rows = 2 * torch.arange(rows // 2, device=device)[:, None]
    window_columns = 2 * torch.arange(columns // 2, device=device)
    corners = (window_rows * columns + window_columns).flatten()
    sampled = len(corners)
    drawn = torch.randint(4, (batch, sampled), device=device)
    ids_keep = corners + drawn // 2 * columns + drawn % 2
    places = torch.rand(batch, sampled, device=device).argsort(dim=1).argsort(dim=1)
    return UniformMask.from_sampled(ids_keep, places < round(sampled * secondary_ratio), grid)
