"""Cutting a grid of tokens into windows, and putting them together again."""

import torch.nn.functional as F
from torch import Tensor


def missing(size: int, unit: int) -> int:
    """What a size lacks to the next multiple of a unit."""
    # Not -size % unit: torch.compile has no such operation for sizes that vary.
    return (unit - size % unit) % unit


def rounded_up(size: int, unit: int) -> int:
    """Units that cover a size."""
    # Not -(-size // unit): ONNX rounds a negative quotient towards 0.
    return (size + unit - 1) // unit


def unflatten(x: Tensor, dim: int, sizes: tuple[int, ...]) -> Tensor:
    """``x.unflatten(dim, sizes)``, of which ONNX would keep the sizes of the traced image."""
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])


def to_windows(
    x: Tensor, grid: tuple[int, int], window_size: int
) -> tuple[Tensor, tuple[int, int]]:
    """Windows that do not overlap, from the top left corner (ViTDet, arXiv 2203.16527, section 3).

    A grid that the window does not divide is filled up at the right and at the bottom by tokens of
    zeros, which take part like any other, as in ViTDet's code. Unlike there a window is never
    larger than the grid, so that a grid inside one window stays as it is.

    From (B, rows * columns, C), (B * windows, h * w, C), those of an image in row-major order, and
    (h, w).
    """
    height, width = min(window_size, grid[0]), min(window_size, grid[1])
    filling = (0, 0, 0, missing(grid[1], width), 0, missing(grid[0], height))
    x = F.pad(unflatten(x, 1, grid), filling)
    x = unflatten(unflatten(x, 2, (-1, width)), 1, (-1, height)).transpose(2, 3)
    return x.flatten(3, 4).flatten(0, 2), (height, width)


def from_windows(x: Tensor, grid: tuple[int, int], window: tuple[int, int]) -> Tensor:
    """Undo :func:`to_windows`: (B * windows, h * w, C) to (B, rows * columns, C)."""
    (rows, columns), (height, width) = grid, window
    down, across = rounded_up(rows, height), rounded_up(columns, width)
    x = unflatten(unflatten(x, 1, window), 0, (-1, down, across)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)[:, :rows, :columns].flatten(1, 2)
