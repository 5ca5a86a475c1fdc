"""The two decoders of M-SpecGene, one a modality, with cross attention between them."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor

from mmspec.masking import PatchMask
from mmspec.registry import MODELS

from ..earlier_names import take_earlier_names
from ..layers.patch_decoder import PatchDecoder


class ModalityDecoder(PatchDecoder):
    """The layers of one modality; :class:`DualModalityDecoder` runs two of them together."""

    def positions(self, grid: tuple[int, int]) -> Tensor:
        # The halves for rows and columns stand the other way round in mmpretrain's MAE, and so in
        # the released weights.
        positions = super().positions(grid)
        return positions.roll(positions.shape[-1] // 2, dims=-1)


@MODELS.register_module()
class DualModalityDecoder(BaseModule):
    """From the visible tokens of an aligned pair to the pixels of all patches of both images.

    Each modality has a :class:`~mmspec.models.layers.patch_decoder.PatchDecoder` of its own, with a
    block of cross attention before the others (M-SpecGene, arXiv 2507.16318). Both such blocks look
    at the other modality as it was before them. Tokens before the patches (a class token) have no
    positions.

    Args:
        in_dims: width of the encoder's tokens.
        dims: width of the decoders (512; 256 for ViT-S).
        depth: self-attention blocks of each.
        num_heads: heads of every attention (16; 8 for ViT-S).
        patch_size: pixels a side of a patch.
        pretrain_grid: patches a side, the unit of positions (14 for 224 pixels).
    """

    def __init__(
        self,
        in_dims: int = 768,
        dims: int = 512,
        depth: int = 4,
        num_heads: int = 16,
        patch_size: int = 16,
        pretrain_grid: int = 14,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.infrared, self.visible = (
            ModalityDecoder(in_dims, dims, depth, num_heads, patch_size, 3, pretrain_grid, True)
            for _ in range(2)
        )
        take_earlier_names(self)

    def forward(
        self, tokens: tuple[Tensor, Tensor], masks: tuple[PatchMask, PatchMask]
    ) -> tuple[Tensor, Tensor]:
        """Predict every patch of both modalities, infrared first.

        Args:
            tokens: for each modality (B, E + V, in_dims): E tokens that stand for no patch, 1 for a
                class token, then the visible patches in the order of its mask's ``ids_keep``.
            masks: which patches these are; V may differ between the modalities.

        Returns:
            For each modality (B, N, patch_size ** 2 * 3) in grid order.
        """
        decoders = (self.infrared, self.visible)
        x, y = [d.sequence(t, m) for d, t, m in zip(decoders, tokens, masks)]
        x, y = self.infrared.cross(x, y), self.visible.cross(y, x)
        return tuple([d.predict(s, m.num_patches) for d, s, m in zip(decoders, (x, y), masks)])
