"""How the released codes compute what mmspec computes otherwise, written anew.

The yardsticks of ``tools/benchmark.py`` and of the test that visible patches alone give the tokens
of the whole image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec.masking import PatchMask
from mmspec.models.backbones import ConvViT
from mmspec.models.layers.position import sincos_positions
from mmspec.models.selfsup import MSpecGene


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

    Point-wise layers are 1x1 convolutions over channel-first maps, the mask multiplies the input of
    each depth-wise convolution, visible tokens are taken after stage 2. Drop path and layer scale,
    which pre-training does not use, are left out.
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


class DenseConvViT(ConvViT):
    """ConvViT for InfMAE's pre-training with the masked forward of the released code."""

    def forward(self, images: Tensor, mask: PatchMask) -> Tensor:
        return dense_masked_forward(self, images, mask)


class TwoPasses(MSpecGene):
    """M-SpecGene with one modality after the other through the encoder."""

    def _encode(self, images: Tensor, tokens: Tensor, masks: tuple[PatchMask, PatchMask]):
        sides = zip(images.chunk(2), masks, tokens.chunk(2))
        return tuple(self.backbone.visible_tokens(*side) for side in sides)


@torch.no_grad()
def sequential_masking(infrared: Tensor, visible: Tensor, keep: int) -> list[tuple[Tensor, Tensor]]:
    """CMSS masking with the work of the released sampler in the first epochs.

    The metric on copies of the tokens (B, L, C), normalised first, then :func:`choose_by_sorting`
    for either modality. Left out are the step of the mixture (a hundredth of the time) and the
    gathering of tokens, which is the encoder's in mmspec.
    """
    infrared, visible = infrared.clone(), visible.clone()
    cosine = (F.normalize(infrared, dim=-1) * F.normalize(visible, dim=-1)).sum(-1)
    free = ((cosine + 1) / 2).sqrt() / (infrared.var(-1) * visible.var(-1))
    free /= free.max()
    return [choose_by_sorting(free, torch.randn_like(free) / 10, keep) for _ in range(2)]


def choose_by_sorting(free: Tensor, targets: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """For each of the first ``keep`` targets (B, L) the nearest score (B, L) not yet taken.

    A full sort of all distances a target, and two for the order of all patches and its inverse.

    Returns:
        (B, keep) patch numbers, and (B, L) the place of each patch when they come first. Taken
        scores are overwritten, so that the other modality takes others.
    """
    images, chosen = torch.arange(len(free), device=free.device), []
    for target in targets[:, :keep].T:
        chosen.append((free - target[:, None]).abs().argsort(1)[:, 0])
        free[images, chosen[-1]] = 1e5
    ids = torch.stack(chosen, 1)
    rest = (free - targets).abs().argsort(1)[:, : free.shape[1] - keep]
    return ids, torch.cat([ids, rest], 1).argsort(1)
