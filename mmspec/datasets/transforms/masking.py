"""Masks made in the data pipeline, one image at a time."""

from __future__ import annotations

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmspec.masking import SCORES, grid_of, information_keep, random_keep, visible_count
from mmspec.registry import TRANSFORMS


@TRANSFORMS.register_module()
class InformationAwareMask(BaseTransform):
    """Information-aware masking (InfMAE, section 4.1) of one image, in the loading worker.

    Adds ``ids_keep``, (V,) int64 array, the numbers of the visible patches; pack it by
    ``PackInputs(algorithm_keys=['ids_keep'])``. Scores are taken from ``img``, (H, W) or (H, W, C)
    gray levels 0..255, after cropping and flipping.

    Args:
        score: 'intensity', 'variance' or 'entropy'. The released code's frozen convolution is the
            in-model masker's ``score='projection'``, since it belongs to the model's weights.
        stride: every how many-th rank is visible; 4 leaves a quarter.
        mask_ratio: share of masked patches, instead of a stride (which is then None).
        order: 'descending' (the paper) or 'ascending' (the released code).
        phase: rank of the first visible patch, or 'random' to draw it for each image.
        patch_size: pixels a side of a patch.
    """

    def __init__(
        self,
        score: str = "intensity",
        stride: int | None = 4,
        mask_ratio: float | None = None,
        order: str = "descending",
        phase: int | str = 0,
        patch_size: int = 16,
    ) -> None:
        if score not in SCORES:
            raise ValueError(f"InformationAwareMask: score={score!r}; known: {', '.join(SCORES)}")
        self.score = score
        self.stride = stride
        self.mask_ratio = mask_ratio
        self.order = order
        self.phase = phase
        self.patch_size = patch_size

    def transform(self, results: dict) -> dict:
        image = np.ascontiguousarray(np.atleast_3d(results["img"]).transpose(2, 0, 1))
        scores = SCORES[self.score](torch.from_numpy(image)[None], self.patch_size)
        results["ids_keep"] = information_keep(
            scores, self.stride, self.mask_ratio, self.order, self.phase
        )[0].numpy()
        return results


@TRANSFORMS.register_module()
class RandomPatchMask(BaseTransform):
    """Uniformly random masking (MAE, section 3) of one image, in the loading worker.

    Adds ``ids_keep``, (V,) int64, as :class:`InformationAwareMask` does.

    Args:
        mask_ratio: share of masked patches.
        patch_size: pixels a side of a patch.
    """

    def __init__(self, mask_ratio: float = 0.75, patch_size: int = 16) -> None:
        self.mask_ratio = mask_ratio
        self.patch_size = patch_size

    def transform(self, results: dict) -> dict:
        rows, columns = grid_of(*results["img"].shape[:2], self.patch_size)
        keep = visible_count(rows * columns, ratio=self.mask_ratio)
        results["ids_keep"] = random_keep(1, rows * columns, keep)[0].numpy()
        return results
