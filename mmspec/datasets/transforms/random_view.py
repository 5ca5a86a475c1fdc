"""Crop, resize and flip an image in one resampling."""

import math

import numpy as np
import torch

from mmspec.registry import TRANSFORMS

from .base import Step

MAX_ATTEMPTS = 10


@TRANSFORMS.register_module()
class RandomView(Step):
    """Crop at random, resize by an antialiased bicubic kernel, flip at random.

    The draws are those of mmpretrain's ``RandomResizedCrop`` with a ``RandomFlip`` behind it, and
    pixels those of their Pillow backend within two levels, in half the time: PyTorch resizes the
    crop where it lies, a pair's four channels at once.

    Modified keys: ``img``, (H, W) or (H, W, C), uint8 or float32; ``img_shape``. Added: ``flip``.

    Args:
        scale: pixels a side of the result, or (height, width).
        crop_ratio_range: share of the image that a crop covers.
        aspect_ratio_range: width / height of a crop, drawn uniformly in its logarithm.
        flip_prob: probability that the result is mirrored left to right.
    """

    def __init__(
        self,
        scale: int | tuple[int, int],
        crop_ratio_range: tuple[float, float] = (0.2, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        flip_prob: float = 0.5,
    ) -> None:
        self.scale = (scale, scale) if isinstance(scale, int) else tuple(scale)
        self.crop_ratio_range, self.aspect_ratio_range = crop_ratio_range, aspect_ratio_range
        self.flip_prob = flip_prob

    def transform(self, results: dict) -> dict:
        image = results["img"]
        top, left, height, width = self.draw_box(*image.shape[:2])
        crop = image[top : top + height, left : left + width]
        # PyTorch refuses the negative strides of flipped arrays, and warns of arrays that are read
        # only, as those of a memory-mapped file.
        taken = crop.flags.writeable and min(crop.strides) >= 0
        crop = torch.from_numpy(crop if taken else crop.copy())
        crop = crop[None, None] if crop.dim() == 2 else crop.permute(2, 0, 1)[None]
        view = torch.nn.functional.interpolate(
            crop, self.scale, mode="bicubic", align_corners=False, antialias=True
        )
        results["flip"] = bool(np.random.random() < self.flip_prob)
        if results["flip"]:
            view = view.flip(-1)
        results["img"] = view[0].permute(1, 2, 0).numpy().reshape(*self.scale, *image.shape[2:])
        results["img_shape"] = self.scale
        return results

    def draw_box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of a crop, whole pixels."""
        low, high = map(math.log, self.aspect_ratio_range)
        for _ in range(MAX_ATTEMPTS):
            area = np.random.uniform(*self.crop_ratio_range) * height * width
            aspect = math.exp(np.random.uniform(low, high))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                top = np.random.randint(0, height - h + 1)
                return top, np.random.randint(0, width - w + 1), h, w
        # Of a very long image none fits: its middle, as long as the aspects allow.
        h = min(height, round(width / self.aspect_ratio_range[0]))
        w = min(width, round(height * self.aspect_ratio_range[1]))
        return (height - h) // 2, (width - w) // 2, h, w
