"""ConvViT: the multi-scale convolution + transformer encoder of InfMAE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmspec.masking import PatchMask, grid_of
from mmspec.models.input_check import watch_input
from mmspec.registry import MODELS

from ..layers import adapters
from ..layers.blocks import ConvBlock, PatchEmbed, TransformerBlock, xavier_of_patches_
from ..layers.layout import DenseLayout, VisibleLayout
from ..layers.position import sincos_positions
from ..layers.windows import missing, rounded_up, unflatten
from ..strides import StrideCheck

PATCH_SIZE = 16

ARCHS = {
    "tiny": dict(embed_dims=(48, 96, 224), depths=(2, 2, 6), num_heads=4, mlp_ratios=(4, 4, 4)),
    "small": dict(embed_dims=(128, 192, 384), depths=(2, 2, 11), num_heads=6, mlp_ratios=(4, 4, 4)),
    # InfMAE (arXiv 2402.00407), section 5.1.
    "base": dict(embed_dims=(256, 384, 768), depths=(2, 2, 11), num_heads=12, mlp_ratios=(4, 4, 4)),
}


def resolve_arch(arch: str | dict) -> dict:
    """Settings of a named architecture, or a checked copy of a dict of them."""
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(
                f"arch={arch!r}: {', '.join(ARCHS)} or a dict with {tuple(ARCHS['base'])}"
            )
        return dict(ARCHS[arch])
    expected, given = set(ARCHS["base"]), set(arch)
    if expected != given:
        raise ValueError(
            f"arch: missing {sorted(expected - given)}, unknown {sorted(given - expected)}"
        )
    for key in ("embed_dims", "depths", "mlp_ratios"):
        if len(arch[key]) != 3:
            raise ValueError(f"arch[{key!r}] needs one value for each of 3 stages, got {arch[key]}")
    return dict(arch)


@MODELS.register_module()
class ConvViT(BaseModule):
    """Encoder of InfMAE (ECCV 2024, section 4.2; the network is that of ConvMAE, arXiv 2205.03892).

    Two convolution stages at 1/4 and 1/8 and a transformer stage at 1/16. Without a mask it is a
    backbone: images (B, C, H, W) of any H x W give the maps F1, F2, F3, F4 at 1/4, 1/8, 1/16, 1/32
    (sizes rounded up; the image is padded at the right and at the bottom to a multiple of 16). With
    a :class:`~mmspec.masking.PatchMask` it is the encoder of masked pre-training: H and W must be
    multiples of 16, and every stage runs on the visible patches alone.

    Args:
        arch: 'base' (the paper's), 'small', 'tiny', or a dict with ``embed_dims``, ``depths`` and
            ``mlp_ratios`` (three each) and ``num_heads`` (of stage 3).
        out_indices: which of (F1, F2, F3, F4) the dense forward returns; by default all, with
            ``pretraining`` the first three: F4's 3x3 stride-2 convolution is new at fine-tuning.
            Stages behind the last of these maps are built for pre-training alone.
        final_norm: apply the final LayerNorm to F3 (and so to F4).
        pretraining: build what masked pre-training alone uses: the convolutions that bring F1 and
            F2 to the patch grid, and the final norm.
        drop_path_rate: stochastic depth, growing linearly over all blocks.
        use_rel_pos: learned relative positions in stage 3, starting at zero, for fine-tuning alone.
        window_size: tokens a side of the windows of attention in stage 3 (ViTDet, arXiv 2203.16527,
            section 3), which keep large images cheap; 0: every block attends globally. Blocks 1, 4,
            7, ... stay global, as in ConvMAE's detection (window 14). The masked forward is always
            global, and windows have no weights but relative positions, so one checkpoint serves
            both.
        with_cp: activation checkpointing of every block.
        frozen_stages: -1 none; n freezes stages 1..n with their embeddings (3: the whole encoder
            but F4's convolution).
        pretrain_grid: patches a side in pre-training, the unit of positions (14 for 224 pixels).
        adapter_dims: width of adapters beside the MLP of every block, which learn where
            ``frozen_stages`` has frozen the block (:mod:`mmspec.models.layers.adapters`); 0: none.
        init_cfg: ``dict(type='mmspec.PretrainedEncoder', checkpoint=...)`` to start from one.
    """

    #: Pixels of the image in a pixel of F1, F2, F3, F4.
    strides = (4, 8, 16, 32)
    #: Parts of names whose tensors pre-training does not have, and that fine-tuning does not need.
    new_at_fine_tuning = ("downsample", "rel_pos_h", "rel_pos_w", adapters.NAME)

    def __init__(
        self,
        arch: str | dict = "base",
        in_channels: int = 3,
        out_indices: Sequence[int] | None = None,
        final_norm: bool = False,
        pretraining: bool = False,
        drop_path_rate: float = 0.0,
        use_rel_pos: bool = False,
        window_size: int = 0,
        with_cp: bool = False,
        frozen_stages: int = -1,
        pretrain_grid: int = 14,
        adapter_dims: int = 0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        watch_input(self)
        if out_indices is None:
            out_indices = (0, 1, 2) if pretraining else (0, 1, 2, 3)
        known = set(out_indices) <= {0, 1, 2, 3}
        if not out_indices or not known or list(out_indices) != sorted(set(out_indices)):
            raise ValueError(f"out_indices={out_indices}: increasing numbers out of 0, 1, 2, 3")
        if pretraining and 3 in out_indices:
            raise ValueError("pretraining=True has no F4: give out_indices=(0, 1, 2)")
        if not -1 <= frozen_stages <= 3:
            raise ValueError(f"frozen_stages={frozen_stages}: -1, 0, 1, 2 or 3")
        num_stages = 3 if pretraining else min(out_indices[-1] + 1, 3)
        if final_norm and num_stages < 3:
            raise ValueError(
                f"final_norm=True: out_indices={tuple(out_indices)} leaves out F3, which it norms"
            )
        if window_size < 0:
            raise ValueError(f"window_size={window_size}: tokens a side, or 0 for global attention")
        self.arch = resolve_arch(arch)
        self.out_indices = tuple(out_indices)
        self.final_norm = final_norm
        self.with_cp = with_cp
        self.frozen_stages = frozen_stages
        self.pretrain_grid = pretrain_grid

        #: What a checkpoint may have beside this backbone: what pre-training or later maps need.
        unused = [f"{part}.{i}" for i in range(num_stages, 3) for part in ("embeds", "stages")]
        self.pretraining_only = ("fuse", "norm", "downsample", *unused)

        dims, depths = self.arch["embed_dims"], self.arch["depths"]
        ratios, heads = self.arch["mlp_ratios"], self.arch["num_heads"]
        rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
        self.embeds = nn.ModuleList(
            PatchEmbed((in_channels, *dims)[i], dims[i], (4, 2, 2)[i]) for i in range(num_stages)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(ConvBlock(dims[i], ratios[i], next(rates)) for _ in range(depths[i]))
            for i in range(min(num_stages, 2))
        )
        if num_stages == 3:
            self.token_proj = nn.Linear(dims[2], dims[2])
            rel_pos_grid = pretrain_grid if use_rel_pos else None
            windows = [0 if i % 3 == 1 else window_size for i in range(depths[2])]
            self.stages.append(
                nn.ModuleList(
                    TransformerBlock(dims[2], heads, ratios[2], next(rates), rel_pos_grid, window)
                    for window in windows
                )
            )
        else:
            self.pretraining_only += ("token_proj",)
        if pretraining:
            self.fuse = nn.ModuleList(
                [nn.Conv2d(dims[0], dims[2], 4, 4), nn.Conv2d(dims[1], dims[2], 2, 2)]
            )
        if pretraining or final_norm:
            self.norm = nn.LayerNorm(dims[2], eps=1e-6)
        if 3 in self.out_indices:
            self.downsample = nn.Conv2d(dims[2], dims[2], 3, stride=2, padding=1)
        for module in self._frozen_modules():
            module.requires_grad_(False)
        # Behind what was frozen: they learn.
        mlps = [block.mlp for stage in self.stages for block in stage]
        widths = [dim for dim, stage in zip(dims, self.stages) for _ in stage]
        adapters.add_adapters(mlps, widths, adapter_dims)
        self.register_forward_pre_hook(StrideCheck())

    @property
    def embed_dims(self) -> int:
        """Width of the tokens of stage 3."""
        return self.arch["embed_dims"][2]

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of the maps that the dense forward returns."""
        dims = (*self.arch["embed_dims"], self.embed_dims)
        return tuple(dims[i] for i in self.out_indices)

    @property
    def out_strides(self) -> tuple[int, ...]:
        """Strides of the maps that the dense forward returns."""
        return tuple(self.strides[i] for i in self.out_indices)

    def init_weights(self) -> None:
        """As the released network starts, with no bias of a convolution at zero.

        Xavier-uniform maps and zero biases in the transformer stage, as in MAE, and the third
        embedding so too, as a linear map of flattened patches; F4's convolution, which pre-training
        does not have, likewise. All else stays as PyTorch draws it, uniform within
        1 / sqrt(inputs), biases too: an empty region, such as the zeros of a padded image, is a
        zero token without them, and its layer norm a gradient of a million. A checkpoint named by
        ``init_cfg`` is loaded afterwards; a second call changes nothing.
        """
        if self.is_init:
            return
        if len(self.stages) == 3:
            for module in (self.token_proj, *self.stages[2].modules()):
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight)
                    nn.init.zeros_(module.bias)
            xavier_of_patches_(self.embeds[2].proj.weight)
        adapters.start(self)  # among the linear maps above
        if hasattr(self, "downsample"):
            xavier_of_patches_(self.downsample.weight)
        super().init_weights()

    def forward(self, x: Tensor, mask: PatchMask | None = None) -> tuple[Tensor, ...] | Tensor:
        """Maps of whole images (B, in_channels, H, W), or tokens of their visible patches.

        Without a mask the maps of ``out_indices``, each (B, C_i, H_i, W_i), contiguous. With one
        the tokens LN(T + F1 + F2), (B, V, C_3), in the order of ``mask.ids_keep``.
        """
        return self._forward_dense(x) if mask is None else self._forward_visible(x, mask)

    def patch_tokens(self, x: Tensor) -> Tensor:
        """What masking by tokens scores, in place of a ViT's embedded patches: (B, N, 256 * C).

        The normalised pixels of each 16x16 patch plus sine-cosine positions of that width. ConvViT
        has no map from a patch to one token, and its first stages mix neighbours; a ViT's, a random
        map when training starts, keeps angles and variances of just these pixels.
        """
        grid = grid_of(*x.shape[-2:], PATCH_SIZE)
        pixels = F.pixel_unshuffle(x, PATCH_SIZE).flatten(2).transpose(1, 2)
        return pixels + sincos_positions(grid, pixels.shape[-1], self.pretrain_grid, x.device)

    def visible_tokens(self, x: Tensor, mask: PatchMask, tokens: Tensor | None = None) -> Tensor:
        """The masked forward: (B, V, C_3); ``tokens`` of :meth:`patch_tokens` are not reused."""
        if mask.num_visible == 0:
            return x.new_zeros(len(x), 0, self.embed_dims)
        return self._forward_visible(x, mask)

    def _forward_dense(self, x: Tensor) -> tuple[Tensor, ...]:
        height, width = x.shape[-2:]
        x = F.pad(x, (0, missing(width, PATCH_SIZE), 0, missing(height, PATCH_SIZE)))
        features, grid = self._stages(x, DenseLayout())
        if len(features) == 3:
            tokens = self.norm(features[2]) if self.final_norm else features[2]
            features[2] = unflatten(tokens, 1, grid)
        maps = []
        for i, f in enumerate(features):
            if i in self.out_indices:
                stride = self.strides[i]
                f = f[:, : rounded_up(height, stride), : rounded_up(width, stride)]
                maps.append(f.permute(0, 3, 1, 2).contiguous())
        if 3 in self.out_indices:
            maps.append(self.downsample(features[2].permute(0, 3, 1, 2)).contiguous())
        return tuple(maps)

    def _forward_visible(self, x: Tensor, mask: PatchMask) -> Tensor:
        if not hasattr(self, "fuse") or self.stages[2][0].attn.rel_pos_h is not None:
            raise RuntimeError(
                "a masked forward needs ConvViT(pretraining=True, use_rel_pos=False)"
            )
        grid = grid_of(*x.shape[-2:], PATCH_SIZE)
        if grid != tuple(mask.grid):
            raise ValueError(f"a {grid} grid of patches was given a mask for {tuple(mask.grid)}")
        layout = VisibleLayout(mask)
        (*early, tokens), _ = self._stages(x, layout)
        for f, conv in zip(early, self.fuse):
            tokens = tokens + layout.downsample(f, conv).flatten(1, 3)
        return self.norm(tokens)

    def _stages(
        self, x: Tensor, layout: DenseLayout | VisibleLayout
    ) -> tuple[list[Tensor], tuple[int, int]]:
        """What each stage gives, in the layout; of the third its tokens (B, N, C); and the grid."""
        grid = grid_of(*x.shape[-2:], PATCH_SIZE)
        features = [self._run(self.stages[0], self.embeds[0](x, layout.embed_image), layout)]
        if len(self.stages) > 1:
            x = self.embeds[1](features[0], layout.downsample)
            features.append(self._run(self.stages[1], x, layout))
        if len(self.stages) > 2:
            features.append(self._transformer_stage(features[1], layout, grid))
        return features, grid

    def _transformer_stage(
        self, x: Tensor, layout: DenseLayout | VisibleLayout, grid: tuple[int, int]
    ) -> Tensor:
        tokens = self.embeds[2](x, layout.downsample)
        positions = sincos_positions(grid, self.embed_dims, self.pretrain_grid, tokens.device)
        # In the weights' precision, which under autocast is that of the residual stream.
        positions = positions.to(self.token_proj.weight.dtype).expand(tokens.shape[0], -1, -1)
        if isinstance(layout, VisibleLayout):
            positions = layout.mask.gather(positions)
            grid = None  # visible tokens fill no grid: no windows
        tokens = tokens.flatten(1, -2)
        tokens = self.token_proj(tokens) + positions
        return self._run(self.stages[2], tokens, grid)

    def _run(self, blocks: nn.ModuleList, x: Tensor, context) -> Tensor:
        for block in blocks:
            if self.with_cp and x.requires_grad:
                x = checkpoint(block, x, context, use_reentrant=False)
            else:
                x = block(x, context)
        return x

    def _frozen_modules(self) -> list[nn.Module]:
        last = min(self.frozen_stages, len(self.stages))
        frozen = [part for i in range(last) for part in (self.embeds[i], self.stages[i])]
        if last == 3:
            frozen += [self.token_proj, *([self.norm] if hasattr(self, "norm") else [])]
        return frozen

    def train(self, mode: bool = True) -> ConvViT:
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Layer of a parameter for layer-wise learning-rate decay: (depth, number of layers).

        Stages 1 and 2, the embeddings and ``token_proj`` are layer 0, block i of stage 3 is layer
        i + 1, everything behind is the last layer (ConvMAE's fine-tuning: 11 blocks, decay 0.75).
        """
        num_layers = 2 + (len(self.stages[2]) if len(self.stages) == 3 else 0)
        if not param_name.startswith(prefix):
            return num_layers - 1, num_layers
        name = param_name.removeprefix(prefix)
        if name.startswith(("embeds.", "stages.0.", "stages.1.", "token_proj.")):
            return 0, num_layers
        if name.startswith("stages.2."):
            return int(name.split(".")[2]) + 1, num_layers
        return num_layers - 1, num_layers
