"""Augment the pixels of a pair, each modality in its own way."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmspec.registry import TRANSFORMS

#: mmcv's order of the colours, that of the transforms of single images.
COLOURS = ("blue", "green", "red")
INFRARED = dict(type="mmspec.InfraredPhotometric")
# The ranges of mmseg's PhotoMetricDistortion.
VISIBLE = dict(
    type="mmpretrain.ColorJitter",
    brightness=0.125,
    contrast=0.5,
    saturation=0.5,
    hue=0.1,
    backend="cv2",
)


@TRANSFORMS.register_module()
class RGBTPhotometric(BaseTransform):
    """Colour jitter on the visible image; gain, offset, gamma and noise on the infrared one.

    The draws of the two are independent, as their cameras are (M-SpecGene's release gives both the
    same colour jitter, in one image of six channels). Of a sample of one modality that one is
    changed. A modality that is black throughout stays black.

    Required keys: ``img`` (H, W, C) or (H, W) uint8 and ``channels``, the names of its channels, as
    ``LoadRGBTImageFromFile`` and ``TransformPair`` give them. Modified keys: ``img``, of the same
    shape and order.

    Args:
        infrared: Transform of the infrared image, (H, W) uint8; ``InfraredPhotometric`` by default.
        visible: Transform of the visible image, (H, W, 3) uint8 in mmcv's order: blue, green, red;
            by default mmpretrain's ``ColorJitter``, each change by up to what mmseg's
            ``PhotoMetricDistortion`` has.
    """

    def __init__(
        self,
        infrared: dict | BaseTransform | None = None,
        visible: dict | BaseTransform | None = None,
    ) -> None:
        infrared, visible = infrared or INFRARED, visible or VISIBLE
        self.infrared, self.visible = (
            TRANSFORMS.build(step) if isinstance(step, dict) else step
            for step in (infrared, visible)
        )

    def transform(self, results: dict) -> dict:
        channels = results["channels"]
        shape = results["img"].shape
        img = np.atleast_3d(results["img"]).copy()
        infrared = [i for i, name in enumerate(channels) if name == "infrared"]
        if infrared:
            gray = np.ascontiguousarray(img[..., infrared[0]])
            img[..., infrared] = self.infrared({**results, "img": gray})["img"][..., None]
        if set(COLOURS) <= set(channels):
            visible = [channels.index(name) for name in COLOURS]
            colours = np.ascontiguousarray(img[..., visible])
            img[..., visible] = self.visible({**results, "img": colours})["img"]
        results["img"] = img.reshape(shape)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(infrared={self.infrared}, visible={self.visible})"
