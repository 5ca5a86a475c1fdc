"""Gradients of the image as targets: hand-made features that leave brightness out."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.models.selfsup import HOGGenerator
from torch import Tensor

from mmspec.masking import grid_of
from mmspec.registry import MODELS

from ..layers.patches import on_grid
from .base import Target

CELL = 8  # pixels a side of a histogram's cell, mmpretrain's


class _Histograms(HOGGenerator):
    """mmpretrain's generator, which folds its cells into 14 x 14 patches, for any grid."""

    def _reshape(self, cells: Tensor) -> Tensor:
        return cells.flatten(1, 2)


@MODELS.register_module()
class HOGTarget(Target):
    """Histograms of oriented gradients (MaskFeat, arXiv 2112.09133), by mmpretrain's generator.

    Nine directions in cells of 8 x 8 pixels, each histogram normalised: of a 16 x 16 patch of three
    channels 108 values, ``neck=dict(out_dims=108)``. A gain and an offset of the whole image do not
    move them, nor does an inversion, white-hot to black-hot: opposite directions share a bin.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        if self.patch_size % (2 * CELL):
            raise ValueError(f"patch_size={self.patch_size}: HOGTarget needs a multiple of 16")
        self.generator = _Histograms(pool=CELL)

    def forward(self, images: Tensor, channels: slice) -> Tensor:
        images = images[:, channels]
        height, width = images.shape[-2:]
        grid_of(height, width, self.patch_size)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            # The generator takes squares. The first pixel beyond is what it mirrors at borders.
            right, below = max(height - width, 0), max(width - height, 0)
            images = images.float().expand(-1, 3, -1, -1)
            images = F.pad(images, (0, min(right, 1), 0, min(below, 1)), mode="reflect")
            images = F.pad(images, (0, max(right - 1, 0), 0, max(below - 1, 0)))
            cells = self.generator(images)[..., : height // CELL, : width // CELL]
            return on_grid(F.pixel_unshuffle(cells, self.patch_size // CELL))


@MODELS.register_module()
class LogRatioTarget(Target):
    """Logarithms of ratios of neighbouring means, at several scales (SARATR-X, arXiv 2405.09365).

    In each cell of a patch, for each size: the mean gray level of the window to the right of the
    cell's centre over that of the window to the left of it, and of the one below over the one
    above. SAR images have multiplicative noise, for which the paper takes ratios in place of
    differences; here they cancel the gain of a thermal camera. Of a 16 x 16 patch, three sizes and
    cells of 4 x 4 pixels 96 values, ``neck=dict(out_dims=96)``.

    What cancels: a factor on all gray levels or counts, exactly, as the floor follows it. What does
    not: an offset, which a drift of the sensor's own temperature adds to its counts. It weakens all
    ratios alike: with levels of 20 and 10, log 2 becomes log 1.5 by an offset of 10. Nor does an
    inversion, white-hot to black-hot, turn signs alone. A scale by percentiles of each image, the
    pipeline's for more than 8 bits, takes gain and offset out before.

    Args:
        sizes: pixels a side of the windows. Ours; the floor, too, and the means over squares.
        cell: pixels a side of a cell, a divisor of the patch size.
        floor: share of the image's mean that is added to each window, so that black has a ratio.
    """

    def __init__(
        self, sizes: Sequence[int] = (4, 8, 16), cell: int = 4, floor: float = 0.01, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        if self.patch_size % cell or cell % 2:
            raise ValueError(f"cell={cell}: an even divisor of patch_size={self.patch_size}")
        if not sizes or any(size < 2 or size % 2 for size in sizes):
            raise ValueError(f"sizes={sizes}: even numbers of pixels")
        if not floor > 0:
            raise ValueError(f"floor={floor}: above 0, black has no logarithm")
        self.sizes = tuple(sizes)
        self.cell = cell
        self.floor = floor

    def forward(self, images: Tensor, channels: slice) -> Tensor:
        grid_of(*images.shape[-2:], self.patch_size)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            gray = self.gray_levels(images.float(), channels).mean(1, keepdim=True).clamp(min=0)
            floor = self.floor * gray.mean((2, 3), keepdim=True).clamp(min=1e-6)
            ratios = [ratio for size in self.sizes for ratio in self._ratios(gray, floor, size)]
            return on_grid(F.pixel_unshuffle(torch.cat(ratios, 1), self.patch_size // self.cell))

    def _ratios(self, gray: Tensor, floor: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Horizontal and vertical ones of one size, (B, 1, H / cell, W / cell)."""
        height, width = (side // self.cell for side in gray.shape[-2:])
        padded = F.pad(gray, (size,) * 4, mode="replicate")
        centre = size + self.cell // 2

        def mean(top: int, left: int) -> Tensor:
            """Logarithm of the means of windows whose corner is there, from each cell's centre."""
            windows = padded[..., centre + top :, centre + left :]
            pooled = F.avg_pool2d(windows, size, stride=self.cell)[..., :height, :width]
            return (pooled + floor).log()

        half = -(size // 2)
        return mean(half, 0) - mean(half, -size), mean(0, half) - mean(-size, half)
