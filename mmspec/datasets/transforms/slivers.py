"""What a crop leaves of an object: enough to learn it, or a sliver that is not one any more.

The rule is one, :func:`is_sliver`. The size of a box is known. That of a thing in a map of classes
is looked up no further than a strip of ``MAX_SLIVER`` pixels asks for, which keeps what reaches
deeper: its pixels are of the class that they say, where a box would claim an object.
"""

import cv2
import numpy as np

from mmspec.conventions import IGNORE_INDEX
from mmspec.registry import TRANSFORMS

from .base import Step

#: An object of which less than this share is in the crop is to be ignored, not learnt,
MIN_VISIBLE = 0.3
#: unless it fills this share of the crop: nothing else is to be seen there.
MIN_FILLED = 0.5
#: So many pixels of the cut a map of classes is judged in; what reaches deeper is kept.
MAX_SLIVER = 3


def is_sliver(visible: np.ndarray, whole: np.ndarray, crop: int) -> np.ndarray:
    """Whether so little of each object is left that it is to be ignored; all sizes in pixels."""
    return (visible < MIN_VISIBLE * whole) & (visible < MIN_FILLED * crop)


@TRANSFORMS.register_module()
class ClipBoxes(Step):
    """Clip boxes to the image, and ignore those of which little is left.

    A box of which a sliver is inside (:func:`is_sliver`) becomes a region to ignore: neither an
    object, which a strip of three pixels does not show, nor background. Stands after mmdet's
    ``RandomCrop(bbox_clip_border=False)``, which clips nothing and drops boxes that are wholly
    outside; ``FilterAnnotations`` after it drops boxes of less than a pixel.

    Required keys: ``img_shape`` (H, W), ``gt_bboxes`` (N, 4) as mmdet's ``HorizontalBoxes``,
    ``gt_ignore_flags`` (N,) bool. Modified keys: both; with ``gt_masks``, which are cut already,
    the boxes become those of the masks.
    """

    def transform(self, results: dict) -> dict:
        boxes = results["gt_bboxes"]
        height, width = results["img_shape"][:2]
        whole = boxes.areas.numpy()
        boxes.clip_((height, width))
        results["gt_ignore_flags"] |= is_sliver(boxes.areas.numpy(), whole, height * width)
        if "gt_masks" in results:
            results["gt_bboxes"] = results["gt_masks"].get_bboxes(type(boxes))
        return results


def cut_labels(
    labels: np.ndarray, rows: slice, columns: slice, background: int | None = None
) -> np.ndarray:
    """Cut a window out of a map of classes, slivers at its border to be ignored.

    A sliver is what a cut leaves of one thing (8-connected pixels of one class) where it reaches at
    most ``MAX_SLIVER`` pixels into the window and :func:`is_sliver` holds, as far as the thing can
    be seen ten pixels beyond the cut.

    Args:
        labels: (H, W) uint8 classes.
        rows, columns: the window, with start and stop; it may end outside the image.
        background: class that is no thing and stays as it is, if one of them is.

    Returns:
        (h, w) copy of the window, slivers 255.
    """
    height, width = labels.shape
    top, bottom = rows.start, min(rows.stop, height)
    left, right = columns.start, min(columns.stop, width)
    cut = labels[top:bottom, left:right].copy()
    # Each side as if it were the lower one: the cut runs below the last row of the window.
    for turned, window, (last, first, end) in (
        (labels, cut, (bottom, left, right)),
        (labels[::-1], cut[::-1], (height - top, left, right)),
        (labels.T, cut.T, (right, top, bottom)),
        (labels.T[::-1], cut.T[::-1], (width - left, top, bottom)),
    ):
        _ignore_below(turned, window, last, first, end, (IGNORE_INDEX, background))
    return cut


def _ignore_below(
    labels: np.ndarray, window: np.ndarray, last: int, first: int, end: int, left: tuple
) -> None:
    """Mark in ``window`` the slivers at its lower side, but for classes that are left as they are.

    The window is ``labels[:last, first:end]`` from some row on.
    """
    depth = MAX_SLIVER + 1
    if last >= len(labels) or len(window) < depth:
        return
    beyond = int(MAX_SLIVER / MIN_VISIBLE)
    before = min(first, beyond)
    band = labels[last - depth : last + beyond, first - before : end + beyond]
    seen = slice(before, before + end - first)
    border = band[depth - 1, seen]
    shallow = border[(band[: depth - 1, seen] != border).any(0)]
    for value in np.intersect1d(shallow, band[depth, seen]):
        if value in left:
            continue
        count, things = cv2.connectedComponents((band == value).astype(np.uint8), connectivity=8)
        inside = things[:depth, seen]
        visible, whole = (np.bincount(x.ravel(), minlength=count) for x in (inside, things))
        sliver = is_sliver(visible, whole, window.size)
        sliver[inside[0]] = False
        sliver[0] = False
        window[-depth:][sliver[inside]] = IGNORE_INDEX
