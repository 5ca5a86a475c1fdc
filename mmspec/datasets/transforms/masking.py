"""Masks made in the data pipeline, one image at a time, in the loading worker.

They add ``ids_keep``, (V,) int64 array, the numbers of the visible patches of ``img``, (H, W) or
(H, W, C) as it then is, or (K, V) of K masks of it; pack them by
``PackInputs(algorithm_keys=['ids_keep'])``.
"""

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmspec.masking import InformationMasking, grid_of, random_keep, visible_count
from mmspec.registry import TRANSFORMS


@TRANSFORMS.register_module()
class InformationAwareMask(BaseTransform):
    """Mask an image by what its patches tell (InfMAE, section 4.1), or by noise.

    The score of the released code, a frozen convolution, belongs to a model's weights, and so to a
    model's ``masker``: :class:`InformationMasker`.

    Args:
        options: those of :class:`mmspec.masking.InformationMasking`.
    """

    def __init__(self, **options) -> None:
        self.masking = InformationMasking(**options)

    def transform(self, results: dict) -> dict:
        # Not read only, as what a memory-mapped file gives, of which PyTorch warns.
        image = torch.from_numpy(np.require(results["img"], requirements="CW"))
        channels_first = image[None] if image.dim() == 2 else image.permute(2, 0, 1)
        results["ids_keep"] = self.masking(channels_first[None])[0].numpy()
        return results


@TRANSFORMS.register_module()
class RandomPatchMask(BaseTransform):
    """Mask random patches (MAE, arXiv 2111.06377, section 3).

    Args:
        mask_ratio: share of masked patches.
        patch_size: pixels a side of a patch.
    """

    def __init__(self, mask_ratio: float = 0.75, patch_size: int = 16) -> None:
        self.mask_ratio = mask_ratio
        self.patch_size = patch_size

    def transform(self, results: dict) -> dict:
        rows, columns = grid_of(*results["img"].shape[:2], self.patch_size)
        keep = visible_count(rows * columns, self.mask_ratio)
        results["ids_keep"] = random_keep(1, rows * columns, keep)[0].numpy()
        return results
