"""A plain ViT that encodes the visible patches of any mask."""

from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, cat, nn

from mmspec.masking import PatchMask
from mmspec.models.input_check import watch_input
from mmspec.registry import MODELS

from ..layers import adapters
from ..layers.blocks import xavier_of_patches_
from ..layers.position import sincos_positions
from ..strides import StrideCheck


@MODELS.register_module()
class MaskedViT(VisionTransformer):
    """mmpretrain's ViT as the encoder of masked pre-training (MAE, arXiv 2111.06377, section 3).

    Takes the same arguments; positions are fixed sine-cosine ones. mmpretrain's own ``MAEViT``
    draws its random mask inside; this one is told which patches are visible, so that it serves with
    information-aware masks (the second row of InfMAE's table 4). Layers behind the last of
    ``out_indices`` are not built. With ``adapter_dims`` every layer has an adapter of this width
    beside its MLP, which learns where ``frozen_stages`` (as many as there are layers, for all) has
    frozen the layer: see :mod:`mmspec.models.layers.adapters`.
    """

    pretraining_only: tuple[str, ...] = ()
    new_at_fine_tuning = (adapters.NAME,)

    def __init__(
        self, arch: str | dict = "base", img_size: int = 224, adapter_dims: int = 0, **kwargs
    ) -> None:
        kwargs.setdefault("out_type", "featmap")
        super().__init__(arch=arch, img_size=img_size, **kwargs)
        watch_input(self)
        used = max(self.out_indices) + 1
        if used < self.num_layers:
            self.pretraining_only = tuple(f"layers.{i}" for i in range(used, self.num_layers))
            del self.layers[used:]
            self.num_layers = used
            if self.final_norm:  # it stands behind the last layer, which is gone
                del self.ln1
                self.final_norm = False
        if not self.final_norm:
            self.pretraining_only += ("ln1",)
        self.pos_embed.requires_grad = False
        ffns = [layer.ffn for layer in self.layers]
        adapters.add_adapters(ffns, [self.embed_dims] * len(ffns), adapter_dims)
        self.register_forward_pre_hook(StrideCheck())

    @property
    def strides(self) -> tuple[int]:
        """Pixels of the image in a pixel of the one map that it can give, at several depths."""
        return (self.img_size[0] // self.patch_resolution[0],)

    @property
    def out_strides(self) -> tuple[int, ...]:
        """Strides of the maps of ``out_indices``."""
        return self.strides * len(self.out_indices)

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of the maps of ``out_indices``."""
        return (self.embed_dims,) * len(self.out_indices)

    def init_weights(self) -> None:
        """mmpretrain's initialisation with sine-cosine positions and MAE's linear maps."""
        super().init_weights()
        if isinstance(self.init_cfg, dict) and self.init_cfg["type"] == "Pretrained":
            return
        grid = self.patch_resolution
        positions = sincos_positions(grid, self.embed_dims, grid[0])
        extra = self.pos_embed.shape[1] - positions.shape[0]
        self.pos_embed.data.zero_()
        self.pos_embed.data[0, extra:] = positions
        xavier_of_patches_(self.patch_embed.projection.weight)
        if self.cls_token is not None:
            nn.init.normal_(self.cls_token, std=0.02)
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        adapters.start(self)

    def forward(self, x: Tensor, mask: PatchMask | None = None) -> tuple[Tensor, ...] | Tensor:
        """Maps of a whole image as mmpretrain's ViT gives them, or tokens of visible patches.

        Maps are contiguous. With a mask: (B, V, C) in the order of ``mask.ids_keep``, without the
        class token.
        """
        if mask is None:
            return tuple(out.contiguous() for out in super().forward(x))
        return self.visible_tokens(x, mask)[:, self.num_extra_tokens :]

    def patch_tokens(self, x: Tensor) -> Tensor:
        """Embedded patches of whole images with their positions, before any layer: (B, N, C)."""
        tokens, grid = self.patch_embed(x)
        extra = self.num_extra_tokens
        positions = resize_pos_embed(
            self.pos_embed, self.patch_resolution, grid, self.interpolate_mode, extra
        )
        return tokens + positions[:, extra:]

    def visible_tokens(self, x: Tensor, mask: PatchMask, tokens: Tensor | None = None) -> Tensor:
        """The class token, if there is one, then the visible patches: (B, E + V, C).

        ``tokens`` are those of :meth:`patch_tokens`, where they are at hand.
        """
        if not self.final_norm:
            raise RuntimeError(
                "a masked forward needs MaskedViT(final_norm=True) with its last layer in "
                "out_indices"
            )
        tokens = mask.gather(self.patch_tokens(x) if tokens is None else tokens)
        if self.cls_token is not None:
            first = self.cls_token + self.pos_embed[:, :1]
            tokens = cat([first.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.pre_norm(self.drop_after_pos(tokens))
        for layer in self.layers:
            tokens = layer(tokens)
        return self.ln1(tokens)
