"""Pairs for matching: scaled, cropped, and the infrared image seen through a homography."""

import numpy as np
import torch

from mmspec.matching.views import (
    MULTIPLE,
    random_homography,
    resize,
    scaled_shape,
    seen_through,
)
from mmspec.pairs import pixels_of_pair
from mmspec.registry import TRANSFORMS

from .base import Step


@TRANSFORMS.register_module()
class ScaleToWidth(Step):
    """Scale an image to a width, both sides to the nearest multiples of 16 or another number.

    The patch of the encoders divides the result, so that nothing is padded.

    Modified keys: ``img``, (H, W) or (H, W, up to 4) uint8, and ``img_shape``, (H, W).

    Args:
        width: in pixels.
        multiple: of the sides.

    Raises:
        ValueError: A width below ``multiple``.
    """

    def __init__(self, width: int, multiple: int = MULTIPLE) -> None:
        if width < multiple:
            raise ValueError(f"width must be at least {multiple} pixels, got {width}")
        self.width, self.multiple = width, multiple

    def transform(self, results: dict) -> dict:
        shape = scaled_shape(results["img"].shape[:2], self.width, self.multiple)
        results["img"] = resize(results["img"], shape)
        results["img_shape"] = shape
        return results


@TRANSFORMS.register_module()
class ViewInfrared(Step):
    """See the infrared image of an aligned pair through a known homography: for tests.

    The corners of the view stay in the image, so that each of its pixels has a place in the visible
    image, and no border tells how it was made. The homography belongs to the sample, the same in
    every run; those of seed 0 are the ones of ``tools/analysis_tools/matching.py``.

    Required keys: ``img`` (H, W, 4), ``channels`` of a pair, and ``sample_idx``. Modified
    keys: ``img``. Added keys: ``truth``, (3, 3) float64 tensor, from pixels (x, y) of the infrared
    image to those of the visible one; the first pixel's centre is (0, 0).

    Args:
        seed: of the homographies.

    Raises:
        ValueError: A sample that is no pair.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def transform(self, results: dict) -> dict:
        image = pixels_of_pair(results, "ViewInfrared").copy()
        shape = image.shape[:2]
        generator = np.random.default_rng((self.seed, results["sample_idx"]))
        truth = random_homography(shape, generator)
        image[..., 0] = seen_through(np.ascontiguousarray(image[..., 0]), truth, shape)
        results["img"] = image
        results["truth"] = torch.from_numpy(truth)
        return results


@TRANSFORMS.register_module()
class CropViews(Step):
    """Crop both images of an aligned pair at different places, the infrared one also seen through
    a random homography: for training.

    With both views of the whole image, as in tests, a point stays near its place, and a head that
    encodes nothing but places, from the positions in a ViT, brings its loss down: it then matches
    the image of another scene as well as the right one.

    Required keys: ``img`` (H, W, 4) and ``channels`` of a pair. Modified keys: ``img``
    (h, w, 4), ``img_shape``. Added keys: ``truth``, see :class:`ViewInfrared`; it may lead out of
    the visible image.

    Args:
        size: (h, w) of the views.

    Raises:
        ValueError: An image that is smaller, or a sample that is no pair.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = tuple(size)

    def transform(self, results: dict) -> dict:
        image, (height, width) = pixels_of_pair(results, "CropViews"), self.size
        if image.shape[0] < height or image.shape[1] < width:
            raise ValueError(
                f"CropViews: {results.get('img_path')} is {image.shape[1]} x {image.shape[0]}"
                f" pixels here, less than the views of {width} x {height}"
            )
        generator = np.random.default_rng(np.random.randint(2**31))
        room = (image.shape[1] - width + 1, image.shape[0] - height + 1)
        (x, y), place = generator.integers(0, room, (2, 2))
        view = _shift(*place) @ random_homography(self.size, generator)
        cropped = image[y : y + height, x : x + width].copy()
        cropped[..., 0] = seen_through(np.ascontiguousarray(image[..., 0]), view, self.size)
        results["img"] = cropped
        results["img_shape"] = self.size
        results["truth"] = torch.from_numpy(_shift(-x, -y) @ view)
        return results


def _shift(x: int, y: int) -> np.ndarray:
    return np.array([(1.0, 0, x), (0, 1, y), (0, 0, 1)])
