"""Augment both images of an aligned pair: one geometry, each its own photometry."""

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose

from mmspec.registry import TRANSFORMS

from .rgbt import VISIBLE


@TRANSFORMS.register_module()
class TransformPair(BaseTransform):
    """Runs transforms of single images on both images of a pair.

    The geometric ones draw the same numbers for either image, so that pixels stay aligned:
    Python's, NumPy's and torch's generators are put back before the second. One array of all
    channels would not do: Pillow resizes no six, and takes four for a colour that an opacity
    multiplies.

    Required keys: ``img`` (H, W, C) and ``channels``, its names, as ``LoadRGBTImageFromFile`` gives
    them for pairs. Modified keys: ``img`` (H', W', 4), ``channels`` ('infrared', 'red', 'green',
    'blue'), the data preprocessor makes three of the one infrared channel; ``img_shape`` (H', W')
    and other keys that the geometric transforms set.

    Args:
        both: Geometric transforms, whose draws depend on the size of an image alone.
        infrared: Photometric transforms of the infrared image, (H', W') uint8.
        visible: Photometric transforms of the visible image, (H', W', 3) uint8 in mmcv's order:
            blue, green, red.

    Raises:
        ValueError: ``channels`` name no pair, or an image came out in another size.
    """

    def __init__(
        self,
        both: Sequence[dict | Callable] = (),
        infrared: Sequence[dict | Callable] = (),
        visible: Sequence[dict | Callable] = (),
    ) -> None:
        self.both, self.infrared, self.visible = (
            Compose(list(x)) for x in (both, infrared, visible)
        )

    def transform(self, results: dict) -> dict:
        channels = results["channels"]
        if absent := {"infrared", *VISIBLE} - set(channels):
            raise ValueError(
                f"TransformPair: channels {tuple(channels)} of {results.get('img_path')}: no"
                f" {', '.join(sorted(absent))}; load pairs by LoadRGBTImageFromFile"
            )
        image = results["img"]
        infrared = np.ascontiguousarray(image[..., channels.index("infrared")])
        visible = image[..., [channels.index(name) for name in reversed(VISIBLE)]]
        # Not mmcv's cache_random_params: it refuses mmpretrain's RandomResizedCrop, whose method a
        # subclass enters into the same list of random methods again.
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        first = self.both({**results, "img": infrared})
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        second = self.both({**results, "img": visible})
        results = self.infrared(first)
        infrared, visible = results["img"], self.visible(second)["img"]
        if infrared.shape != visible.shape[:2]:
            raise ValueError(
                f"TransformPair: the infrared image became {infrared.shape}, the visible one"
                f" {visible.shape}"
            )
        results["img"] = np.concatenate([infrared[..., None], visible[..., ::-1]], axis=2)
        results["img_shape"] = infrared.shape
        results["channels"] = ("infrared", *VISIBLE)
        return results

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(both={self.both}, infrared={self.infrared},"
            f" visible={self.visible})"
        )
