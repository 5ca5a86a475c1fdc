"""The two kinds of block of ConvViT and the patch embedding between its stages."""

import math

import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from .attention import Attention
from .layout import DenseLayout, VisibleLayout


def xavier_of_patches_(weight: Tensor) -> Tensor:
    """Xavier-uniform weights of a convolution as a linear map of flattened patches, as in MAE.

    In place whatever the memory format: ``flatten`` would copy channels-last weights.
    """
    bound = math.sqrt(6 / (weight.shape[0] + weight[0].numel()))
    return nn.init.uniform_(weight, -bound, bound)


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

    def __init__(self, dims: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims)
        self.proj_in = nn.Linear(dims, dims)
        self.dwconv = nn.Conv2d(dims, dims, 5, padding=2, groups=dims)
        self.proj_out = nn.Linear(dims, dims)
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = Mlp(dims, round(dims * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, layout: DenseLayout | VisibleLayout) -> Tensor:
        mixed = self.proj_out(layout.depthwise(self.proj_in(self.norm1(x)), self.dwconv))
        x = x + self.drop_path(mixed)
        return x + self.drop_path(self.mlp(self.norm2(x)))


class TransformerBlock(nn.Module):
    """Pre-norm ViT block: ``x + MSA(LN(x))``, then ``x + MLP(LN(x))``; LayerNorm eps 1e-6.

    ``rel_pos_grid`` and ``window_size`` are those of :class:`~.attention.Attention`.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_ratio: float,
        drop_path: float = 0.0,
        rel_pos_grid: int | None = None,
        window_size: int = 0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims, eps=1e-6)
        self.attn = Attention(dims, num_heads, rel_pos_grid, window_size)
        self.norm2 = nn.LayerNorm(dims, eps=1e-6)
        self.mlp = Mlp(dims, round(dims * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), grid))
        return x + self.drop_path(self.mlp(self.norm2(x)))
