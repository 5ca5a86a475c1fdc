"""What metrics are handed, checked: each fault names its image.

What a metric keeps of an image it keeps as bytes: NumPy's arrays, each in a piece of its own, would
leave the heap in shreds.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

TRUTH_OF_BOXES = (
    "Name it in the pipeline of the test: dict(type='PackDetInputs', meta_keys=('img_id',"
    " 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances'))"
)


def name_of(sample: Mapping) -> str:
    """What errors call a sample: the path of its image."""
    return str(sample.get("img_path", "an image"))


def field_of(sample: Mapping, key: str, way_out: str) -> Any:
    """A field of a sample, or a KeyError that names the image and says what to do."""
    if key not in sample:
        raise KeyError(f"{name_of(sample)}: it came without {key!r}; {way_out}")
    return sample[key]


def class_names(dataset_meta: Mapping | None) -> Sequence[str]:
    """The data set's classes, or a ValueError if it names none."""
    if not (classes := (dataset_meta or {}).get("classes")):
        raise ValueError(
            "the data set names no classes to evaluate; give it metainfo=dict(classes=(...))"
        )
    return classes


def label_of(
    sample: Mapping, shape: tuple[int, int], allowed: Collection[int], meaning: str
) -> np.ndarray:
    """The truth of a sample of mmseg, ``gt_sem_seg``, (H, W) of an integer type.

    Args:
        shape: (H, W) of what is predicted.
        allowed: values, and in words their ``meaning``.

    Raises:
        ValueError: there is none, it is of another size than the prediction or holds other values.
    """
    name = name_of(sample)
    if "gt_sem_seg" not in sample:
        raise ValueError(
            f"{name}: no label came with it; put mmspec.LoadSegmentationLabels into the test"
            " pipeline, before PackSegInputs"
        )
    truth = sample["gt_sem_seg"]["data"].squeeze(0).cpu().numpy()
    if truth.shape != shape:
        raise ValueError(
            f"{name}: its label is {' x '.join(map(str, truth.shape[::-1]))} pixels, its scores"
            f" {' x '.join(map(str, shape[::-1]))}; in the test pipeline load the label after any"
            " resize"
        )
    wrong = ~np.isin(truth, list(allowed))
    if wrong.any():
        raise ValueError(
            f"{name}: its label holds {', '.join(map(str, np.unique(truth[wrong])))}; {meaning};"
            f" wrong are {wrong.sum():,} of {truth.size:,} pixels"
        )
    return truth


def foreground_probability(seg_logits: Tensor, name: str) -> np.ndarray:
    """Probability of the foreground at each pixel, from mmseg's ``seg_logits`` of a sample.

    Args:
        seg_logits: (1, H, W) probabilities (mmseg applies the sigmoid) or (2, H, W) logits of
            background and foreground, any float type and device.
        name: of the image, for errors.

    Returns:
        (H, W) float64.

    Raises:
        ValueError: NaN or infinite values, another number of channels, or one channel that is not
            within 0 and 1.
    """
    scores = seg_logits.detach().cpu().double()
    # A sum is finite where all are, and takes no array of its own.
    if not scores.sum().isfinite() and (invalid := int((~scores.isfinite()).sum())):
        raise ValueError(
            f"{name}: {invalid:,} of {scores.numel():,} scores are NaN or infinite; the model has"
            " diverged or overflowed in half precision"
        )
    if len(scores) == 2:
        return torch.sigmoid(scores[1] - scores[0]).numpy()
    if len(scores) != 1:
        raise ValueError(
            f"{name}: {len(scores)} channels of scores; there is one (sigmoid) or there are two"
            " (background and foreground)"
        )
    if scores.numel() and not 0 <= scores.min() <= scores.max() <= 1:
        raise ValueError(
            f"{name}: one channel of scores from {scores.min():.3g} to {scores.max():.3g}, not"
            " probabilities; mmseg applies the sigmoid before a metric sees them"
        )
    return scores[0].numpy()


def scored_and_true(sample: Mapping, allowed: Mapping[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """:func:`foreground_probability` and :func:`label_of` of a sample of mmseg.

    Args:
        allowed: values of the truth and what they mean.

    Raises:
        KeyError: the sample is without scores.
        ValueError: of these functions.
    """
    logits = field_of(sample, "seg_logits", "a model of mmseg gives it in its predict()")["data"]
    probability = foreground_probability(logits, name_of(sample))
    meanings = ", ".join(f"{value} {meaning}" for value, meaning in allowed.items())
    return probability, label_of(sample, probability.shape, allowed, f"allowed: {meanings}")


def predicted_boxes(sample: Mapping, num_classes: int) -> np.ndarray:
    """The predictions of a sample of mmdet, ``pred_instances``.

    Returns:
        (N, 6) float64 x1, y1, x2, y2, label, score.

    Raises:
        KeyError: there are none, or a column is not there.
        ValueError: columns that do not fit each other, or see :func:`_checked_boxes`.
    """
    found = field_of(sample, "pred_instances", "a detector's predict() gives it")
    name = f"{name_of(sample)}: predicted"
    if absent := {"bboxes", "scores", "labels"} - set(found.keys()):
        raise KeyError(f"{name} instances have no {', '.join(sorted(absent))}")
    boxes, labels, scores = (
        found[key].detach().double().cpu().numpy() for key in ("bboxes", "labels", "scores")
    )
    if not len(boxes) == len(scores) == len(labels):
        raise ValueError(
            f"{name} {len(boxes)} boxes with {len(scores)} scores and {len(labels)} labels"
        )
    if boxes.size != 4 * len(boxes):
        raise ValueError(f"{name} boxes are of shape {boxes.shape}, not {(len(boxes), 4)}")
    table = np.column_stack([boxes.reshape(-1, 4), labels, scores])
    return _checked_boxes(table, num_classes, name)


def true_boxes(sample: Mapping, num_classes: int) -> np.ndarray:
    """The truth of a sample of mmdet, ``instances``; an empty list is an image without objects.

    Returns:
        (N, 6) float64 x1, y1, x2, y2, label, 1 where it is to be ignored.

    Raises:
        KeyError: there is none.
        ValueError: an instance without ``bbox`` and ``bbox_label``, or see :func:`_checked_boxes`.
    """
    if "instances" not in sample:
        raise KeyError(f"{name_of(sample)}: its truth is not there ('instances'). {TRUTH_OF_BOXES}")
    instances, name = sample["instances"], f"{name_of(sample)}: true"
    try:
        rows = [(*x["bbox"], x["bbox_label"], bool(x.get("ignore_flag", 0))) for x in instances]
        table = np.array(rows, np.float64).reshape(len(instances), 6)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} instances are dicts with bbox [x1, y1, x2, y2] and bbox_label, here not all"
            f" are ({type(error).__name__}: {error})"
        ) from None
    return _checked_boxes(table, num_classes, name)


def _checked_boxes(table: np.ndarray, num_classes: int, name: str) -> np.ndarray:
    """Refuse boxes and scores that are not finite, reversed corners, labels outside the classes."""
    boxes, labels, scores = table[:, :4], table[:, 4], table[:, 5]
    other = f"labels are none of the data set's {num_classes} classes, 0 to {num_classes - 1}"
    if num_classes == 1:
        other = (
            "label is not 0, that of the one class; give the data set metainfo=dict(classes=...)"
        )
    for wrong, values, what in (
        (~np.isfinite(boxes).all(1), boxes, "boxes are not finite"),
        ((boxes[:, 2:] < boxes[:, :2]).any(1), boxes, "boxes have x2 < x1 or y2 < y1"),
        (~np.isfinite(scores), scores, "scores are not finite"),
        (~np.isin(labels, np.arange(num_classes)), labels, other),
    ):
        if wrong.any():
            count, first = f"{wrong.sum():,} of {len(wrong):,}", values[wrong][0].tolist()
            raise ValueError(f"{name} {what}: {count}, the first {first}")
    return table


def rows_of_images(
    images: Sequence[bytes], dtype: type = np.float64
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of six columns that were kept of each image, in one table.

    Returns:
        (N,) index of each row's image, and the rows (N, 6).
    """
    counts = [len(rows) // (6 * dtype().itemsize) for rows in images]
    rows = np.frombuffer(b"".join(images), dtype).reshape(-1, 6)
    return np.repeat(np.arange(len(images)), counts), rows
