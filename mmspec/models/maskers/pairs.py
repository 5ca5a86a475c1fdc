"""Masks of aligned pairs, made inside the model from the patch tokens of both modalities."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor

from mmspec.masking import PatchMask, random_keep, visible_count
from mmspec.registry import MODELS


@MODELS.register_module()
class RandomPairMasker(BaseModule):
    """Mask random patches of both modalities, no place visible in both: the baseline of CMSS.

    Args:
        mask_ratio: share of masked patches of each modality (M-SpecGene: 0.9), at least 0.5.
    """

    def __init__(self, mask_ratio: float = 0.9) -> None:
        super().__init__()
        if mask_ratio < 0.5:
            raise ValueError(f"mask_ratio={mask_ratio}: disjoint visible sets need at least 0.5")
        self.mask_ratio = mask_ratio

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[PatchMask, PatchMask]:
        """Mask pairs by their patch tokens, each (B, N, C), as one row of N patches."""
        batch, num_patches = infrared.shape[:2]
        keep = min(visible_count(num_patches, self.mask_ratio), num_patches // 2)
        drawn = random_keep(batch, num_patches, 2 * keep, infrared.device)
        return tuple(PatchMask.from_keep(ids, (1, num_patches)) for ids in drawn.chunk(2, dim=1))

    def statistics(self) -> dict[str, Tensor]:
        """Give what to log of the last masks: nothing."""
        return {}
