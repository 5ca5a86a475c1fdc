"""What the pre-training algorithms share: their parts, and reconstructions as images."""

from dataclasses import dataclass
from typing import ClassVar

from mmpretrain.models.selfsup import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmspec.conventions import PAIR_CHANNELS
from mmspec.masking import PatchMask
from mmspec.registry import MODELS


@dataclass(frozen=True)
class Reconstruction:
    """What became of images (B, C, H, W); those shown are in gray levels 0..255.

    Attributes:
        image: the input.
        visible: the input with masked patches at mid-gray.
        prediction: the decoder's patches, all of them; None where it predicts no pixels.
        composite: visible patches of the input, predicted ones elsewhere; None likewise.
        mask: which patches were masked.
        loss: (B,) error over masked patches, in the units of the training loss.
    """

    image: Tensor
    visible: Tensor
    prediction: Tensor | None
    composite: Tensor | None
    mask: PatchMask
    loss: Tensor


class MaskedReconstruction(BaseSelfSupervisor):
    """Mask, encode what is visible, reconstruct the rest.

    A subclass has ``loss``, of which ``loss_of`` is all that follows the mask, ``extract_feat``,
    ``reconstruct`` and ``sides``, which names what a data sample gets: a :class:`Reconstruction` by
    suffix.

    Args:
        backbone, neck, head, masker: encoder, decoder, target and loss of one image, and the module
            that chooses visible patches.
        data_preprocessor: its config; of the algorithm's own type unless it names another.
    """

    #: The data preprocessor of the algorithm.
    preprocessor: ClassVar[str]
    #: What :class:`~mmspec.engine.CompileHook` compiles.
    compiled_parts = ("loss_of",)

    def __init__(
        self,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        masker: dict | nn.Module | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = {"type": self.preprocessor, **(data_preprocessor or {})}
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.head.attach(self.backbone, self.data_preprocessor)
        self.masker = MODELS.build(masker) if isinstance(masker, dict) else masker

    def forward(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | list[DataSample] | tuple:
        """Give losses (``mode='loss'``), reconstructions ('predict') or dense features."""
        if mode == "predict":
            return self.predict(inputs, data_samples)
        if mode == "loss":
            self.head.follow(self.backbone)
        return super().forward(inputs, data_samples, mode)

    def predict(self, inputs: Tensor, data_samples: list[DataSample] | None) -> list[DataSample]:
        """Reconstruct a batch into its data samples.

        For each side of :meth:`sides`, a sample gets ``reconstruction`` + its suffix, (C, H, W) in
        gray levels 0..255 (visible patches of the input, predicted ones elsewhere; not where
        targets are no pixels), and ``patch_mask`` + its suffix, (rows, columns) bool, true where
        masked; and ``reconstruction_loss``, the sum of their losses, a scalar tensor.
        """
        samples = data_samples or [DataSample() for _ in inputs]
        sides = self.sides(self.reconstruct(inputs, samples))
        for suffix, side in sides.items():
            fields = dict(patch_mask=side.mask.mask.unflatten(1, side.mask.grid))
            if side.composite is not None:
                fields["reconstruction"] = side.composite
            for name, values in fields.items():
                for sample, value in zip(samples, values):
                    sample.set_field(value, f"{name}{suffix}")
        for sample, loss in zip(samples, sum(side.loss for side in sides.values())):
            sample.set_field(loss, "reconstruction_loss")
        return samples

    def _loss(
        self, prediction: Tensor, inputs: Tensor, mask: PatchMask, modality: str = "infrared"
    ) -> Tensor:
        """The head's loss for one modality; an error where no patch of its images is masked."""
        if mask.num_visible == mask.num_patches:
            raise ValueError(
                f"nothing is masked of the {modality} image, so there is nothing to learn: raise"
                " the masker's mask_ratio or stride"
            )
        return self.head.loss(prediction, inputs, mask.mask, PAIR_CHANNELS[modality])

    def _shown(
        self,
        inputs: Tensor,
        prediction: Tensor,
        mask: PatchMask,
        modality: str = "infrared",
        by_patch: bool = True,
    ) -> Reconstruction:
        """What a decoder predicted, (B, N, values), of one modality of inputs (B, C, H, W).

        For ``by_patch`` see :meth:`ReconstructionHead.to_pixels`.
        """
        head, prediction, channels = self.head, prediction.float(), PAIR_CHANNELS[modality]
        error = head.errors(prediction, inputs, channels)
        # Where nothing is masked there is no error to average: 0, not 0 / 0.
        loss = (error * mask.mask).sum(1) / mask.mask.sum(1).clamp(min=1)

        images, seen = inputs[:, channels], mask.upsample(head.patch_size)
        shown = dict(image=images, visible=images.where(seen, 0.0))
        if head.has_pixels:
            predicted = head.to_pixels(prediction, images, by_patch)
            shown |= dict(prediction=predicted, composite=images.where(seen, predicted))
        shown = {name: self.to_gray_levels(one, modality) for name, one in shown.items()}
        return Reconstruction(**dict(prediction=None, composite=None) | shown, mask=mask, loss=loss)

    def to_gray_levels(self, images: Tensor, modality: str) -> Tensor:
        """Give normalised images (B, c, H, W) of 'infrared' or 'visible' in gray levels 0..255."""
        preprocessor, channels = self.data_preprocessor, PAIR_CHANNELS[modality]
        if hasattr(preprocessor, "mean"):  # it normalises
            images = images * preprocessor.std[channels] + preprocessor.mean[channels]
        return images.clamp(0, 255)
