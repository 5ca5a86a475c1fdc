"""What makes features of images: a checkpoint's encoder, one of random weights, or none at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor, nn

from mmspec.checkpoints import load_encoder
from mmspec.models.backbones.conv_vit import ARCHS, ConvViT
from mmspec.models.backbones.masked_vit import MaskedViT
from mmspec.models.layers.position import sincos_positions

#: Gray levels are normalised as in pre-training (``configs/_base_/models``).
MEAN, STD = 108.375, 51.0
WITHOUT_WEIGHTS = ("random", "pixels", "positions")
_POSITIONS = 96  # channels


class ProbeError(ValueError):
    """A probe that cannot be made; the message says why."""


class FrozenEncoder(nn.Module):
    """Maps of images by weights that do not change.

    ======================  ====================================================================
    ``source``              maps by name
    ======================  ====================================================================
    a checkpoint            of a ConvViT F1, F2, F3 (at 1/4, 1/8, 1/16); of a ViT its blocks at a
                            third, a half, two thirds and the end (``block4`` ...)
    ``'random'``            the same of a network of ``arch`` as it starts, drawn by ``seed``
    ``'pixels'``            ``pixels``: the gray levels of each cell of 8 x 8
    ``'positions'``         ``positions``: where a cell of 16 x 16 lies, by sines and cosines
    a backbone              its maps, by the weights that it has when it is called
    ======================  ====================================================================

    Args:
        source: see above.
        arch: of 'random': 'tiny', 'small' or 'base' of ConvViT; of a checkpoint see
            :func:`mmspec.load_encoder`.
        seed: of random weights.

    Attributes:
        key: equal keys, equal maps.
    """

    def __init__(
        self, source: str | nn.Module, arch: str | dict | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        if isinstance(source, nn.Module):
            # Not a part of this module, which would freeze it.
            object.__setattr__(self, "backbone", source)
            self.name = self.key = type(source).__name__
            self.names = self._names()
            return
        self.name, self.backbone, self.names = source, None, (source,)
        text = f"{source} {seed if source == 'random' else ''} {arch}"
        if source == "random":
            if arch is not None and arch not in ARCHS:
                raise ProbeError(f"random weights of arch={arch!r}: {', '.join(ARCHS)}")
            logger = MMLogger.get_current_instance()
            level = logger.level
            logger.setLevel("WARNING")  # mmengine logs every weight that it draws
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.backbone = ConvViT(arch or "tiny", out_indices=(0, 1, 2))
                self.backbone.init_weights()
            logger.setLevel(level)
        elif source not in WITHOUT_WEIGHTS:
            if not Path(source).is_file():
                raise FileNotFoundError(
                    f"no checkpoint {source!r}; an encoder is a file or one of"
                    f" {', '.join(WITHOUT_WEIGHTS)}"
                )
            text = hashlib.sha256(Path(source).read_bytes()).hexdigest() + str(arch)
            self.backbone = self._loaded(source, arch)
            self.name = str(Path(source).with_suffix(""))  # many are called epoch_20
        if self.backbone is not None:
            self.names = self._names()
        self.key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.eval().requires_grad_(False)

    def _names(self) -> tuple[str, ...]:
        word = "block" if isinstance(self.backbone, MaskedViT) else "F"
        return tuple(f"{word}{index + 1}" for index in self.backbone.out_indices)

    @staticmethod
    def _loaded(source: str, arch: str | dict | None) -> nn.Module:
        backbone, _ = load_encoder(source, arch)
        if isinstance(backbone, ConvViT):
            return load_encoder(source, arch, out_indices=(0, 1, 2))[0]
        depth = backbone.num_layers
        blocks = sorted({depth // 3, depth // 2, 2 * depth // 3, depth})
        return load_encoder(source, arch, out_indices=tuple(block - 1 for block in blocks))[0]

    @torch.no_grad()
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps (B, C, h, w) float32 by name of gray images (B, 1, H, W), levels of 0 to 255."""
        x = (images.float() - MEAN) / STD
        if self.backbone is not None:
            kernel = next(weight for weight in self.backbone.parameters() if weight.dim() == 4)
            x = x.repeat(1, kernel.shape[1], 1, 1).to(kernel.device)
            return dict(zip(self.names, self.backbone(x)))
        if self.name == "pixels":
            return dict(pixels=F.pixel_unshuffle(x, 8))
        grid = tuple(side // 16 for side in x.shape[-2:])
        where = sincos_positions(grid, _POSITIONS, 14).T.reshape(1, _POSITIONS, *grid)
        return dict(positions=where.expand(len(x), -1, -1, -1))
