"""The light infrared decoder of InfMAE."""

from __future__ import annotations

from torch import Tensor

from mmspec.masking import PatchMask
from mmspec.registry import MODELS

from ..layers.patch_decoder import PatchDecoder


@MODELS.register_module()
class InfMAEDecoder(PatchDecoder):
    """From visible tokens to the pixels of every patch (InfMAE, section 4.3).

    Args:
        in_dims: width of the encoder's tokens.
        dims: width of the decoder.
        depth: number of blocks (the paper's choice is 2, table 5).
        num_heads: heads of each block, a divisor of ``dims``. The paper prints 12, which does not
            divide 512; its released code has 16.
        patch_size, out_channels, pretrain_grid: see
            :class:`~mmspec.models.layers.patch_decoder.PatchDecoder`.
    """

    def __init__(
        self,
        in_dims: int = 768,
        dims: int = 512,
        depth: int = 2,
        num_heads: int = 16,
        patch_size: int = 16,
        out_channels: int = 3,
        pretrain_grid: int = 14,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            in_dims,
            dims,
            depth,
            num_heads,
            patch_size,
            out_channels,
            pretrain_grid,
            False,
            init_cfg,
        )

    def forward(self, tokens: Tensor, mask: PatchMask) -> Tensor:
        """Predict every patch.

        Args:
            tokens: (B, V, in_dims), the visible patches in the order of ``mask.ids_keep``.
            mask: which patches these are.

        Returns:
            (B, N, patch_size ** 2 * out_channels) in grid order.
        """
        return self.predict(self.sequence(tokens, mask), mask.num_patches)
