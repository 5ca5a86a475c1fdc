"""The two decoders of M-SpecGene, one a modality, with cross attention between them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import BaseModule
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import CrossMultiheadAttention
from torch import Tensor, nn

from mmspec.masking import PatchMask
from mmspec.registry import MODELS

from ..layers.position import sincos_positions

_NORM = dict(type="LN", eps=1e-6)


class CrossAttention(CrossMultiheadAttention):
    """mmpretrain's, by torch's fused attention: no (B, heads, N, N) matrix is kept."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Queries from x (B, N, C), keys and values from context (B, M, C): (B, N, C)."""
        q = F.linear(x, self.q.weight, self.q_bias)
        k = self.k(context)
        v = F.linear(context, self.v.weight, self.v_bias)
        q, k, v = (t.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).flatten(2))


class CrossAttentionLayer(nn.Module):
    """``y = x + MHA(q = LN1(x), k = v = LN1(context))``, then ``y + FFN(LN2(y))``."""

    def __init__(self, dims: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(dims, eps=_NORM["eps"])
        self.attn = CrossAttention(dims, num_heads, qkv_bias=True)
        self.ln2 = nn.LayerNorm(dims, eps=_NORM["eps"])
        self.ffn = FFN(dims, round(dims * mlp_ratio), act_cfg=dict(type="GELU"))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x), self.ln1(context))
        return self.ffn(self.ln2(x), identity=x)


class ModalityDecoder(nn.Module):
    """The layers of one modality; :class:`DualModalityDecoder` runs two of them together."""

    def __init__(
        self,
        in_dims: int,
        dims: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        patch_values: int,
        pretrain_grid: int,
    ) -> None:
        super().__init__()
        self.pretrain_grid = pretrain_grid
        self.embed = nn.Linear(in_dims, dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.cross = CrossAttentionLayer(dims, num_heads, mlp_ratio)
        self.blocks = nn.ModuleList(
            TransformerEncoderLayer(dims, num_heads, round(dims * mlp_ratio), norm_cfg=_NORM)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dims, eps=_NORM["eps"])
        self.pred = nn.Linear(dims, patch_values)

    def sequence(self, tokens: Tensor, mask: PatchMask) -> Tensor:
        """All tokens (B, E + N, dims), in grid order, from the encoder's (B, E + V, in_dims)."""
        extra = tokens.shape[1] - mask.num_visible
        x = self.embed(tokens)
        patches = mask.scatter(x[:, extra:], self.mask_token)
        positions = sincos_positions(mask.grid, x.shape[-1], self.pretrain_grid, x.device)
        # The halves for rows and columns stand the other way round in mmpretrain's MAE, and so in
        # the released weights. Added in the weights' precision: under autocast the residual stream
        # must not be half.
        positions = positions.roll(x.shape[-1] // 2, dims=-1).to(self.mask_token.dtype)
        return torch.cat([x[:, :extra].to(positions.dtype), patches + positions], dim=1)

    def predict(self, x: Tensor, num_patches: int) -> Tensor:
        """The layers behind cross attention: (B, N, values of a patch)."""
        for block in self.blocks:
            x = block(x)
        return self.pred(self.norm(x[:, -num_patches:]))


@MODELS.register_module()
class DualModalityDecoder(BaseModule):
    """From the visible tokens of an aligned pair to the pixels of all patches of both images.

    Each modality has its own linear map to the decoder's width, mask token, one cross-attention
    layer, self-attention layers, LayerNorm and linear map to pixels (M-SpecGene, arXiv 2507.16318).
    Both cross-attention layers look at the other modality as it was before them. Positions are
    fixed sine-cosine ones; tokens before the patches (a class token) have none.

    Args:
        in_dims: width of the encoder's tokens.
        dims: width of the decoders (512; 256 for ViT-S).
        depth: self-attention layers of each.
        num_heads: heads of every attention (16; 8 for ViT-S).
        mlp_ratio: hidden width of the MLPs over ``dims``.
        patch_size: pixels a side of a patch.
        out_channels: channels of each modality's image.
        pretrain_grid: patches a side, the unit of positions (14 for 224 pixels).
    """

    def __init__(
        self,
        in_dims: int = 768,
        dims: int = 512,
        depth: int = 4,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        patch_size: int = 16,
        out_channels: int = 3,
        pretrain_grid: int = 14,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        values = patch_size**2 * out_channels
        self.infrared, self.visible = (
            ModalityDecoder(in_dims, dims, depth, num_heads, mlp_ratio, values, pretrain_grid)
            for _ in range(2)
        )

    def init_weights(self) -> None:
        """Xavier-uniform linear maps and normal mask tokens (std 0.02), as in MAE."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for decoder in (self.infrared, self.visible):
            nn.init.normal_(decoder.mask_token, std=0.02)
        super().init_weights()

    def forward(
        self, tokens: tuple[Tensor, Tensor], masks: tuple[PatchMask, PatchMask]
    ) -> tuple[Tensor, Tensor]:
        """Predicts every patch of both modalities, infrared first.

        Args:
            tokens: for each modality (B, E + V, in_dims): E tokens that stand for no patch, 1 for a
                class token, then the visible patches in the order of its mask's ``ids_keep``.
            masks: which patches these are; V may differ between the modalities.

        Returns:
            For each modality (B, N, patch_size ** 2 * out_channels) in grid order; the values of a
            patch run over its rows, then columns, then channels.
        """
        decoders = (self.infrared, self.visible)
        x, y = (d.sequence(t, m) for d, t, m in zip(decoders, tokens, masks))
        x, y = self.infrared.cross(x, y), self.visible.cross(y, x)
        return tuple(d.predict(s, m.num_patches) for d, s, m in zip(decoders, (x, y), masks))
