"""Targets and loss of masked image reconstruction."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmspec.conventions import PAIR_CHANNELS
from mmspec.registry import MODELS

from ..targets import PixelTarget

FIRST = PAIR_CHANNELS["infrared"]


@MODELS.register_module()
class ReconstructionHead(BaseModule):
    """The error of masked patches against one target or several, for images of any aspect ratio.

    Args:
        patch_size: pixels a side of a patch.
        norm_pix: of pixels, the target if no other is named: compare with each patch normalised by
            its own mean and variance (MAE, section 3) instead of raw pixels (InfMAE, section 4.3).
        targets: config of a target in place of pixels, or of several, whose errors are added by
            their ``weight``: the decoder predicts the values of all, one target behind the other.
            :class:`PixelTarget`, if it is among them, comes first. See ``mmspec.models.targets``.
    """

    def __init__(
        self,
        patch_size: int = 16,
        norm_pix: bool = False,
        targets: dict | Sequence[dict] | None = None,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        if targets is None:
            targets = dict(type="mmspec.PixelTarget", norm_pix=norm_pix)
        elif norm_pix:
            raise ValueError(
                "norm_pix=True beside targets: give it to dict(type='mmspec.PixelTarget')"
            )
        targets = [targets] if isinstance(targets, dict) else targets
        self.targets = nn.ModuleList(
            MODELS.build(dict(target, patch_size=patch_size)) for target in targets
        )
        pixels = [isinstance(target, PixelTarget) for target in self.targets]
        if not pixels or any(pixels[1:]):
            raise ValueError(
                "targets: at least one, and PixelTarget, if it is among them, once and first"
            )
        #: Whether predictions can be shown as images.
        self.has_pixels = pixels[0]

    def attach(self, backbone: nn.Module, data_preprocessor: nn.Module) -> None:
        """Tell the targets, when a model is built, of its encoder and its normalisation."""
        for target in self.targets:
            target.attach(backbone, data_preprocessor)

    def follow(self, backbone: nn.Module) -> None:
        """Tell the targets that a step of training begins."""
        for target in self.targets:
            target.follow(backbone)

    def target(self, images: Tensor, channels: slice = FIRST) -> Tensor:
        """What a perfect decoder would predict for images (B, C, H, W): (B, N, values)."""
        return torch.cat([target(images, channels) for target in self.targets], -1)

    def to_pixels(self, prediction: Tensor, images: Tensor, by_patch: bool = True) -> Tensor:
        """Predicted patches (B, N, values) as images on the scale of ``images`` (B, C, H, W).

        With ``norm_pix`` the mean and variance of the true patches are put back, as is usual for
        showing such predictions; with ``by_patch=False`` their averages over the whole image, so
        that nothing of what was hidden shows but one brightness and one contrast.
        """
        if not self.has_pixels:
            kinds = ", ".join(type(target).__name__ for target in self.targets)
            raise ValueError(f"{kinds}: no pixels are predicted, so there is no image to show")
        values = self.patch_size**2 * images.shape[1]
        return self.targets[0].to_pixels(prediction[..., :values], images, by_patch)

    def errors(self, prediction: Tensor, images: Tensor, channels: slice = FIRST) -> Tensor:
        """Error of each patch, (B, N), of predictions (B, N, values); see :meth:`loss`."""
        targets = [target(images, channels) for target in self.targets]
        widths = [target.shape[-1] for target in targets]
        if sum(widths) != prediction.shape[-1]:
            raise ValueError(
                f"the decoder predicts {prediction.shape[-1]} values a patch, the targets have"
                f" {' + '.join(map(str, widths))}: set neck=dict(out_dims={sum(widths)})"
            )
        total, times = 0.0, len(prediction) // len(images)
        for kind, target, part in zip(self.targets, targets, prediction.split(widths, -1)):
            target = target[:, None].expand(-1, times, -1, -1).flatten(0, 1)
            total = total + kind.weight * kind.errors(part, target)
        return total

    def loss(
        self, prediction: Tensor, images: Tensor, mask: Tensor, channels: slice = FIRST
    ) -> Tensor:
        """Scalar loss of (B, N, values): the mean over masked patches.

        Args:
            prediction: of each image K in a row, by K masks of it.
            images: (B / K, C, H, W) with all channels that the model has, normalised.
            mask: (B, N), true where a patch is masked.
            channels: those of the images that are reconstructed.
        """
        return (self.errors(prediction, images, channels) * mask).sum() / mask.sum()
