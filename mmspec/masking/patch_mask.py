"""Which patches of each image are visible."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PatchMask:
    """The visible patches of a batch on a ``grid`` of N = rows * columns patches.

    Attributes:
        ids_keep: (B, V) int64, the visible patches in the order in which their tokens are kept.
        ids_restore: (B, N) int64, where each patch of the grid stands in the sequence "visible
            tokens in the order of ``ids_keep``, then masked ones in grid order".
        mask: (B, N) bool, True where a patch is masked.
        grid: (rows, columns) of patches.
        flat_ids: (B * V,) int64, ``ids_keep`` as rows of the batch's B * N patches, by which the
            blocks of an encoder gather and scatter.

    Patches are counted row by row. Every image of a batch has the same number V of visible patches,
    so all methods are single batched tensor operations.
    """

    ids_keep: Tensor
    ids_restore: Tensor
    mask: Tensor
    grid: tuple[int, int]
    flat_ids: Tensor

    @classmethod
    def from_keep(cls, ids_keep: Tensor, grid: tuple[int, int]) -> PatchMask:
        """Build the mask from the visible patches alone.

        Args:
            ids_keep: (B, V) int64, distinct patch numbers in [0, rows * columns).
            grid: (rows, columns) of patches.
        """
        rows, columns = grid
        if ids_keep.dim() != 2 or ids_keep.dtype != torch.int64:
            raise ValueError(
                "ids_keep must be (batch, visible) int64, got "
                f"{tuple(ids_keep.shape)} {ids_keep.dtype}"
            )
        batch, visible = ids_keep.shape
        if not 0 < visible <= rows * columns:
            raise ValueError(f"{visible} visible patches do not fit a grid of {rows}x{columns}")
        mask = torch.ones(batch, rows * columns, dtype=torch.bool, device=ids_keep.device)
        mask.scatter_(1, ids_keep, False)
        ids_restore = mask.cumsum(1) + (visible - 1)
        order = torch.arange(visible, device=ids_keep.device).expand(batch, -1)
        ids_restore.scatter_(1, ids_keep, order)
        first = torch.arange(batch, device=ids_keep.device)[:, None] * (rows * columns)
        return cls(ids_keep, ids_restore, mask, (rows, columns), (ids_keep + first).flatten())

    @classmethod
    def all_masked(
        cls, batch: int, grid: tuple[int, int], device: torch.device | str = "cpu"
    ) -> PatchMask:
        """No visible patch at all, V = 0: the side of a pair that is made up from the other."""
        num_patches = grid[0] * grid[1]
        ids = torch.empty(batch, 0, dtype=torch.int64, device=device)
        ids_restore = torch.arange(num_patches, device=device).repeat(batch, 1)
        mask = torch.ones(batch, num_patches, dtype=torch.bool, device=device)
        return cls(ids, ids_restore, mask, tuple(grid), ids.flatten())

    @property
    def num_visible(self) -> int:
        return self.ids_keep.shape[1]

    @property
    def num_patches(self) -> int:
        return self.grid[0] * self.grid[1]

    def gather(self, patches: Tensor) -> Tensor:
        """Take the visible ones of (B, N, ...) patches: (B, V, ...)."""
        rows = patches.flatten(0, 1).index_select(0, self.flat_ids)
        return rows.unflatten(0, self.ids_keep.shape)

    def scatter(self, visible: Tensor, fill: Tensor | None = None) -> Tensor:
        """Put (B, V, ...) visible tokens back to their places on the grid: (B, N, ...).

        Args:
            visible: tokens in the order of ``ids_keep``.
            fill: what masked places hold, broadcast to (B, N, ...), a mask token for instance;
                zeros by default.
        """
        shape = (visible.shape[0], self.num_patches, *visible.shape[2:])
        fill = visible.new_zeros(()) if fill is None else fill.to(visible.dtype)
        canvas = fill.expand(shape)
        rows = canvas.flatten(0, 1).index_copy(0, self.flat_ids, visible.flatten(0, 1))
        return rows.unflatten(0, shape[:2])

    def upsample(self, factor: int) -> Tensor:
        """Visibility at a finer stage: (B, 1, rows * factor, columns * factor) bool."""
        visible = ~self.mask.view(-1, 1, *self.grid)
        return visible.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
