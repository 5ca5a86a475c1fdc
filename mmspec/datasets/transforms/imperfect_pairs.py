"""Train for pairs as they come: one image missing, or not quite aligned."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmspec.registry import TRANSFORMS


@TRANSFORMS.register_module()
class DropModality(BaseTransform):
    """Blacken one image of a pair, never both, so that either alone serves at test time.

    With ``RGBTDetDataPreprocessor`` or ``RGBTSegDataPreprocessor``, ``RGBTBackbone`` then goes by
    the other image alone, as it does with images of three channels. Place it behind all steps that
    change pixels.

    Draws come from NumPy's global generator, as in mmseg's transforms.

    Required keys: ``img`` (H, W, C) and ``channels``, names of a pair. Modified keys: ``img``.

    Args:
        prob: Probability that one is dropped; either is as likely.

    Raises:
        ValueError: No probability, or a sample that is no pair.
    """

    def __init__(self, prob: float = 0.2) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must be in [0, 1], got {prob}")
        self.prob = prob

    def transform(self, results: dict) -> dict:
        sides = _sides(results, "DropModality")
        if np.random.random() < self.prob:
            dropped = ("infrared", "visible")[np.random.randint(2)]
            results["img"] = results["img"].copy()
            results["img"][..., sides[dropped]] = 0
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prob={self.prob})"


@TRANSFORMS.register_module()
class MisalignPair(BaseTransform):
    """Shift one image of a pair by a few pixels, as between cameras side by side.

    The shift is a whole number of pixels, drawn uniformly for each axis; pixels of the border fill
    what it leaves. Boxes and labels stay with the image that is not shifted.

    Draws come from NumPy's global generator, as in mmseg's transforms.

    Required keys: ``img`` (H, W, C) and ``channels``, names of a pair. Modified keys: ``img``.

    Args:
        max_shift: Largest shift along an axis, in pixels.
        modality: The image that is shifted, 'infrared' or 'visible'.

    Raises:
        ValueError: A negative shift, an unknown modality, or a sample that is no pair.
    """

    def __init__(self, max_shift: int = 4, modality: str = "visible") -> None:
        if not isinstance(max_shift, int) or max_shift < 0:
            raise ValueError(f"max_shift must be a whole number of pixels, got {max_shift}")
        if modality not in ("infrared", "visible"):
            raise ValueError(f"modality={modality!r}: 'infrared' or 'visible'")
        self.max_shift = max_shift
        self.modality = modality

    def transform(self, results: dict) -> dict:
        side = _sides(results, "MisalignPair")[self.modality]
        down, right = np.random.randint(-self.max_shift, self.max_shift + 1, 2)
        height, width = results["img"].shape[:2]
        rows = (np.arange(height) - down).clip(0, height - 1)
        columns = (np.arange(width) - right).clip(0, width - 1)
        results["img"] = results["img"].copy()
        results["img"][..., side] = results["img"][..., side][rows][:, columns]
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_shift={self.max_shift}, modality={self.modality!r})"


def _sides(results: dict, name: str) -> dict[str, list[int]]:
    """Numbers of the channels of either modality."""
    channels = results["channels"]
    sides = dict(
        infrared=[i for i, channel in enumerate(channels) if channel == "infrared"],
        visible=[i for i, channel in enumerate(channels) if channel != "infrared"],
    )
    if absent := [side for side, numbers in sides.items() if not numbers]:
        raise ValueError(
            f"{name}: channels {tuple(channels)} of {results.get('img_path')}: no {absent[0]} image"
            " to make a pair; load by LoadRGBTImageFromFile from a data set of modality='both'"
        )
    return sides
