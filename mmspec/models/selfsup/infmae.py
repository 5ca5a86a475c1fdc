"""InfMAE: masked image modelling for infrared images.

To follow an image through the method, read in this order:

1. ``mmspec/masking/information.py``: the score of each patch; ``selection.py`` beside it: which
   ranks are visible;
2. this file: mask, encoder, decoder and loss put together;
3. ``mmspec/models/backbones/conv_vit.py``: the encoder, dense as a backbone, or on visible patches;
4. ``mmspec/models/necks/patch_decoders.py``: from visible tokens to the pixels of all patches;
5. ``mmspec/models/heads/reconstruction.py``: the loss, against a target of
   ``mmspec/models/targets/``.

The recipe is ``configs/pretrain/infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py``.
"""

import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from mmspec.conventions import PAIR_CHANNELS
from mmspec.masking import PatchMask, grid_of
from mmspec.registry import MODELS

from .base import MaskedReconstruction, Reconstruction

#: All channels of an infrared image, one or three, and the first three of a pair.
INFRARED = PAIR_CHANNELS["infrared"]


@MODELS.register_module()
class InfMAE(MaskedReconstruction):
    """InfMAE (ECCV 2024, arXiv 2402.00407): mask, encode what is visible, reconstruct the rest.

    Args:
        backbone: an encoder whose ``forward(images, mask)`` gives the tokens of visible patches:
            :class:`ConvViT` with ``pretraining=True``, or :class:`MaskedViT`.
        neck: a decoder, :class:`InfMAEDecoder`.
        head: target and loss, :class:`ReconstructionHead`.
        masker: a module that masks a batch on its device. None: each data sample brings its visible
            patches as ``ids_keep`` (from the transform ``InformationAwareMask``).
        data_preprocessor: :class:`InfraredDataPreprocessor`; three means and stds spread a
            one-channel image over three equal channels. Or :class:`RGBTDataPreprocessor`, for
            pairs: their infrared images are encoded and reconstructed, and a target may look at the
            visible ones (:class:`TeacherTarget`).
    """

    preprocessor = "mmspec.InfraredDataPreprocessor"

    def patch_mask(self, inputs: Tensor, data_samples: list[DataSample] | None) -> PatchMask:
        """Give the visible patches of a batch, by the masker or as the data samples bring them.

        Each image has one mask or, of complementary ones, several in a row.
        """
        if self.masker is not None:
            return self.masker(inputs[:, INFRARED])
        if not data_samples or "ids_keep" not in data_samples[0]:
            raise ValueError(
                "no mask: add the transform mmspec.InformationAwareMask and "
                "PackInputs(algorithm_keys=['ids_keep']) to the pipeline, or give InfMAE a masker"
            )
        # Put together on the host: one copy to the device, not one a sample.
        ids_keep = torch.from_numpy(np.stack([sample.ids_keep for sample in data_samples]))
        grid = grid_of(*inputs.shape[-2:], self.head.patch_size)
        return PatchMask.from_keep(ids_keep.to(inputs.device, non_blocking=True), grid)

    def _predict(self, inputs: Tensor, mask: PatchMask) -> Tensor:
        """What the decoder makes of each mask of the images: (masks, N, values of a patch)."""
        images = mask.repeat(inputs[:, INFRARED])
        return self.neck(self.backbone(images, mask), mask)

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Give the backbone's dense maps of whole images (B, C, H, W)."""
        return self.backbone(inputs[:, INFRARED])

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Give the reconstruction loss of normalised images (B, C, H, W).

        Of several masks of each image it is the mean of the losses by each one.
        """
        return {"loss": self.loss_of(inputs, self.patch_mask(inputs, data_samples))}

    def loss_of(self, inputs: Tensor, mask: PatchMask) -> Tensor:
        """Give the loss by a mask: encoder, decoder and head, as one graph where it is compiled."""
        return self._loss(self._predict(inputs, mask), inputs, mask)

    @torch.no_grad()
    def reconstruct(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        mask: PatchMask | None = None,
    ) -> Reconstruction:
        """Reconstruct normalised images (B, C, H, W), by a mask if one is given.

        Of complementary masks each image is reconstructed by its first.
        """
        mask = self.patch_mask(inputs, data_samples) if mask is None else mask
        mask = mask.first_of(len(inputs))
        return self._shown(inputs, self._predict(inputs, mask), mask)

    def sides(self, result: Reconstruction) -> dict[str, Reconstruction]:
        return {"": result}
