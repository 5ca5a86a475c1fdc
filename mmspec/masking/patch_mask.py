"""Which patches of each image are visible: by ranks of a score, at random, or as they are told."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: 100 patches at ratio 0.9 are 10, not int(9.999999999999998).
ROUNDING = 1e-6


@dataclass(frozen=True)
class PatchMask:
    """The visible patches of a batch on a ``grid`` of N = rows * columns patches, row by row.

    Every image of a batch has the same number V of visible patches, so that all methods are single
    batched tensor operations. An image that is seen by K masks stands in the batch K times in a
    row: B is K times the number of images.

    Attributes:
        ids_keep: (B, V) int64, the visible patches in the order in which their tokens are kept.
        ids_restore: (B, N) int64, where each patch of the grid stands in the sequence "visible
            tokens in the order of ``ids_keep``, then masked ones in grid order".
        mask: (B, N) bool, True where a patch is masked.
        grid: (rows, columns) of patches.
        flat_ids: (B * V,) int64, ``ids_keep`` as rows of the batch's B * N patches, by which the
            blocks of an encoder gather and scatter.
    """

    ids_keep: Tensor
    ids_restore: Tensor
    mask: Tensor
    grid: tuple[int, int]
    flat_ids: Tensor

    @classmethod
    def from_keep(cls, ids_keep: Tensor, grid: tuple[int, int]) -> PatchMask:
        """Build the mask from the visible patches alone, distinct numbers (B, V) int64.

        Of K masks of each image (B / K, K, V).
        """
        rows, columns = grid
        if ids_keep.dim() not in (2, 3) or ids_keep.dtype != torch.int64:
            raise ValueError(
                "ids_keep must be (batch, visible) or (batch, masks, visible) int64, got "
                f"{tuple(ids_keep.shape)} {ids_keep.dtype}"
            )
        ids_keep = ids_keep.flatten(0, -2)
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

    def repeat(self, images: Tensor) -> Tensor:
        """Put images (B / K, ...) into the batch as often as masks see them: (B, ...)."""
        times = len(self.mask) // len(images)
        return images if times == 1 else images.repeat_interleave(times, 0)

    def first_of(self, images: int) -> PatchMask:
        """Take the first mask of each of so many images."""
        if images == len(self.mask):
            return self
        return PatchMask.from_keep(self.ids_keep[:: len(self.mask) // images], self.grid)

    @property
    def num_patches(self) -> int:
        return self.grid[0] * self.grid[1]

    def gather(self, patches: Tensor) -> Tensor:
        """Take the visible ones of (B, N, ...) patches: (B, V, ...)."""
        rows = patches.flatten(0, 1).index_select(0, self.flat_ids)
        return rows.unflatten(0, self.ids_keep.shape)

    def scatter(self, visible: Tensor, fill: Tensor | None = None) -> Tensor:
        """Put (B, V, ...) tokens, in the order of ``ids_keep``, to their places: (B, N, ...).

        Masked places hold ``fill``, broadcast (a mask token for instance), or zeros.
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


def visible_count(num_patches: int, ratio: float) -> int:
    """Tell how many patches a masking ratio leaves, rounded down (0.9 of 196: 19), at least one."""
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio={ratio} is outside [0, 1)")
    return max(1, int(num_patches * (1 - ratio) + ROUNDING))


def count_by_stride(num_patches: int, stride: int) -> int:
    """Tell how many patches are visible if one in ``stride`` is; an error where none would be."""
    if not 1 <= stride <= num_patches:
        raise ValueError(f"stride={stride} is outside 1..{num_patches} (patches of the grid)")
    return num_patches // stride


def random_keep(
    batch: int, num_patches: int, keep: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw distinct patches of each image, (batch, keep) int64 (MAE, arXiv 2111.06377, sec. 3)."""
    if not 0 < keep <= num_patches:
        raise ValueError(f"keep={keep} is outside 1..{num_patches}")
    return torch.rand(batch, num_patches, device=device).argsort(dim=1)[:, :keep]


def select_by_rank(
    scores: Tensor, stride: int, descending: bool = True, phases: Tensor | None = None
) -> Tensor:
    """Take every ``stride``-th rank of the sorted scores (B, N), beginning with the first.

    Gives (B, V) int64 patch numbers in the order of their ranks, V = N // stride. Where the stride
    does not divide N, the spacing is N over V, rounded down rank by rank. Ties keep the order of
    the grid, so that the same scores give the same patches on every device.

    With ``phases``, int64 below the stride, ranks begin with these: K of all images (K,), or of
    each (B, K), give (B, K, V). Masks of different phases have no patch in common; all ``stride``
    of them show every patch but the N - V * stride that a stride leaves which does not divide N.
    """
    num_patches = scores.shape[1]
    keep = count_by_stride(num_patches, stride)
    ranks = torch.arange(keep, device=scores.device) * num_patches // keep
    order = scores.argsort(dim=1, descending=descending, stable=True)
    if phases is None:
        return order[:, ranks]
    ranks = (ranks + phases[..., None]).expand(len(scores), -1, -1)
    return order.gather(1, ranks.flatten(1)).view_as(ranks)
