"""The two kinds of block of ConvViT and the patch embedding between its stages."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmpretrain.models.utils import LayerScale
from torch import Tensor, nn

from .layout import DenseLayout, VisibleLayout


def layer_scale(dims: int, init_value: float | None) -> nn.Module:
    return nn.Identity() if init_value is None else LayerScale(dims, init_value)


class Mlp(nn.Module):
    """Linear, GELU, linear over the last dimension."""

    def __init__(self, dims: int, hidden_dims: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dims, hidden_dims)
        self.fc2 = nn.Linear(hidden_dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class PatchEmbed(nn.Module):
    """Strided convolution, LayerNorm over channels (eps 1e-5), GELU."""

    def __init__(self, in_dims: int, dims: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_dims, dims, stride, stride)
        self.norm = nn.LayerNorm(dims)

    def forward(self, x: Tensor, embed) -> Tensor:
        """Args: x, and the layout's function that runs the convolution on it."""
        return F.gelu(self.norm(embed(x, self.proj)))


class ConvBlock(nn.Module):
    """``x + W2 dw5x5(M W1 LN(x))``, then ``x + MLP(LN(x))``, on channel-last tokens.

    M, the visibility of the patches, comes with the layout; residual and MLP are not masked.
    """

    def __init__(
        self, dims: int, mlp_ratio: float, drop_path: float, layer_scale_init: float | None
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims)
        self.proj_in = nn.Linear(dims, dims)
        self.dwconv = nn.Conv2d(dims, dims, 5, padding=2, groups=dims)
        self.proj_out = nn.Linear(dims, dims)
        self.scale1 = layer_scale(dims, layer_scale_init)
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = Mlp(dims, round(dims * mlp_ratio))
        self.scale2 = layer_scale(dims, layer_scale_init)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, layout: DenseLayout | VisibleLayout) -> Tensor:
        mixed = self.proj_out(layout.depthwise(self.proj_in(self.norm1(x)), self.dwconv))
        x = x + self.drop_path(self.scale1(mixed))
        return x + self.drop_path(self.scale2(self.mlp(self.norm2(x))))


class Attention(nn.Module):
    """Multi-head self-attention, (B, N, C) to (B, N, C).

    Args:
        dims: width C.
        num_heads: heads, a divisor of C.
        rel_pos_grid: patches a side for which relative positions along rows and along columns are
            learned (MViTv2, arXiv 2112.01526, equation 4); they start at zero and are resized to
            the grid at hand. None: no relative positions.
    """

    def __init__(self, dims: int, num_heads: int, rel_pos_grid: int | None = None) -> None:
        super().__init__()
        if dims % num_heads:
            raise ValueError(f"num_heads={num_heads} does not divide the width {dims}")
        self.num_heads = num_heads
        self.qkv = nn.Linear(dims, 3 * dims)
        self.proj = nn.Linear(dims, dims)
        self.rel_pos_h = self.rel_pos_w = None
        if rel_pos_grid is not None:
            table = (2 * rel_pos_grid - 1, dims // num_heads)
            self.rel_pos_h = nn.Parameter(torch.zeros(table))
            self.rel_pos_w = nn.Parameter(torch.zeros(table))

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Args: x (B, N, C); grid (rows, columns) of the N tokens, needed by relative positions."""
        batch, tokens, dims = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        bias = None if self.rel_pos_h is None else self._relative_bias(q, grid)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, dims))

    def _relative_bias(self, q: Tensor, grid: tuple[int, int]) -> Tensor:
        rows, columns = grid
        q = q.unflatten(2, grid)
        along_rows = torch.einsum("bnhwc,hkc->bnhwk", q, _relative(self.rel_pos_h, rows, q))
        along_columns = torch.einsum("bnhwc,wkc->bnhwk", q, _relative(self.rel_pos_w, columns, q))
        bias = along_rows[..., :, None] + along_columns[..., None, :]
        return bias.flatten(4).flatten(2, 3)


def _relative(table: Tensor, size: int, like: Tensor) -> Tensor:
    """Rows of a table of relative positions for all pairs of ``size`` places: (size, size, C)."""
    if table.shape[0] != 2 * size - 1:
        table = F.interpolate(table.T[None], size=2 * size - 1, mode="linear")[0].T
    places = torch.arange(size, device=table.device)
    return table[places[:, None] - places + size - 1].to(like.dtype)


class TransformerBlock(nn.Module):
    """Pre-norm ViT block: ``x + MSA(LN(x))``, then ``x + MLP(LN(x))``; LayerNorm eps 1e-6."""

    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_ratio: float,
        drop_path: float = 0.0,
        layer_scale_init: float | None = None,
        rel_pos_grid: int | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims, eps=1e-6)
        self.attn = Attention(dims, num_heads, rel_pos_grid)
        self.scale1 = layer_scale(dims, layer_scale_init)
        self.norm2 = nn.LayerNorm(dims, eps=1e-6)
        self.mlp = Mlp(dims, round(dims * mlp_ratio))
        self.scale2 = layer_scale(dims, layer_scale_init)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        x = x + self.drop_path(self.scale1(self.attn(self.norm1(x), grid)))
        return x + self.drop_path(self.scale2(self.mlp(self.norm2(x))))
