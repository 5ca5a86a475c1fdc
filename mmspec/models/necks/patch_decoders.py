"""Decoders of masked pre-training: from visible tokens to the pixels of every patch."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.utils import CrossMultiheadAttention
from torch import Tensor, nn

from mmspec.masking import PatchMask
from mmspec.registry import MODELS

from ..earlier_names import take_earlier_names
from ..layers.blocks import Mlp, TransformerBlock
from ..layers.position import sincos_positions


class CrossAttention(CrossMultiheadAttention):
    """mmpretrain's, by torch's fused attention: no (B, heads, N, N) matrix is kept."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Queries from x (B, N, C), keys and values from context (B, M, C): (B, N, C)."""
        q = F.linear(x, self.q.weight, self.q_bias)
        k = self.k(context)
        v = F.linear(context, self.v.weight, self.v_bias)
        q, k, v = [t.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for t in (q, k, v)]
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).flatten(2))


class CrossBlock(nn.Module):
    """``y = x + MHA(q = LN1(x), k = v = LN1(context))``, then ``y + MLP(LN2(y))``."""

    def __init__(self, dims: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims, eps=1e-6)
        self.attn = CrossAttention(dims, num_heads, qkv_bias=True)
        self.norm2 = nn.LayerNorm(dims, eps=1e-6)
        self.mlp = Mlp(dims, 4 * dims)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), self.norm1(context))
        return x + self.mlp(self.norm2(x))


class PatchDecoder(BaseModule):
    """What the decoders share.

    A linear map to the decoder's width, mask tokens at masked places, fixed sine-cosine positions,
    a few transformer blocks, LayerNorm and a linear map to the values of a patch: its pixels by
    row, column, channel, or what the head's targets have.

    Args:
        in_dims: width of the encoder's tokens.
        dims: width of the decoder.
        depth: number of self-attention blocks.
        num_heads: heads of every attention, a divisor of ``dims``.
        patch_size: pixels a side of a patch.
        out_channels: channels of the reconstructed image.
        pretrain_grid: patches a side, the unit of positions (14 for 224 pixels).
        out_dims: values of a patch; None: ``patch_size ** 2 * out_channels``, its pixels.
    """

    #: Whether there is ``cross``, a block that looks at another sequence, too.
    cross_attention = False

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
        out_dims: int | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.pretrain_grid = pretrain_grid
        self.embed = nn.Linear(in_dims, dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dims))
        # Before the blocks: optimizer states of earlier runs go by this order.
        if self.cross_attention:
            self.cross = CrossBlock(dims, num_heads)
        self.blocks = nn.ModuleList(TransformerBlock(dims, num_heads, 4) for _ in range(depth))
        self.norm = nn.LayerNorm(dims, eps=1e-6)
        self.pred = nn.Linear(dims, out_dims or patch_size**2 * out_channels)

    def init_weights(self) -> None:
        """Start with Xavier-uniform linear maps and a normal mask token (std 0.02), as MAE does."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.mask_token, std=0.02)
        super().init_weights()

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Give the positions of all patches, (N, dims)."""
        dims = self.mask_token.shape[-1]
        return sincos_positions(grid, dims, self.pretrain_grid, self.mask_token.device)

    def sequence(self, tokens: Tensor, mask: PatchMask) -> Tensor:
        """Put encoder's tokens (B, E + V, in_dims) and mask tokens together: (B, E + N, dims).

        The E tokens before the visible patches stand for no patch (1 for a class token) and have no
        positions; the patches come out in grid order.
        """
        extra = tokens.shape[1] - mask.num_visible
        x = self.embed(tokens)
        patches = mask.scatter(x[:, extra:], self.mask_token)
        # In the weights' precision: under autocast the residual stream must not be half.
        positions = self.positions(mask.grid).to(self.mask_token.dtype)
        return torch.cat([x[:, :extra].to(positions.dtype), patches + positions], dim=1)

    def predict(self, x: Tensor, num_patches: int) -> Tensor:
        """Run the blocks: (B, E + N, dims) to (B, N, values of a patch)."""
        for block in self.blocks:
            x = block(x)
        return self.pred(self.norm(x[:, -num_patches:]))


@MODELS.register_module()
class InfMAEDecoder(PatchDecoder):
    """The light infrared decoder of InfMAE (section 4.3).

    Takes the arguments of :class:`~mmspec.models.necks.patch_decoders.PatchDecoder`, whose defaults
    are the paper's (two blocks, table 5), but for ``num_heads``: the paper prints 12, which does
    not divide 512; its released code has 16.
    """

    def forward(self, tokens: Tensor, mask: PatchMask) -> Tensor:
        """Predict every patch.

        Args:
            tokens: (B, V, in_dims), the visible patches in the order of ``mask.ids_keep``.
            mask: which patches these are.

        Returns:
            (B, N, values of a patch) in grid order.
        """
        return self.predict(self.sequence(tokens, mask), mask.num_patches)


class ModalityDecoder(PatchDecoder):
    """The layers of one modality; :class:`DualModalityDecoder` runs two of them together."""

    cross_attention = True

    def positions(self, grid: tuple[int, int]) -> Tensor:
        # The halves for rows and columns stand the other way round in mmpretrain's MAE, and so in
        # the released weights.
        positions = super().positions(grid)
        return positions.roll(positions.shape[-1] // 2, dims=-1)


@MODELS.register_module()
class DualModalityDecoder(BaseModule):
    """From the visible tokens of an aligned pair to the pixels of all patches of both images.

    Each modality has a :class:`~mmspec.models.necks.patch_decoders.PatchDecoder` of its own, whose
    arguments these are, with a block of cross attention before the others (M-SpecGene, arXiv
    2507.16318). Both such blocks look at the other modality as it was before them. ViT-S has
    ``dims=256`` and ``num_heads=8``.
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
        out_dims: int | None = None,
    ) -> None:
        super().__init__(init_cfg)
        sizes = (in_dims, dims, depth, num_heads, patch_size, 3, pretrain_grid)
        self.infrared, self.visible = (ModalityDecoder(*sizes, out_dims=out_dims) for _ in range(2))
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
            For each modality (B, N, values of a patch) in grid order.
        """
        decoders = (self.infrared, self.visible)
        x, y = [d.sequence(t, m) for d, t, m in zip(decoders, tokens, masks)]
        x, y = self.infrared.cross(x, y), self.visible.cross(y, x)
        return tuple([d.predict(s, m.num_patches) for d, s, m in zip(decoders, (x, y), masks)])
