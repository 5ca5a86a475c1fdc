"""Pictures of what models predict, from the data samples in which they hand it over.

The hooks of validations and tests and the predictor draw by these. Truth is drawn where a sample
has it. Each takes ``image``, (C, H', W') uint8 or float32, what the pipeline loaded, on the CPU;
the sample; the names of the classes; a score below which nothing is drawn; ``steady``, for a
picture of one size whatever is found; and leaves what it does not need.
"""

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
from .matching import WITHIN, match_picture
from .panels import as_shown, resized, titled_grid, to_levels
from .reconstruction import sample_sheet
from .segmentation import saliency_picture, segmentation_picture
from .small_target import small_target_picture


def draw_segmentation(
    image: Tensor,
    sample: BaseDataElement,
    classes: Sequence[str],
    score: float | None = None,
    steady: bool = False,
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
    found, keys = sample.pred_instances, ("bbox", "bbox_label", "ignore_flag")
    truth = sample.get("instances")
    return detection_picture(
        list(loaded_images(image, sample, sample.ori_shape[:2]).values()),
        found.bboxes.float().cpu().numpy(),
        found.scores.float().cpu().numpy(),
        found.labels.cpu().numpy(),
        truth if truth is None else [tuple(one[key] for key in keys) for one in truth],
        classes,
        score_threshold,
        found.masks.cpu().numpy() if "masks" in found else None,
        steady,
    )


def draw_small_targets(
    image: Tensor,
    sample: BaseDataElement,
    classes: Sequence[str] = (),
    threshold: float = THRESHOLD,
    steady: bool = False,
) -> np.ndarray:
    """Targets of a sample of mmseg; see :func:`small_target_picture`."""
    probability = foreground_probability(sample.seg_logits.data, sample.img_path)
    shown = loaded_image(image, probability.shape)
    return small_target_picture(shown, _label(sample), probability, threshold, steady)


def draw_saliency(image: Tensor, sample: BaseDataElement, *_: object) -> np.ndarray:
    """Probability of a sample of mmseg beside its images; see :func:`saliency_picture`."""
    score = foreground_probability(sample.seg_logits.data, sample.img_path)
    visible, infrared = modalities(image, sample.channels, score.shape)
    return saliency_picture(visible, infrared, _label(sample), score)


def draw_matches(image: Tensor, sample: BaseDataElement, *_: object) -> np.ndarray:
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
    first = np.argsort(errors > WITHIN, kind="stable")  # those that agree are of use
    points = [one[first] for one in points]
    return match_picture(infrared, visible, *points, errors[first], of=" of their homography")


def draw_reconstruction(image: Tensor, sample: BaseDataElement, *_: object) -> np.ndarray:
    """Input, visible patches and reconstruction, a row for each image that is reconstructed."""
    shown = loaded_images(image, sample, tuple(image.shape[-2:]))
    sides = {f"_{side}": x for side, x in shown.items() if f"patch_mask_{side}" in sample}
    sides = sides or {"": next(iter(shown.values()))}  # of a pair InfMAE sees the infrared image
    parts = ("patch_mask", "reconstruction")
    return sample_sheet([(x, *(sample.get(p + side) for p in parts)) for side, x in sides.items()])


def draw_features(image: Tensor, sample: BaseDataElement, *_: object) -> np.ndarray:
    """Images, and the three principal components of every map as red, green and blue.

    Places of one colour have alike features; the colours of two maps do not compare. Of the
    sample's ``features`` (C, h, w) by name those of other dimensions are left out.
    """
    images = loaded_images(image, sample, tuple(image.shape[-2:]))
    columns = {name: as_shown(one) for name, one in images.items()}
    for name, array in sample.features.items():
        if array.ndim == 3:
            title = f"{name}: {' x '.join(map(str, array.shape))}"
            columns[title] = resized(principal_colours(array), tuple(image.shape[:0:-1]))
    return titled_grid([list(columns.values())], tuple(columns))


def principal_colours(array: np.ndarray) -> np.ndarray:
    """The three principal components of a map (C, h, w) as colours, (h, w, 3) uint8."""
    places = array.reshape(len(array), -1).T.astype(np.float64)
    places = places - places.mean(0)
    # Of the covariance (C, C), not of the places: a map may have 100,000 of them.
    directions = np.linalg.eigh(places.T @ places)[1][:, :-4:-1]
    scores = places @ directions
    low, high = np.percentile(scores, (1, 99), axis=0)
    shares = (scores - low) / np.maximum(high - low, 1e-12)
    shares = np.pad(shares, ((0, 0), (0, 3 - shares.shape[1])))
    return np.ascontiguousarray(to_levels(shares).reshape(*array.shape[1:], 3))


def _label(sample: BaseDataElement) -> np.ndarray | None:
    return sample.gt_sem_seg.data[0].cpu().numpy() if "gt_sem_seg" in sample else None


def loaded_image(tensor: Tensor, size: tuple[int, int]) -> np.ndarray:
    """The picture in a pipeline's result (C, H', W'), uint8 or float32, at a size (H, W).

    Of three channels, blue, green and red, it is (H, W, 3) RGB, or (H, W) if they are equal; of
    other numbers (H, W), the first.
    """
    if tensor.is_floating_point():
        tensor = tensor.round().clamp(0, 255).byte()
    image = tensor[: 3 if len(tensor) == 3 else 1].permute(1, 2, 0).cpu().numpy()
    gray = (image == image[..., :1]).all()
    image = np.ascontiguousarray(image[..., 0] if gray else image[..., ::-1])
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)


def modalities(
    image: Tensor, channels: Sequence[str], size: tuple[int, int]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The visible and the infrared image of a pipeline's result (C, H', W') uint8.

    Args:
        channels: what each of the C is.

    Returns:
        (H, W, 3) uint8 RGB and (H, W) uint8 of the size; None for what is not there.
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
    """:func:`modalities` of a pair, as its ``channels`` tell, as ``infrared`` and ``visible``.

    Of one image, whatever it is, ``input``.
    """
    visible, infrared = modalities(image, sample.get("channels") or (), size)
    if visible is None:
        return dict(input=loaded_image(image, size) if infrared is None else infrared)
    return dict(input=visible) if infrared is None else dict(infrared=infrared, visible=visible)
