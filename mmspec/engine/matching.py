"""Pictures of matches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmspec.evaluation.matching import match_errors
from mmspec.registry import HOOKS
from mmspec.visualization.matching import match_picture

from .pictures import PictureHook, modalities


@HOOKS.register_module()
class MatchingPictureHook(PictureHook):
    """Writes the matches of a pair into ``WORK_DIR/matches``, right ones green, wrong ones red.

    A match is right within 3 pixels of the truth; the 150 best are drawn.
    """

    folder = "matches"

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        visible, thermal = modalities(image, sample.channels, tuple(image.shape[-2:]))
        points = sample.thermal_points, sample.visible_points
        errors = match_errors(*points, sample.truth.cpu().numpy())
        return match_picture(thermal, visible, *points, errors)
