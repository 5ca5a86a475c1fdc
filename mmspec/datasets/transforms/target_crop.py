"""Crop training images so that small targets are seen often enough."""

import cv2
import numpy as np

from mmspec.conventions import IGNORE_INDEX
from mmspec.registry import TRANSFORMS

from .base import Step
from .slivers import cut_labels

TARGET = 1
SPECKS = 20
SPECK_SIDE = 15  # pixels; what is wider stands out less
MARGIN = 4  # pixels round a target that are the target's own glow


@TRANSFORMS.register_module()
class TargetCrop(Step):
    """Crop at random, one time in two around a target.

    With probability ``prob`` a target (an 8-connected component of class 1 of ``gt_seg_map``) is
    chosen, all alike, and the crop is drawn uniformly from those that hold the whole of it; of a
    target larger than the crop, from those that lie within its box. With probability ``clutter``
    it is drawn likewise around one of the 20 specks of background that stand out most, the peaks
    of a white top-hat: what a network takes for targets. Otherwise, and in an image without what
    was asked for, it is drawn from all crops, which may hold a target by chance. A plain crop of
    256 from a frame of 640 x 512 would show background alone four times in five.

    A smaller image is padded on the right and below by its mean level, which draws no edge as
    black would, and its labels by 255: what was not seen is neither target nor background, and
    losses leave it out. So is the sliver that a cut leaves of a target, see
    :func:`~mmspec.datasets.transforms.slivers.cut_labels`.

    Required keys: ``img`` (H, W) or (H, W, C), ``gt_seg_map`` (H, W). Modified keys: ``img`` and
    everything in ``seg_fields``, cropped alike to (height, width) of ``crop_size``; ``img_shape``.

    Args:
        crop_size: side in pixels, or (height, width).
        prob: probability of a crop around a target.
        clutter: probability of a crop around a bright speck that is none.

    Raises:
        ValueError: A size or probability that makes no sense, or a label of another size than the
            image.
    """

    def __init__(
        self, crop_size: int | tuple[int, int], prob: float = 0.5, clutter: float = 0.0
    ) -> None:
        size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"crop_size must be a side or (height, width), got {crop_size}")
        if not (0 <= prob <= 1 and 0 <= clutter <= 1 - prob):
            raise ValueError(
                f"prob={prob} and clutter={clutter} must be in [0, 1], and so must their sum"
            )
        self.crop_size = size
        self.prob = prob
        self.clutter = clutter

    def transform(self, results: dict) -> dict:
        img, labels = results["img"], results["gt_seg_map"]
        if img.shape[:2] != labels.shape:
            raise ValueError(
                f"{results.get('img_path', 'an image')}: img is {img.shape[:2]}, gt_seg_map"
                f" {labels.shape}; TargetCrop needs both at one size"
            )
        window = self._window(img, labels)
        results["img"] = self._cut(img, window)
        for key in {*results.get("seg_fields", [])} - {"gt_seg_map"}:
            results[key] = self._cut(results[key], window, IGNORE_INDEX)
        whole = (slice(0, self.crop_size[0]), slice(0, self.crop_size[1]))
        results["gt_seg_map"] = self._cut(
            cut_labels(labels, *window, background=0), whole, IGNORE_INDEX
        )
        results["img_shape"] = self.crop_size
        return results

    def _window(self, img: np.ndarray, labels: np.ndarray) -> tuple[slice, slice]:
        draw = np.random.random()
        boxes = ()
        if draw < self.prob:
            boxes = _target_boxes(labels)
        elif draw < self.prob + self.clutter:
            boxes = _speck_boxes(img, labels)
        around = boxes[np.random.randint(len(boxes))] if len(boxes) else None
        window = []
        for axis, (side, crop) in enumerate(zip(labels.shape, self.crop_size)):
            last = max(side - crop, 0)
            low, high = 0, last
            if around is not None:
                start, stop = around[:, axis]
                # Of a target larger than the crop the bounds change places.
                low, high = np.clip(sorted((start, stop - crop)), 0, last)
            first = np.random.randint(low, high + 1)
            window.append(slice(first, first + crop))
        return tuple(window)

    def _cut(
        self, pixels: np.ndarray, window: tuple[slice, slice], value: int | None = None
    ) -> np.ndarray:
        cut = pixels[window]
        height, width = cut.shape[:2]
        if (height, width) == self.crop_size:
            return np.ascontiguousarray(cut)
        padded = np.empty((*self.crop_size, *cut.shape[2:]), cut.dtype)
        padded[:] = pixels.mean(axis=(0, 1)) if value is None else value
        padded[:height, :width] = cut
        return padded


def _target_boxes(labels: np.ndarray) -> np.ndarray:
    """(N, 2, 2) first row and column, and those behind the last, of each target."""
    mask = (labels == TARGET).astype(np.uint8)
    x, y, width, height, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:].T
    return np.stack([np.stack([y, x], 1), np.stack([y + height, x + width], 1)], 1)


def _speck_boxes(img: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, 2, 2) boxes of one pixel, as of targets, of the specks that stand out most."""
    square = np.ones((SPECK_SIDE, SPECK_SIDE), np.uint8)  # separable, unlike a disc
    gray = img if img.ndim == 2 else img.mean(axis=2, dtype=np.float32)
    hat = cv2.morphologyEx(cv2.GaussianBlur(gray, (3, 3), 0), cv2.MORPH_TOPHAT, square)
    around = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
    # What has no label may be a target.
    hat[cv2.dilate((labels != 0).astype(np.uint8), around) > 0] = 0
    peaks = np.argwhere((hat == cv2.dilate(hat, square)) & (hat > 0))
    peaks = peaks[np.argsort(-hat[tuple(peaks.T)], kind="stable")[:SPECKS]]
    return np.stack([peaks, peaks + 1], 1)
