"""Maps of features of images of either modality from a frozen encoder."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MIN_STD = 1.0  # gray levels; an empty image is not blown up


class MatchingEncoder:
    """One map of features of an image of either modality, by a frozen backbone.

    Each image is shifted and scaled to mean 0 and standard deviation 1 over all its pixels and
    channels: an encoder sees values such as those it was trained with, whatever it was, and the
    gains and offsets of the two cameras are gone. Each map that is used loses its mean over the
    image, in which sensors differ more than scenes do, and its vectors get length 1.

    Args:
        backbone: from (B, 3, H, W) to a tuple of maps (B, C, h, w), as ConvViT and MaskedViT. It is
            set to evaluation.
        levels: which of the maps. Of several each is brought to the size of the first, bilinearly,
            and the vectors are put together, so that the cosine is the mean of theirs.
    """

    def __init__(self, backbone: nn.Module, levels: Sequence[int]) -> None:
        backbone.eval()  # of mmpretrain's backbones it returns None
        self.backbone = backbone
        self.levels = tuple(levels)
        self.device = next(backbone.parameters(), torch.empty(0)).device

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> Tensor:
        """The features of an image (H, W) or (H, W, 3) RGB, uint8.

        (C, h, w) float32 on the device of the backbone, vectors of length 1. ValueError where the
        backbone gives fewer maps, or one that covers more than the image.
        """
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device).float()
        pixels = (pixels - pixels.mean()) / pixels.std().clamp(min=_MIN_STD)
        maps = self.backbone(pixels.permute(2, 0, 1)[None])
        if max(self.levels) >= len(maps):
            raise ValueError(
                f"levels={self.levels}: {type(self.backbone).__name__} gives {len(maps)} maps, from"
                " 0"
            )
        size = maps[self.levels[0]].shape[-2:]
        used = []
        for level in self.levels:
            check_cells(maps[level], image.shape[:2])
            features = maps[level].float()
            features = features - features.mean((2, 3), keepdim=True)
            if features.shape[-2:] != size:
                features = F.interpolate(features, size=size, mode="bilinear")
            used.append(F.normalize(features, dim=1))
        return F.normalize(torch.cat(used, dim=1), dim=1)[0]


def check_cells(features: Tensor, shape: tuple[int, int]) -> None:
    """Raise ValueError where cells of a map (..., h, w) are no squares of the image (H, W).

    A backbone has padded the image then, and its cells lie elsewhere than ``h`` by ``w`` of the
    image alone would.
    """
    height, width = features.shape[-2:]
    if shape[0] * width != shape[1] * height or shape[0] % height:
        raise ValueError(
            f"a map of {width} x {height} cells for an image of {shape[1]} x {shape[0]} pixels: the"
            " encoder has padded it, so that cells lie beside their pixels; both sides of the image"
            " must be multiples of the cell, of 32 for maps at 1/32"
        )
