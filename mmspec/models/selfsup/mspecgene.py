"""M-SpecGene: masked image modelling for aligned RGB-thermal pairs."""

from dataclasses import dataclass, replace

import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from mmspec.conventions import MODALITIES
from mmspec.masking import PatchMask, grid_of
from mmspec.models.input_check import look_at_input
from mmspec.registry import MODELS

from .base import MaskedReconstruction, Reconstruction

Masks = tuple[PatchMask, PatchMask]


@dataclass(frozen=True)
class PairReconstruction:
    """What :meth:`MSpecGene.reconstruct` gives: a :class:`Reconstruction` of each modality.

    ``visible.image`` is red, green, blue; ``infrared.image`` three equal channels.
    """

    infrared: Reconstruction
    visible: Reconstruction


@MODELS.register_module()
class MSpecGene(MaskedReconstruction):
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

    preprocessor = "mmspec.RGBTDataPreprocessor"

    def extract_feat(self, inputs: Tensor) -> tuple:
        """Give the backbone's dense maps of normalised images of either modality, (B, 3, H, W).

        Of pairs (B, 6, H, W), infrared first: (maps of infrared, maps of visible).
        """
        if inputs.shape[1] == 3:
            return self.backbone(inputs)
        maps = self.backbone(torch.cat(_sides(inputs)))
        return tuple(tuple(f.chunk(2)[side] for f in maps) for side in range(2))

    def loss(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> dict[str, Tensor]:
        """Give ``loss_infrared`` and ``loss_visible`` of normalised pairs, (B, 6, H, W).

        What the masker tells of its last masks (``statistics()``) is logged with them.
        """
        images, tokens, masks = self._masked(inputs)
        return self.loss_of(images, tokens, masks) | self.masker.statistics()

    def loss_of(self, images: Tensor, tokens: Tensor, masks: Masks) -> dict[str, Tensor]:
        """Give both losses by masks: encoder, decoder and head, as one graph where it is compiled.

        Of normalised images (2 B, 3, H, W), infrared ones first, and their patch tokens. The masker
        stays outside: its state is shared by processes.
        """
        predictions = self.neck(self._encode(images, tokens, masks), masks)
        inputs = torch.cat(images.chunk(2), dim=1)  # a target may look at either side
        return {
            f"loss_{name}": self._loss(prediction, inputs, mask, name)
            for name, prediction, mask in zip(MODALITIES, predictions, masks)
        }

    def _masked(self, inputs: Tensor, masks: Masks | None = None) -> tuple[Tensor, Tensor, Masks]:
        images = torch.cat(_sides(inputs))
        look_at_input(self.backbone, images)
        tokens = self.backbone.patch_tokens(images)
        if masks is None:
            grid = grid_of(*inputs.shape[-2:], self.head.patch_size)
            # Tokens are one row of patches to a masker; the model knows their grid.
            masks = tuple(replace(m, grid=grid) for m in self.masker(*tokens.detach().chunk(2)))
        return images, tokens, masks

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
        """Reconstruct normalised pairs (B, 6, H, W), infrared first.

        Args:
            inputs: pairs as the data preprocessor gives them; ``data_samples`` are not used.
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
        images, tokens, masks = self._masked(inputs, masks)
        predictions = self.neck(self._encode(images, tokens, masks), masks)
        shown = {
            name: self._shown(inputs, prediction, mask, name, by_patch=name != hidden)
            for name, prediction, mask in zip(MODALITIES, predictions, masks)
        }
        return PairReconstruction(**shown)

    def cross_reconstruct(self, inputs: Tensor) -> PairReconstruction:
        """Reconstruct each modality from the other one alone, as by ``hidden``."""
        return PairReconstruction(
            *(getattr(self.reconstruct(inputs, hidden=name), name) for name in MODALITIES)
        )

    def _one_side(self, inputs: Tensor, hidden: str) -> Masks:
        grid = grid_of(*inputs.shape[-2:], self.head.patch_size)
        everything = torch.arange(grid[0] * grid[1], device=inputs.device).repeat(len(inputs), 1)
        nothing = PatchMask.all_masked(len(inputs), grid, inputs.device)
        seen = PatchMask.from_keep(everything, grid)
        return tuple(nothing if name == hidden else seen for name in MODALITIES)

    def sides(self, result: PairReconstruction) -> dict[str, Reconstruction]:
        return {f"_{name}": getattr(result, name) for name in MODALITIES}


def _sides(pairs: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 6, H, W) pairs as infrared and visible images, each (B, 3, H, W)."""
    if pairs.shape[1] != 6:
        raise ValueError(
            f"pairs have 6 channels, infrared first, got {tuple(pairs.shape)}; the data"
            " preprocessor mmspec.RGBTDataPreprocessor makes them"
        )
    return pairs.chunk(2, dim=1)
