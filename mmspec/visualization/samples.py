"""Pictures of what models predict, from the data samples in which they hand it over.

The hooks of validations and tests and the predictor draw by these. Truth is drawn where a sample
has it. In all of them ``image`` is (C, H', W') uint8, what the pipeline loaded, on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmspec.evaluation.matching import match_errors
from mmspec.evaluation.samples import foreground_probability
from mmspec.evaluation.small_target import THRESHOLD
from mmspec.pairs import COLOURS

from .detection import detection_picture
from .matching import match_picture
from .reconstruction import sample_sheet
from .saliency import saliency_picture
from .segmentation import segmentation_picture
from .small_target import small_target_picture


def draw_segmentation(
    image: Tensor, sample: BaseDataElement, classes: Sequence[str], steady: bool = False
) -> np.ndarray:
    """Input, prediction and truth of a sample of mmseg; see :func:`segmentation_picture`."""
    prediction = sample.pred_sem_seg.data[0].long().cpu().numpy()
    images = loaded_images(image, sample, prediction.shape)
    return segmentation_picture(images, prediction, _label(sample), classes, steady)


def draw_detection(
    image: Tensor,
    sample: BaseDataElement,
    classes: Sequence[str],
    score_threshold: float = 0.3,
    steady: bool = False,
) -> np.ndarray:
    """Boxes, masks and truth of a sample of mmdet; see :func:`detection_picture`."""
    found = sample.pred_instances
    truth = None
    if "instances" in sample:
        truth = [
            (instance["bbox"], instance["bbox_label"], bool(instance["ignore_flag"]))
            for instance in sample.instances
        ]
    return detection_picture(
        list(loaded_images(image, sample, sample.ori_shape[:2]).values()),
        found.bboxes.float().cpu().numpy(),
        found.scores.float().cpu().numpy(),
        found.labels.cpu().numpy(),
        truth,
        classes,
        score_threshold,
        found.masks.cpu().numpy() if "masks" in found else None,
        steady,
    )


def draw_small_targets(
    image: Tensor, sample: BaseDataElement, threshold: float = THRESHOLD, steady: bool = False
) -> np.ndarray:
    """Targets of a sample of mmseg; see :func:`small_target_picture`."""
    probability = foreground_probability(sample.seg_logits.data, sample.img_path)
    shown = loaded_image(image, probability.shape)
    return small_target_picture(shown, _label(sample), probability, threshold, steady)


def draw_saliency(image: Tensor, sample: BaseDataElement) -> np.ndarray:
    """Probability of a sample of mmseg beside its images; see :func:`saliency_picture`."""
    score = foreground_probability(sample.seg_logits.data, sample.img_path)
    visible, infrared = modalities(image, sample.channels, score.shape)
    return saliency_picture(visible, infrared, _label(sample), score)


def draw_matches(image: Tensor, sample: BaseDataElement) -> np.ndarray:
    """Matches of a pair; see :func:`match_picture`.

    Right are those near the truth or, without one, those that agree with the homography that was
    estimated from them.
    """
    visible, infrared = modalities(image, sample.channels, tuple(image.shape[-2:]))
    points = sample.infrared_points, sample.visible_points
    if "truth" in sample:
        errors = match_errors(*points, sample.truth.cpu().numpy())
        return match_picture(infrared, visible, *points, errors)
    errors = np.full(len(points[0]), np.inf)
    if sample.homography is not None:
        errors = match_errors(*points, sample.homography)
    first = np.argsort(errors > 3, kind="stable")  # those that agree are of use
    points = [one[first] for one in points]
    return match_picture(infrared, visible, *points, errors[first], of=" of their homography")


def draw_reconstruction(image: Tensor, sample: BaseDataElement) -> np.ndarray:
    """Input, visible patches and reconstruction, a row for each image of a pair."""
    visible, infrared = modalities(image, sample.get("channels") or (), tuple(image.shape[-2:]))
    if visible is None:
        gray = loaded_image(image, tuple(image.shape[-2:])) if infrared is None else infrared
        return sample_sheet([(gray, sample.patch_mask, sample.reconstruction)])
    return sample_sheet(
        [
            (shown, sample.get(f"patch_mask_{side}"), sample.get(f"reconstruction_{side}"))
            for side, shown in (("infrared", infrared), ("visible", visible))
        ]
    )


def _label(sample: BaseDataElement) -> np.ndarray | None:
    return sample.gt_sem_seg.data[0].cpu().numpy() if "gt_sem_seg" in sample else None


def loaded_image(tensor: Tensor, size: tuple[int, int]) -> np.ndarray:
    """The picture in a pipeline's result, at a size (H, W).

    Args:
        tensor: (C, H', W') uint8; of more than three channels, a pair, the first is shown.

    Returns:
        (H, W) gray levels of equal channels, or (H, W, 3) of blue, green, red as red, green, blue.
    """
    image = tensor[: 3 if len(tensor) == 3 else 1].permute(1, 2, 0).cpu().numpy()
    gray = (image == image[..., :1]).all()
    image = np.ascontiguousarray(image[..., 0] if gray else image[..., ::-1])
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)


def modalities(
    image: Tensor, channels: Sequence[str], size: tuple[int, int]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The visible and the infrared image of a pipeline's result, at a size (H, W).

    Args:
        image: (C, H', W') uint8.
        channels: what each of the C is.

    Returns:
        (H, W, 3) uint8 RGB and (H, W) uint8; None for what is not there.
    """
    visible = infrared = None
    if set(COLOURS) <= set(channels):
        visible = loaded_image(image[[channels.index(name) for name in COLOURS]], size)
        if visible.ndim == 2:
            visible = np.repeat(visible[..., None], 3, axis=2)
    if "infrared" in channels:
        infrared = loaded_image(image[[channels.index("infrared")]], size)
    return visible, infrared


def loaded_images(
    image: Tensor, sample: BaseDataElement, size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """What a pipeline loaded, at a size (H, W), by the names of the modalities.

    Args:
        image: (C, H', W') uint8.
        sample: whose ``channels`` tell a pair; without them it is one image.

    Returns:
        ``infrared`` (H, W) and ``visible`` (H, W, 3) uint8 RGB of a pair, or ``input``, of either
        shape.
    """
    visible, infrared = modalities(image, sample.get("channels") or (), size)
    if visible is None:
        return dict(input=loaded_image(image, size) if infrared is None else infrared)
    return dict(input=visible) if infrared is None else dict(infrared=infrared, visible=visible)
