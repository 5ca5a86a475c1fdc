"""The last step of a pipeline for pre-training."""

import cv2
import numpy as np
import torch

from mmspec.pairs import PAIR, pixels_of_pair
from mmspec.registry import TRANSFORMS

from .base import Step


@TRANSFORMS.register_module()
class PackImage(Step):
    """Give an image as a tensor and its name, and nothing else.

    In place of mmpretrain's ``PackInputs`` where nothing is known of images but their names: no
    data samples are built, sent from a worker to the training process and moved to the device.

    Required keys: ``img``, (H, W) or (H, W, C), ``img_path``, and ``channels`` of four. Result:
    ``inputs`` (C, H, W) tensor, ``img_path``.

    Raises:
        ValueError: Four channels that are not those of a pair.
    """

    draws = False  # no random numbers, see RepeatableSamplesMixin

    def transform(self, results: dict) -> dict:
        image = results["img"]
        if image.ndim == 2:
            image = image[None]
        else:
            if image.shape[2] == len(PAIR):
                pixels_of_pair(results, "PackImage")
            # Several times as fast as a copy of a transposed view.
            image = np.stack(cv2.split(np.ascontiguousarray(image)))
        # In order, and not read only, as what a memory-mapped file gives.
        image = np.require(image, requirements="CW")
        return dict(inputs=torch.from_numpy(image), img_path=str(results["img_path"]))
