"""Pairs for matching: at one width, the thermal image seen through a homography."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmspec.matching.views import (
    MOST_SHIFT,
    random_homography,
    resize,
    scaled_shape,
    seen_through,
)
from mmspec.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ScaleToWidth(BaseTransform):
    """Scale an image to a width, both sides to the nearest multiples of 16.

    The patch of the encoders divides the result, so that nothing is padded. For ``both`` of
    ``TransformPair``.

    Modified keys: ``img``, (H, W) or (H, W, 3) uint8, and ``img_shape``, (H, W).

    Args:
        width: In pixels.

    Raises:
        ValueError: A width below 16.
    """

    def __init__(self, width: int) -> None:
        if width < 16:
            raise ValueError(f"width must be at least 16 pixels, got {width}")
        self.width = width

    def transform(self, results: dict) -> dict:
        shape = scaled_shape(results["img"].shape[:2], self.width)
        results["img"] = resize(results["img"], shape)
        results["img_shape"] = shape
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(width={self.width})"


@TRANSFORMS.register_module()
class ViewThermal(BaseTransform):
    """See the thermal image of an aligned pair through a random homography, which is the truth.

    The corners of the view stay in the image, so that each of its pixels has a place in the visible
    image, and no border tells how it was made.

    Required keys: ``img`` (H, W, C), ``channels``, names of a pair; ``sample_idx`` with a ``seed``.
    Modified keys: ``img``. Added keys: ``truth``, (3, 3) float64 tensor, from pixels (x, y) of the
    thermal image to those of the visible one; the first pixel's centre is (0, 0).

    Args:
        most_shift: Most that a corner moves inwards along an axis, as a share of the image's side.
        seed: Of homographies that belong to a sample, the same in every epoch and run, for tests:
            those of :func:`mmspec.matching.roadscene_pairs`. None: drawn anew from NumPy's global
            generator.

    Raises:
        ValueError: A shift outside 0 <= most_shift < 0.5, or a sample that is no pair.
    """

    def __init__(self, most_shift: float = MOST_SHIFT, seed: int | None = None) -> None:
        if not 0 <= most_shift < 0.5:
            raise ValueError(f"most_shift must be in [0, 0.5), got {most_shift}")
        self.most_shift = most_shift
        self.seed = seed

    def transform(self, results: dict) -> dict:
        channels = results["channels"]
        thermal = [i for i, name in enumerate(channels) if name == "infrared"]
        if len(thermal) in (0, len(channels)):
            raise ValueError(
                f"ViewThermal: channels {tuple(channels)} of {results.get('img_path')} are no pair;"
                " load by LoadRGBTImageFromFile from a data set of pairs"
            )
        entropy = (
            np.random.randint(2**31) if self.seed is None else (self.seed, results["sample_idx"])
        )
        image = results["img"].copy()
        truth = random_homography(image.shape[:2], np.random.default_rng(entropy), self.most_shift)
        view = seen_through(np.ascontiguousarray(image[..., thermal[0]]), truth)
        image[..., thermal] = view[..., None]
        results["img"] = image
        results["truth"] = torch.from_numpy(truth)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(most_shift={self.most_shift}, seed={self.seed})"
