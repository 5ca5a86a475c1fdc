"""ConvViT's masked forward pass as it was released: computed densely, then masked.

The yardstick of ``benchmark_pretrain.py`` and of the equality test of the visible-patch
computation. Point-wise layers are 1x1 convolutions over channel-first maps, the mask multiplies the
input of each depth-wise convolution, visible tokens are taken after stage 2.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmspec.masking import PatchMask
from mmspec.models.backbones import ConvViT
from mmspec.models.layers.position import sincos_positions


def _pointwise(x: Tensor, linear: nn.Linear) -> Tensor:
    return F.conv2d(x, linear.weight[:, :, None, None], linear.bias)


def _norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()


def _stage(x: Tensor, blocks: nn.ModuleList, visible: Tensor) -> Tensor:
    for block in blocks:
        y = block.dwconv(visible * _pointwise(_norm(x, block.norm1), block.proj_in))
        x = x + _pointwise(y, block.proj_out)
        y = F.gelu(_pointwise(_norm(x, block.norm2), block.mlp.fc1))
        x = x + _pointwise(y, block.mlp.fc2)
    return x


def dense_masked_forward(encoder: ConvViT, images: Tensor, mask: PatchMask) -> Tensor:
    """The tokens ``encoder(images, mask)`` gives, (B, V, C), by way of the whole image.

    Drop path and layer scale, which pre-training does not use, are left out.
    """
    embeds, stages = encoder.embeds, encoder.stages
    x = images
    maps = []
    for i in range(2):
        x = F.gelu(_norm(embeds[i].proj(x), embeds[i].norm))
        x = _stage(x, stages[i], mask.upsample(4 >> i).to(x.dtype))
        maps.append(x)
    x = F.gelu(_norm(embeds[2].proj(x), embeds[2].norm)).flatten(2).transpose(1, 2)
    positions = sincos_positions(mask.grid, x.shape[-1], encoder.pretrain_grid, x.device)
    tokens = mask.gather(encoder.token_proj(x) + positions.to(x.dtype))
    for block in stages[2]:
        tokens = block(tokens)
    for f, conv in zip(maps, encoder.fuse):
        tokens = tokens + mask.gather(conv(f).flatten(2).transpose(1, 2))
    return encoder.norm(tokens)
