"""The light infrared decoder of InfMAE."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmspec.masking import PatchMask
from mmspec.registry import MODELS

from ..layers.blocks import TransformerBlock
from ..layers.position import sincos_positions


@MODELS.register_module()
class InfMAEDecoder(BaseModule):
    """From visible tokens to the pixels of every patch (InfMAE, section 4.3).

    A linear map to the decoder's width, mask tokens at masked places, fixed sine-cosine positions,
    a few transformer blocks, LayerNorm and a linear map to ``patch_size ** 2 * out_channels``
    values.

    Args:
        in_dims: width of the encoder's tokens.
        dims: width of the decoder.
        depth: number of blocks (the paper's choice is 2, table 5).
        num_heads: heads of each block, a divisor of ``dims``. The paper prints 12, which does not
            divide 512; its released code has 16.
        mlp_ratio: hidden width of the blocks' MLPs over ``dims``.
        patch_size: pixels a side of a patch.
        out_channels: channels of the reconstructed image.
        pretrain_grid: patches a side, the unit of positions (14 for 224 pixels).
    """

    def __init__(
        self,
        in_dims: int = 768,
        dims: int = 512,
        depth: int = 2,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        patch_size: int = 16,
        out_channels: int = 3,
        pretrain_grid: int = 14,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.pretrain_grid = pretrain_grid
        self.embed = nn.Linear(in_dims, dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.blocks = nn.ModuleList(
            TransformerBlock(dims, num_heads, mlp_ratio) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dims, eps=1e-6)
        self.pred = nn.Linear(dims, patch_size**2 * out_channels)

    def init_weights(self) -> None:
        """Xavier-uniform linear maps and a normal mask token (std 0.02), as in MAE."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.mask_token, std=0.02)
        super().init_weights()

    def forward(self, tokens: Tensor, mask: PatchMask) -> Tensor:
        """Predicts every patch.

        Args:
            tokens: (B, V, in_dims), the visible patches in the order of ``mask.ids_keep``.
            mask: which patches these are.

        Returns:
            (B, N, patch_size ** 2 * out_channels) in grid order; the values of a patch run over its
            rows, then columns, then channels.
        """
        x = mask.scatter(self.embed(tokens), self.mask_token)
        positions = sincos_positions(mask.grid, x.shape[-1], self.pretrain_grid, x.device)
        # In the weights' precision: under autocast the residual stream must not be half.
        x = x + positions.to(self.mask_token.dtype)
        for block in self.blocks:
            x = block(x)
        return self.pred(self.norm(x))
