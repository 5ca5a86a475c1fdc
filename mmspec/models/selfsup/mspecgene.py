"""M-SpecGene: masked image modelling for aligned RGB-thermal pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from mmpretrain.models.selfsup import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmspec.masking import PatchMask, grid_of
from mmspec.registry import MODELS

from .infmae import Reconstruction, reconstruction

MODALITIES = ("infrared", "visible")
Masks = tuple[PatchMask, PatchMask]


@dataclass(frozen=True)
class PairReconstruction:
    """What :meth:`MSpecGene.reconstruct` gives: a :class:`Reconstruction` of each modality.

    ``visible.image`` is red, green, blue; ``infrared.image`` three equal channels.
    """

    infrared: Reconstruction
    visible: Reconstruction


@MODELS.register_module()
class MSpecGene(BaseSelfSupervisor):
    """M-SpecGene (ICCV 2025, arXiv 2507.16318): one encoder for both images of an aligned pair.

    Both modalities go through the shared encoder in one batch of 2 B images, where as many patches
    are visible in either; two decoders with cross attention reconstruct each modality.

    An encoder is any backbone with ``patch_tokens(images)``, which gives the tokens (B, N, C) that
    the masker scores, and ``visible_tokens(images, mask, tokens)``, which gives (B, E + V, C), the
    visible patches behind E tokens of another kind: :class:`MaskedViT` (E = 1, the class token) and
    :class:`ConvViT` with ``pretraining=True`` (E = 0).

    Args:
        backbone: the encoder.
        neck: :class:`DualModalityDecoder`.
        head: target and loss of one modality, :class:`ReconstructionHead`.
        masker: a module that takes the patch tokens of infrared and visible images, detached, and
            gives a mask of one row of N patches for each: :class:`CMSSMasking` (the paper's) or
            :class:`RandomPairMasker`.
        data_preprocessor: :class:`RGBTDataPreprocessor`.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        masker: dict | nn.Module,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if isinstance(data_preprocessor, dict) or data_preprocessor is None:
            data_preprocessor = dict(data_preprocessor or {})
            data_preprocessor.setdefault("type", "mmspec.RGBTDataPreprocessor")
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
    ) -> dict[str, Tensor] | list[DataSample] | tuple:
        """Losses (``mode='loss'``), reconstructions ('predict') or dense features ('tensor')."""
        if mode == "predict":
            return self.predict(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    def extract_feat(self, inputs: Tensor) -> tuple:
        """Dense feature maps of whole images, as the backbone gives them.

        Args:
            inputs: (B, 3, H, W), normalised images of either modality, or pairs (B, 6, H, W),
                infrared first.

        Returns:
            The backbone's maps; for pairs (maps of infrared, maps of visible).
        """
        if inputs.shape[1] == 3:
            return self.backbone(inputs)
        maps = self.backbone(torch.cat(_sides(inputs)))
        return tuple(tuple(f.chunk(2)[side] for f in maps) for side in range(2))

    def loss(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> dict[str, Tensor]:
        """``loss_infrared`` and ``loss_visible`` of normalised pairs (B, 6, H, W), infrared first.

        What the masker tells of its last masks (``statistics()``) is logged with them.
        """
        predictions, masks = self._reconstruct(inputs)
        losses = {}
        for name, prediction, image, mask in zip(MODALITIES, predictions, _sides(inputs), masks):
            if mask.num_visible == mask.num_patches:
                raise ValueError(
                    f"nothing of the {name} image is masked, so there is nothing to learn: raise "
                    "the mask ratio"
                )
            losses[f"loss_{name}"] = self.head.loss(prediction, image, mask.mask)
        return losses | self.masker.statistics()

    def _reconstruct(
        self, inputs: Tensor, masks: Masks | None = None
    ) -> tuple[tuple[Tensor, Tensor], Masks]:
        images = torch.cat(_sides(inputs))
        tokens = self.backbone.patch_tokens(images)
        if masks is None:
            grid = grid_of(*inputs.shape[-2:], self.head.patch_size)
            # Tokens are one row of patches to a masker; the model knows their grid.
            masks = tuple(replace(m, grid=grid) for m in self.masker(*tokens.detach().chunk(2)))
        return self.neck(self._encode(images, tokens, masks), masks), masks

    def _encode(self, images: Tensor, tokens: Tensor, masks: Masks) -> tuple[Tensor, Tensor]:
        if masks[0].num_visible == masks[1].num_visible:
            ids_keep = torch.cat([mask.ids_keep for mask in masks])
            both = PatchMask.from_keep(ids_keep, masks[0].grid)
            return self.backbone.visible_tokens(images, both, tokens).chunk(2)
        # Padding the shorter sequences would cost more than a second call.
        sides = zip(images.chunk(2), masks, tokens.chunk(2))
        return tuple(self.backbone.visible_tokens(*side) for side in sides)

    @torch.no_grad()
    def reconstruct(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        masks: Masks | None = None,
        hidden: str | None = None,
    ) -> PairReconstruction:
        """Reconstructs normalised pairs (B, 6, H, W), infrared first.

        Args:
            inputs: pairs as the data preprocessor gives them.
            data_samples: not used.
            masks: visible patches of infrared and of visible images; by default the masker's.
            hidden: 'infrared' or 'visible': no patch of this modality is seen and every patch of
                the other one, so that the one is made up from the other. The encoder gets the
                hidden modality's class token alone (ConvViT: nothing), its decoder mask tokens
                everywhere. With targets normalised by patch the hidden modality gets back one
                brightness and contrast an image, not those of each patch, which would give a
                thumbnail of it away.
        """
        if hidden is not None:
            if hidden not in MODALITIES or masks is not None:
                raise ValueError(f"hidden={hidden!r}: 'infrared' or 'visible', without masks")
            masks = self._one_side(inputs, hidden)
        predictions, masks = self._reconstruct(inputs, masks)
        sides = zip(MODALITIES, _sides(inputs), predictions, masks)
        return PairReconstruction(
            **{
                name: reconstruction(
                    self.head,
                    image,
                    prediction.float(),
                    mask,
                    lambda x, name=name: self.to_gray_levels(x, name),
                    by_patch=name != hidden,
                )
                for name, image, prediction, mask in sides
            }
        )

    def cross_reconstruct(self, inputs: Tensor) -> PairReconstruction:
        """Each modality from the other alone: ``hidden`` of :meth:`reconstruct`, for both."""
        infrared, visible = (
            getattr(self.reconstruct(inputs, hidden=name), name) for name in MODALITIES
        )
        return PairReconstruction(infrared, visible)

    def _one_side(self, inputs: Tensor, hidden: str) -> Masks:
        grid = grid_of(*inputs.shape[-2:], self.head.patch_size)
        everything = torch.arange(grid[0] * grid[1], device=inputs.device).repeat(len(inputs), 1)
        nothing = PatchMask.all_masked(len(inputs), grid, inputs.device)
        seen = PatchMask.from_keep(everything, grid)
        return tuple(nothing if name == hidden else seen for name in MODALITIES)

    def predict(self, inputs: Tensor, data_samples: list[DataSample] | None) -> list[DataSample]:
        """Reconstructions as data samples.

        Each gets, for NAME 'infrared' and 'visible', ``reconstruction_NAME`` (3, H, W) in gray
        levels 0..255 (visible patches of the input, predicted ones elsewhere) and
        ``patch_mask_NAME`` (rows, columns) bool, true where masked; and ``reconstruction_loss``,
        the sum of both losses, a scalar tensor.
        """
        result = self.reconstruct(inputs)
        if data_samples is None:
            data_samples = [DataSample() for _ in range(len(inputs))]
        for i, sample in enumerate(data_samples):
            for name in MODALITIES:
                side = getattr(result, name)
                sample.set_field(side.composite[i], f"reconstruction_{name}")
                mask = side.mask.mask[i].unflatten(0, side.mask.grid)
                sample.set_field(mask, f"patch_mask_{name}")
            loss = result.infrared.loss[i] + result.visible.loss[i]
            sample.set_field(loss, "reconstruction_loss")
        return data_samples

    def to_gray_levels(self, images: Tensor, modality: str) -> Tensor:
        """Normalised images (B, 3, H, W) of 'infrared' or 'visible' in gray levels 0..255."""
        side = MODALITIES.index(modality)
        preprocessor = self.data_preprocessor
        mean, std = preprocessor.mean.chunk(2)[side], preprocessor.std.chunk(2)[side]
        return (images * std + mean).clamp(0, 255)


def _sides(pairs: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 6, H, W) pairs as infrared and visible images, each (B, 3, H, W)."""
    if pairs.shape[1] != 6:
        raise ValueError(
            f"pairs have 6 channels, infrared first, got {tuple(pairs.shape)}; the data"
            " preprocessor mmspec.RGBTDataPreprocessor makes them"
        )
    return pairs.chunk(2, dim=1)
