"""Augment both images of an aligned pair: one geometry, each its own photometry."""

import random
from collections.abc import Callable, Sequence
from copy import deepcopy

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose

from mmspec.pairs import COLOURS, join_pair, pixels_of_pair, split_pair
from mmspec.registry import TRANSFORMS

from .base import Step
from .photometric import InfraredPhotometric, VisiblePhotometric


@TRANSFORMS.register_module()
class TransformPair(Step):
    """Run geometric transforms that take no four channels on both images of a pair.

    They draw the same numbers for either image, so that pixels stay aligned: Python's, NumPy's and
    torch's generators are put back before the second. Pillow needs it, which takes four channels
    for a colour that an opacity multiplies; OpenCV's resize and all flips and crops do not.

    Required keys: ``img`` (H, W, 4) and ``channels`` of a pair. Modified keys: ``img``
    (H', W', 4), ``img_shape`` (H', W') and others that the transforms set.

    Args:
        both: transforms whose draws depend on the size of an image alone.

    Raises:
        ValueError: The sample is no pair, or an image came out in another size.
    """

    def __init__(self, both: Sequence[dict | Callable]) -> None:
        self.both = Compose(list(both))

    def transform(self, results: dict) -> dict | None:
        gray, visible = split_pair(pixels_of_pair(results, "TransformPair"))
        # Not mmcv's cache_random_params: it refuses mmpretrain's RandomResizedCrop, whose method a
        # subclass enters into the same list of random methods again.
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        # mmdet's steps change boxes in place, which both images would do in turn.
        labels = deepcopy({key: value for key, value in results.items() if key != "img"})
        first = self.both({**results, "img": gray})
        if first is None:  # a step has dropped the sample
            return None
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        visible = self.both({**labels, "img": visible})["img"]
        if first["img"].shape != visible.shape[:2]:
            raise ValueError(
                f"TransformPair: the infrared image became {first['img'].shape}, the visible one"
                f" {visible.shape}"
            )
        return first | dict(img=join_pair(first["img"], visible), img_shape=visible.shape[:2])


@TRANSFORMS.register_module()
class RGBTPhotometric(Step):
    """Colour jitter on the visible image; gain, offset, gamma and noise on the infrared one.

    The draws of the two are independent, as their cameras are (M-SpecGene's release gives both the
    same colour jitter, in one image of six channels). Of a sample of one modality that one is
    changed. A modality that is black throughout stays black.

    Required keys: ``img`` and ``channels``, as ``LoadRGBTImageFromFile`` gives them. Modified keys:
    ``img``, of the same shape and order.

    Args:
        infrared: transform of the infrared image, (H, W) uint8; ``InfraredPhotometric`` by default.
        visible: transform of the visible image, (H, W, 3) uint8 in mmcv's order: blue, green, red;
            ``VisiblePhotometric`` by default.

    Raises:
        ValueError: The channels are neither a pair's nor those of one modality.
    """

    def __init__(
        self,
        infrared: dict | Callable | None = None,
        visible: dict | Callable | None = None,
    ) -> None:
        steps = infrared or InfraredPhotometric(), visible or VisiblePhotometric()
        self.infrared, self.visible = (
            TRANSFORMS.build(step) if isinstance(step, dict) else step for step in steps
        )

    def transform(self, results: dict) -> dict:
        channels = tuple(results["channels"])
        if set(channels) == {"infrared"}:
            return _unless_black(self.infrared, results)
        if channels == COLOURS:
            return _unless_black(self.visible, results)
        gray, visible = split_pair(pixels_of_pair(results, "RGBTPhotometric"))
        gray = _unless_black(self.infrared, {**results, "img": gray})["img"]
        colours = cv2.cvtColor(visible, cv2.COLOR_RGB2BGR)
        colours = _unless_black(self.visible, {**results, "img": colours})["img"]
        return results | dict(img=join_pair(gray, cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)))


def _unless_black(step: Callable, results: dict) -> dict:
    """A missing modality is black, of which a change of polarity or offset would make a picture."""
    return step(results) if results["img"].any() else results
