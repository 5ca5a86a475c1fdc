"""A Swin transformer that encodes the sampled patches of uniform masking."""

import torch.nn.functional as F
from mmpretrain.models.selfsup.simmim import SimMIMSwinTransformer
from torch import Tensor, nn

from mmspec.masking import UniformMask
from mmspec.models.input_check import watch_input
from mmspec.registry import MODELS

from ..strides import StrideCheck

PATCH_SIZE = 16
#: Tokens of stage 1 along a side of a patch.
TOKENS = 4


@MODELS.register_module()
class MaskedSwin(SimMIMSwinTransformer):
    """mmpretrain's Swin transformer as the encoder of UM-MAE (arXiv 2205.10063, section 3).

    Takes the same arguments, but does not build stages behind the last of ``out_indices``. With a
    mask, the sampled patches are put together to an image of half the size, the tokens of hidden
    ones are replaced by a mask token behind the patch embedding, and the last stage's map (1/32) is
    brought back to one token a patch by a linear map and a pixel shuffle.

    Args:
        pretraining: build what masked pre-training alone uses: mask token and last linear map.
        token_dims: width of the tokens of a masked forward.
    """

    #: Pixels of the image in a pixel of the map of each stage.
    strides = (4, 8, 16, 32)
    #: Pre-training uses the last stage's output alone, and so its norm alone.
    new_at_fine_tuning = ("norm0", "norm1", "norm2")
    pretraining_only = ("mask_token", "expand")

    def __init__(
        self,
        arch: str | dict = "tiny",
        pretraining: bool = False,
        token_dims: int = 384,
        pad_small_map: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(arch=arch, pad_small_map=pad_small_map, **kwargs)
        watch_input(self)
        last, all_stages = max(self.out_indices), len(self.stages)
        if last + 1 < all_stages:
            if pretraining:
                raise ValueError(
                    f"MaskedSwin(pretraining=True) needs its last stage, which out_indices="
                    f"{tuple(self.out_indices)} leaves out"
                )
            del self.stages[last + 1 :]
            self.stages[last].downsample = None
            self.depths = self.depths[: last + 1]
            self.pretraining_only += (
                f"stages.{last}.downsample",
                f"norm{all_stages - 1}",
                *(f"stages.{i}" for i in range(last + 1, all_stages)),
            )
        if pretraining:
            self.expand = nn.Conv2d(self.num_features[-1], 4 * token_dims, 1)
        else:
            del self.mask_token
        self.register_forward_pre_hook(StrideCheck())

    @property
    def out_strides(self) -> tuple[int, ...]:
        """Strides of the maps of ``out_indices``."""
        return tuple(self.strides[i] for i in self.out_indices)

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of the maps of ``out_indices``."""
        return tuple(self.num_features[i] for i in self.out_indices)

    def init_weights(self) -> None:
        """As mmpretrain's for SimMIM, which a fine-tuned encoder without a mask token shares."""
        if hasattr(self, "mask_token"):
            super().init_weights()
            return
        super(SimMIMSwinTransformer, self).init_weights()
        if not (isinstance(self.init_cfg, dict) and self.init_cfg["type"] == "Pretrained"):
            self.apply(self._init_weights)

    def forward(self, x: Tensor, mask: UniformMask | None = None) -> tuple[Tensor, ...] | Tensor:
        """Maps of whole images (B, C, H, W) as mmpretrain's Swin gives them.

        With a mask the tokens of sampled patches, (B, V, token_dims), as in ``mask.ids_keep``.
        """
        if mask is None:
            return super().forward(x, None)
        if not hasattr(self, "expand"):
            raise RuntimeError("a masked forward needs MaskedSwin(pretraining=True)")
        rows, columns = mask.compact_grid
        hidden = mask.secondary.unflatten(1, (rows, columns))
        hidden = hidden.repeat_interleave(TOKENS, 1).repeat_interleave(TOKENS, 2)
        features = super().forward(compact_image(x, mask), hidden)[-1]
        tokens = F.pixel_shuffle(self.expand(features), 2)
        # The last stage pads an odd number of patches at the right and at the bottom.
        return tokens[:, :, :rows, :columns].flatten(2).transpose(1, 2)


def compact_image(images: Tensor, mask: UniformMask) -> Tensor:
    """The sampled patches of images (B, C, H, W) side by side: (B, C, H / 2, W / 2)."""
    p = PATCH_SIZE
    patches = images.unflatten(3, (-1, p)).unflatten(2, (-1, p)).permute(0, 2, 4, 1, 3, 5)
    sampled = mask.gather(patches.flatten(1, 2)).unflatten(1, mask.compact_grid)
    return sampled.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
