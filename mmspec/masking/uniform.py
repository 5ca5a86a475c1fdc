"""Uniform masking for pyramid transformers (UM-MAE, arXiv 2205.10063)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .patch_mask import PatchMask


@dataclass(frozen=True)
class UniformMask(PatchMask):
    """One sampled patch in each 2x2 window, and which of these are hidden behind a mask token.

    ``ids_keep`` lists the sampled patches window by window, row by row, so that they form a compact
    image of (rows / 2, columns / 2) patches. ``mask`` is True where no pixel was seen: at patches
    that were not sampled and at those of ``secondary``.

    Attributes:
        secondary: (B, V) bool, sampled patches that the encoder sees as a mask token.
    """

    secondary: Tensor

    @classmethod
    def from_sampled(
        cls, ids_keep: Tensor, secondary: Tensor, grid: tuple[int, int]
    ) -> UniformMask:
        """Builds the mask from the sampled patches (B, V) int64 and the hidden ones (B, V) bool."""
        sampled = PatchMask.from_keep(ids_keep, grid)
        mask = sampled.mask.scatter(1, ids_keep, secondary)
        return cls(ids_keep, sampled.ids_restore, mask, grid, sampled.flat_ids, secondary)

    @property
    def compact_grid(self) -> tuple[int, int]:
        """(rows, columns) of the compact image."""
        return self.grid[0] // 2, self.grid[1] // 2


def uniform_keep(
    batch: int,
    grid: tuple[int, int],
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draws one patch in every 2x2 window (section 3, uniform sampling).

    Args:
        batch: number of images.
        grid: (rows, columns) of patches, both even.
        device, generator: of the random numbers.

    Returns:
        (batch, rows * columns / 4) int64 patch numbers, window by window, row by row.
    """
    rows, columns = grid
    if rows % 2 or columns % 2:
        raise ValueError(
            f"uniform sampling takes one patch of each 2x2 window: a grid of {rows}x{columns} "
            "patches has an odd side; choose an image size that is a multiple of 32"
        )
    window_rows = 2 * torch.arange(rows // 2, device=device)[:, None]
    window_columns = 2 * torch.arange(columns // 2, device=device)
    corners = (window_rows * columns + window_columns).flatten()
    drawn = torch.randint(4, (batch, len(corners)), device=device, generator=generator)
    return corners + drawn // 2 * columns + drawn % 2


def secondary_mask(
    batch: int,
    sampled: int,
    ratio: float,
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draws ``round(sampled * ratio)`` of each image's sampled patches: (batch, sampled) bool."""
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio={ratio} is outside [0, 1)")
    noise = torch.rand(batch, sampled, device=device, generator=generator)
    return noise.argsort(dim=1).argsort(dim=1) < round(sampled * ratio)
