"""InfMAE: masked image modelling for infrared images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from mmpretrain.models.selfsup import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmspec.masking import PatchMask
from mmspec.registry import MODELS

from ..heads import ReconstructionHead
from ..maskers import mask_of_samples


@dataclass(frozen=True)
class Reconstruction:
    """What :meth:`InfMAE.reconstruct` gives; images are (B, C, H, W) in gray levels 0..255.

    Attributes:
        image: the input.
        visible: the input with masked patches at mid-gray.
        prediction: the decoder's patches, all of them.
        composite: visible patches of the input, predicted ones elsewhere.
        mask: which patches were masked.
        loss: (B,) mean square error over masked patches, in the units of the training loss.
    """

    image: Tensor
    visible: Tensor
    prediction: Tensor
    composite: Tensor
    mask: PatchMask
    loss: Tensor


def reconstruction(
    head: ReconstructionHead,
    images: Tensor,
    prediction: Tensor,
    mask: PatchMask,
    to_gray_levels: Callable[[Tensor], Tensor],
    by_patch: bool = True,
) -> Reconstruction:
    """What a decoder predicted as images.

    Args:
        head: knows patches and targets.
        images: (B, C, H, W), normalised.
        prediction: (B, N, p * p * C) float32.
        mask: the visible patches.
        to_gray_levels: undoes the normalisation of images.
        by_patch: see :meth:`ReconstructionHead.to_pixels`.
    """
    masked = mask.mask.unsqueeze(-1)
    error = (prediction - head.target(images)).square().mean(-1)
    # Where nothing is masked there is no error to average: 0, not 0 / 0.
    loss = (error * mask.mask).sum(1) / mask.mask.sum(1).clamp(min=1)

    true = head.patchify(images)
    predicted = head.patchify(head.to_pixels(prediction, images, by_patch))
    shown = {
        "image": true,
        "visible": true.masked_fill(masked, 0.0),
        "prediction": predicted,
        "composite": torch.where(masked, predicted, true),
    }
    shown = {k: to_gray_levels(head.unpatchify(v, mask.grid)) for k, v in shown.items()}
    return Reconstruction(**shown, mask=mask, loss=loss)


@MODELS.register_module()
class InfMAE(BaseSelfSupervisor):
    """InfMAE (ECCV 2024, arXiv 2402.00407): mask, encode what is visible, reconstruct the rest.

    Args:
        backbone: an encoder whose ``forward(images, mask)`` gives the tokens of visible patches:
            :class:`ConvViT` with ``pretraining=True``, or :class:`MaskedViT`.
        neck: a decoder, :class:`InfMAEDecoder`.
        head: target and loss, :class:`ReconstructionHead`.
        masker: a module that masks a batch on its device. None: each data sample brings its visible
            patches as ``ids_keep`` (from the transform ``InformationAwareMask``).
        data_preprocessor: mmpretrain's ``SelfSupDataPreprocessor``; three means and stds spread a
            one-channel image over three equal channels.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        masker: dict | nn.Module | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if isinstance(data_preprocessor, dict):
            data_preprocessor.setdefault("type", "mmpretrain.SelfSupDataPreprocessor")
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.masker = MODELS.build(masker) if isinstance(masker, dict) else masker

    def forward(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | list[DataSample] | tuple[Tensor, ...]:
        """Losses (``mode='loss'``), reconstructions ('predict') or dense features ('tensor')."""
        if mode == "predict":
            return self.predict(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    def patch_mask(self, inputs: Tensor, data_samples: list[DataSample] | None) -> PatchMask:
        """The visible patches of a batch, from the in-model masker or from the data samples."""
        if self.masker is None:
            return mask_of_samples(inputs, data_samples, self.head.patch_size)
        return self.masker(inputs)

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Dense feature maps of whole images (B, C, H, W), as the backbone gives them."""
        return self.backbone(inputs)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Reconstruction loss of a batch of normalised images (B, C, H, W)."""
        mask = self.patch_mask(inputs, data_samples)
        if mask.num_visible == mask.num_patches:
            raise ValueError(
                "nothing is masked, so there is nothing to learn: raise the mask ratio"
            )
        prediction = self.neck(self.backbone(inputs, mask), mask)
        return {"loss": self.head.loss(prediction, inputs, mask.mask)}

    @torch.no_grad()
    def reconstruct(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        mask: PatchMask | None = None,
    ) -> Reconstruction:
        """Reconstructs normalised images (B, C, H, W).

        Args:
            inputs: images as the data preprocessor gives them.
            data_samples: they bring ``ids_keep`` where the model has no masker.
            mask: the visible patches, instead of either.
        """
        mask = self.patch_mask(inputs, data_samples) if mask is None else mask
        prediction = self.neck(self.backbone(inputs, mask), mask).float()
        return reconstruction(self.head, inputs, prediction, mask, self._to_gray_levels)

    def predict(self, inputs: Tensor, data_samples: list[DataSample] | None) -> list[DataSample]:
        """Reconstructions as data samples.

        Each gets ``reconstruction`` (C, H, W) in gray levels 0..255 (visible patches of the input,
        predicted ones elsewhere), ``patch_mask`` (rows, columns) bool, true where masked, and
        ``reconstruction_loss``, a scalar tensor.
        """
        result = self.reconstruct(inputs, data_samples)
        if data_samples is None:
            data_samples = [DataSample() for _ in range(len(inputs))]
        masks = result.mask.mask.unflatten(1, result.mask.grid)
        for sample, image, mask, loss in zip(data_samples, result.composite, masks, result.loss):
            sample.set_field(image, "reconstruction")
            sample.set_field(mask, "patch_mask")
            sample.set_field(loss, "reconstruction_loss")
        return data_samples

    def _to_gray_levels(self, images: Tensor) -> Tensor:
        preprocessor = self.data_preprocessor
        if getattr(preprocessor, "_enable_normalize", False):
            images = images * preprocessor.std + preprocessor.mean
        return images.clamp(0, 255)
