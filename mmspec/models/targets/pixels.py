"""Pixels as targets."""

from torch import Tensor

from mmspec.masking import grid_of
from mmspec.registry import MODELS

from ..layers.patches import patchify, unpatchify
from .base import Target


@MODELS.register_module()
class PixelTarget(Target):
    """The pixels of a patch, p * p * C values by row, column, channel.

    Args:
        norm_pix: each patch normalised by its own mean and variance (MAE, section 3) instead of
            raw pixels (InfMAE, section 4.3).
    """

    def __init__(self, norm_pix: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.norm_pix = norm_pix

    def forward(self, images: Tensor, channels: slice) -> Tensor:
        patches = patchify(images[:, channels], self.patch_size)
        if self.norm_pix:
            mean, var = self._moments(patches)
            patches = (patches - mean) / (var + 1e-6).sqrt()
        return patches

    def to_pixels(self, prediction: Tensor, images: Tensor, by_patch: bool = True) -> Tensor:
        """See :meth:`ReconstructionHead.to_pixels`."""
        if self.norm_pix:
            mean, var = self._moments(patchify(images, self.patch_size))
            if not by_patch:
                mean, var = mean.mean(1, keepdim=True), var.mean(1, keepdim=True)
            prediction = prediction * (var + 1e-6).sqrt() + mean
        grid = grid_of(*images.shape[-2:], self.patch_size)
        return unpatchify(prediction, grid, self.patch_size)

    @staticmethod
    def _moments(patches: Tensor) -> tuple[Tensor, Tensor]:
        return patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
