"""Crop training images and their labels at random."""

import cv2
import numpy as np

from mmspec.conventions import IGNORE_INDEX
from mmspec.registry import TRANSFORMS

from .base import Step
from .slivers import cut_labels

TRIES = 10  # as mmseg's


@TRANSFORMS.register_module()
class SegmentationCrop(Step):
    """Crop at random, as mmseg's ``RandomCrop``, without slivers among the labels.

    What a cut leaves of a thing, one to three pixels deep, is ignored instead of being learnt as
    the thing; see :func:`~mmspec.datasets.transforms.slivers.cut_labels`. Smaller images stay as
    they are, the data preprocessor pads them.

    Required keys: ``img`` (H, W) or (H, W, C), ``gt_seg_map`` (H, W) uint8, ``seg_fields``.
    Modified keys: ``img`` and everything in ``seg_fields``, ``img_shape``.

    Args:
        crop_size: side in pixels, or (height, width).
        cat_max_ratio: largest share of one class among the labelled pixels of a crop; the last of
            ten draws is taken where none keeps to it. 1 draws once. Of two classes, one of which
            fills less than a quarter, 0.75 would always draw in vain.

    Raises:
        ValueError: A size or share that makes no sense.
    """

    def __init__(self, crop_size: int | tuple[int, int], cat_max_ratio: float = 1.0) -> None:
        size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"crop_size must be a side or (height, width), got {crop_size}")
        if not 0 < cat_max_ratio <= 1:
            raise ValueError(f"cat_max_ratio must be above 0 and at most 1, got {cat_max_ratio}")
        self.crop_size = size
        self.cat_max_ratio = cat_max_ratio

    def transform(self, results: dict) -> dict:
        window = self._window(results["gt_seg_map"])
        labels = cut_labels(results["gt_seg_map"], *window)
        for key in results["seg_fields"]:
            results[key] = results[key][window]
        results["gt_seg_map"] = labels
        results["img"] = results["img"][window]
        results["img_shape"] = results["img"].shape[:2]
        return results

    def _window(self, labels: np.ndarray) -> tuple[slice, slice]:
        window = self._draw(labels.shape)
        if self.cat_max_ratio < 1:
            for _ in range(TRIES):
                counts = cv2.calcHist(
                    [labels[window]], [0], None, [IGNORE_INDEX], [0, IGNORE_INDEX]
                )
                if counts.max() < self.cat_max_ratio * counts.sum():
                    break
                window = self._draw(labels.shape)
        return window

    def _draw(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        first = [np.random.randint(max(a - b, 0) + 1) for a, b in zip(shape, self.crop_size)]
        return tuple(slice(i, i + side) for i, side in zip(first, self.crop_size))
