"""Labelled images of the package's data sets, as a probe takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mmspec.conventions import IGNORE_INDEX
from mmspec.registry import DATASETS

_LOAD_IMAGE = dict(type="mmspec.LoadInfraredImageFromFile")


class LabelledImages:
    """Gray images of one size with a class for every pixel.

    Boxes of a detection data set are coarse masks: the classes of the data set behind a class
    ``background``, the smaller box above the larger, regions to ignore ignored.

    Args:
        dataset: name of a segmentation or detection data set of mmspec, ``'EyeDataset'``.
        data_root: its folder.
        split: its part.
        size: height and width in pixels to which images (by area where they shrink) and labels
            (nearest) are brought.
        num_images: at most so many, evenly spaced; None: all.
        **options: of the data set, ``data_prefix`` say.

    Attributes:
        classes: their names, in the order of the label's values.

    Raises:
        ValueError: a data set without labels, of pairs, or of one class.
    """

    def __init__(
        self,
        dataset: str,
        data_root: str,
        split: str,
        size: int = 224,
        num_images: int | None = None,
        **options,
    ) -> None:
        self.size, self.split = size, split
        self.options = [f"{name}={value}" for name, value in sorted(options.items())]
        kind = DATASETS.get(f"mmspec.{dataset.removeprefix('mmspec.')}")
        if kind is None:
            raise ValueError(f"no data set {dataset!r} in mmspec; docs/data.md lists them")
        self.by_boxes = hasattr(kind, "COCO_KEYS")
        if not self.by_boxes and not hasattr(kind, "LABEL_VALUES"):
            raise ValueError(
                f"{dataset} has no labels of pixels and no boxes: nothing to probe with"
            )
        steps = [_LOAD_IMAGE]
        if not self.by_boxes:
            steps.append(dict(type="mmspec.LoadSegmentationLabels"))
        self.dataset = DATASETS.build(
            dict(
                type=kind,
                data_root=data_root,
                split=split,
                pipeline=steps,
                test_mode=True,
                **options,
            )
        )
        count = min(num_images or len(self.dataset), len(self.dataset))
        self.indices = np.linspace(0, len(self.dataset) - 1, count).round().astype(int).tolist()
        classes = tuple(self.dataset.metainfo["classes"])
        self.classes = ("background", *classes) if self.by_boxes else classes
        if len(self.classes) < 2:
            raise ValueError(f"{dataset}: one class ({', '.join(classes)}), nothing to tell apart")

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def key(self) -> str:
        """Of the images and labels, their times of change, the size and the data set's options."""
        infos = [self.dataset.get_data_info(i) for i in self.indices]
        names = [one[key] for one in infos for key in ("img_path", "seg_map_path") if key in one]
        files = [(name, Path(name).stat().st_mtime_ns) for name in names if Path(name).is_file()]
        boxes = [one.get("instances") for one in infos]
        kind = type(self.dataset).__name__
        text = repr((kind, self.size, self.options, names, files, boxes))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        return map(self.sample, range(len(self)))

    def sample(self, number: int) -> tuple[str, np.ndarray, np.ndarray]:
        """Name, image (size, size) uint8 or float32, and label (size, size) uint8."""
        sample = self.dataset[self.indices[number]]
        image, label = sample["img"], sample.get("gt_seg_map")
        if self.by_boxes:
            label = self._boxes(sample["instances"], image.shape[:2])
        size = (self.size, self.size)
        way = cv2.INTER_AREA if min(image.shape[:2]) >= self.size else cv2.INTER_LINEAR
        return (
            sample["img_path"],
            cv2.resize(image, size, interpolation=way),
            cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT),
        )

    @staticmethod
    def _boxes(instances: list[dict], shape: tuple[int, int]) -> np.ndarray:
        label = np.zeros(shape, np.uint8)
        boxes = [(np.array(one["bbox"]).round().clip(0).astype(int), one) for one in instances]
        for (x1, y1, x2, y2), one in sorted(
            boxes, key=lambda box: -np.prod(box[0][2:] - box[0][:2])
        ):
            value = IGNORE_INDEX if one["ignore_flag"] else one["bbox_label"] + 1
            label[y1:y2, x1:x2] = value
        return label
