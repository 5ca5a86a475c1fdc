"""Train for pairs as they come: one image missing, or not quite aligned."""

import numpy as np

from mmspec.conventions import MODALITIES
from mmspec.pairs import SIDES, pixels_of_pair
from mmspec.registry import TRANSFORMS

from .base import Step


@TRANSFORMS.register_module()
class DropModality(Step):
    """Blacken one image of a pair, never both, so that either alone serves at test time.

    With ``RGBTDetDataPreprocessor`` or ``RGBTSegDataPreprocessor``, ``RGBTBackbone`` then goes by
    the other image alone, as it does with images of three channels. Place it behind all steps that
    change pixels.

    Required keys: ``img`` (H, W, 4) and ``channels`` of a pair. Modified keys: ``img``.

    Args:
        prob: probability that one is dropped; either is as likely.

    Raises:
        ValueError: No probability, or a sample that is no pair.
    """

    def __init__(self, prob: float = 0.2) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must be in [0, 1], got {prob}")
        self.prob = prob

    def transform(self, results: dict) -> dict:
        image = pixels_of_pair(results, "DropModality")
        if np.random.random() < self.prob:
            dropped = MODALITIES[np.random.randint(2)]
            results["img"] = image.copy()
            results["img"][..., SIDES[dropped]] = 0
        return results


@TRANSFORMS.register_module()
class MisalignPair(Step):
    """Shift the visible image of a pair by a few pixels, as between cameras side by side.

    The shift is a whole number of pixels, drawn uniformly for each axis; pixels of the border fill
    what it leaves. Boxes and labels stay with the infrared image.

    Required keys: ``img`` (H, W, 4) and ``channels`` of a pair. Modified keys: ``img``.

    Args:
        max_shift: largest shift along an axis, in pixels.

    Raises:
        ValueError: A negative shift, or a sample that is no pair.
    """

    def __init__(self, max_shift: int = 4) -> None:
        if not isinstance(max_shift, int) or max_shift < 0:
            raise ValueError(f"max_shift must be a whole number of pixels, got {max_shift}")
        self.max_shift = max_shift

    def transform(self, results: dict) -> dict:
        image = pixels_of_pair(results, "MisalignPair")
        down, right = np.random.randint(-self.max_shift, self.max_shift + 1, 2)
        height, width = image.shape[:2]
        rows = (np.arange(height) - down).clip(0, height - 1)
        columns = (np.arange(width) - right).clip(0, width - 1)
        results["img"] = image.copy()
        results["img"][..., 1:] = image[..., 1:][rows][:, columns]
        return results
