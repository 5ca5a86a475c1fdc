"""Multi-head self-attention: global or in windows, with relative positions or without."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .windows import from_windows, to_windows, unflatten


class Attention(nn.Module):
    """Multi-head self-attention, (B, N, C) to (B, N, C).

    Args:
        rel_pos_grid: patches a side for which relative positions along rows and along columns are
            learned (MViTv2, arXiv 2112.01526, equation 4); they start at zero and are resized to
            the grid at hand. None: no relative positions.
        window_size: tokens a side of the windows inside which tokens attend to each other (ViTDet,
            arXiv 2203.16527, section 3), whenever the grid is told. A window is no larger than the
            grid; relative positions are then those of its ``window_size`` square. 0: global.
    """

    def __init__(
        self, dims: int, num_heads: int, rel_pos_grid: int | None = None, window_size: int = 0
    ) -> None:
        super().__init__()
        if dims % num_heads:
            raise ValueError(f"num_heads={num_heads} does not divide the width {dims}")
        self.num_heads = num_heads
        self.window_size = window_size
        self.qkv = nn.Linear(dims, 3 * dims)
        self.proj = nn.Linear(dims, dims)
        self.rel_pos_h = self.rel_pos_w = None
        if rel_pos_grid is not None:
            table = (2 * (window_size or rel_pos_grid) - 1, dims // num_heads)
            self.rel_pos_h = nn.Parameter(torch.zeros(table))
            self.rel_pos_w = nn.Parameter(torch.zeros(table))

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Args: x (B, N, C); grid (rows, columns) of the N tokens.

        Windows and relative positions need the grid. Without it every token attends to every other.
        """
        if self.window_size and grid is not None:
            windows, window = to_windows(x, grid, self.window_size)
            return from_windows(self._attend(windows, window), grid, window)
        return self._attend(x, grid)

    def _attend(self, x: Tensor, grid: tuple[int, int] | None) -> Tensor:
        batch, tokens, dims = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        bias = None if self.rel_pos_h is None else self._relative_bias(q, grid)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, dims))

    def _relative_bias(self, q: Tensor, grid: tuple[int, int]) -> Tensor:
        rows, columns = grid
        by_row = _relative(self._resized(self.rel_pos_h, rows), rows).to(q.dtype)
        by_column = _relative(self._resized(self.rel_pos_w, columns), columns).to(q.dtype)
        q = unflatten(q, 2, grid)
        along_rows = torch.einsum("bnhwc,hkc->bnhwk", q, by_row)
        along_columns = torch.einsum("bnhwc,wkc->bnhwk", q, by_column)
        bias = along_rows[..., :, None] + along_columns[..., None, :]
        return bias.flatten(4).flatten(2, 3)

    def _resized(self, table: Tensor, size: int) -> Tensor:
        """A table for ``size`` places: of a window its middle, else an interpolated one."""
        length = 2 * size - 1
        if table.shape[0] == length:
            return table
        if self.window_size:
            # A distance in a window is one in patches, whatever the size of the image.
            return table.narrow(0, (table.shape[0] - length) // 2, length)
        return F.interpolate(table.T[None], size=length, mode="linear")[0].T


def _relative(table: Tensor, size: int) -> Tensor:
    """Rows of a table of relative positions for all pairs of ``size`` places: (size, size, C)."""
    places = torch.arange(size, device=table.device)
    return table[places[:, None] - places + size - 1]
