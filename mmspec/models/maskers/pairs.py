"""Masks of aligned pairs, made inside the model from the patch tokens of both modalities."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor

from mmspec.masking import PatchMask, random_keep, visible_count
from mmspec.registry import MODELS


@MODELS.register_module()
class RandomPairMasker(BaseModule):
    """Uniformly random patches of both modalities, the baseline of CMSS masking.

    Args:
        mask_ratio: share of masked patches of each modality (M-SpecGene: 0.9).
        disjoint: no place is visible in both modalities, as with CMSS masking; False draws the two
            independently.
    """

    def __init__(self, mask_ratio: float = 0.9, disjoint: bool = True) -> None:
        super().__init__()
        if disjoint and mask_ratio < 0.5:
            raise ValueError(
                f"mask_ratio={mask_ratio}: disjoint visible sets need at least 0.5; raise it, or "
                "set disjoint=False"
            )
        self.mask_ratio = mask_ratio
        self.disjoint = disjoint

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[PatchMask, PatchMask]:
        """Masks pairs by their patch tokens, each (B, N, C), as one row of N patches."""
        batch, num_patches = infrared.shape[:2]
        keep = visible_count(num_patches, ratio=self.mask_ratio)
        if self.disjoint:
            keep = min(keep, num_patches // 2)
            drawn = random_keep(batch, num_patches, 2 * keep, infrared.device)
            kept = drawn[:, :keep], drawn[:, keep:]
        else:
            kept = (random_keep(batch, num_patches, keep, infrared.device) for _ in range(2))
        return tuple(PatchMask.from_keep(ids, (1, num_patches)) for ids in kept)

    def statistics(self) -> dict[str, Tensor]:
        """What to log of the last masks: nothing."""
        return {}
