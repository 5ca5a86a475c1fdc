"""Target and loss of masked image reconstruction."""

from __future__ import annotations

from mmengine.model import BaseModule
from mmpretrain.models.losses import PixelReconstructionLoss
from torch import Tensor

from mmspec.masking import grid_of
from mmspec.registry import MODELS


@MODELS.register_module()
class ReconstructionHead(BaseModule):
    """Mean square error of the pixels of masked patches, for images of any aspect ratio.

    Args:
        patch_size: pixels a side of a patch.
        norm_pix: compare with each patch normalised by its own mean and variance (MAE, section 3)
            instead of raw pixels (InfMAE, section 4.3).
    """

    def __init__(self, patch_size: int = 16, norm_pix: bool = False) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.norm_pix = norm_pix
        self.loss_module = PixelReconstructionLoss(criterion="L2")

    def patchify(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to patches (B, N, p * p * C), values by row, column, channel."""
        p = self.patch_size
        batch, channels = images.shape[:2]
        rows, columns = grid_of(*images.shape[-2:], p)
        x = images.reshape(batch, channels, rows, p, columns, p).permute(0, 2, 4, 3, 5, 1)
        return x.reshape(batch, rows * columns, p * p * channels)

    def unpatchify(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """The inverse of :meth:`patchify`."""
        p = self.patch_size
        x = patches.reshape(patches.shape[0], *grid, p, p, -1).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(x.shape[0], x.shape[1], grid[0] * p, grid[1] * p)

    def target(self, images: Tensor) -> Tensor:
        """What a perfect decoder would predict for images (B, C, H, W): (B, N, p * p * C)."""
        patches = self.patchify(images)
        if self.norm_pix:
            mean, var = self._moments(patches)
            patches = (patches - mean) / (var + 1e-6).sqrt()
        return patches

    def to_pixels(self, prediction: Tensor, images: Tensor, by_patch: bool = True) -> Tensor:
        """Predicted patches (B, N, p * p * C) as images on the scale of ``images`` (B, C, H, W).

        With ``norm_pix`` the mean and variance of the true patches are put back, as is usual for
        showing such predictions; with ``by_patch=False`` their averages over the whole image, so
        that nothing of what was hidden shows but one brightness and one contrast.
        """
        if self.norm_pix:
            mean, var = self._moments(self.patchify(images))
            if not by_patch:
                mean, var = mean.mean(1, keepdim=True), var.mean(1, keepdim=True)
            prediction = prediction * (var + 1e-6).sqrt() + mean
        return self.unpatchify(prediction, grid_of(*images.shape[-2:], self.patch_size))

    def loss(self, prediction: Tensor, images: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss of (B, N, p * p * C): mean over a patch's values, then over masked patches.

        ``images`` (B, C, H, W) are normalised as for the encoder; ``mask`` (B, N) is true where a
        patch is masked.
        """
        return self.loss_module(prediction, self.target(images), mask)

    @staticmethod
    def _moments(patches: Tensor) -> tuple[Tensor, Tensor]:
        return patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
