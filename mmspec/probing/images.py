"""Labelled images of data sets, as a probe takes them."""

import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mmengine.dataset import BaseDataset

from mmspec.conventions import IGNORE_INDEX
from mmspec.datasets.files import IMAGE_SUFFIXES
from mmspec.datasets.repeatable import evenly_spaced
from mmspec.datasets.segmentation import MFNetDataset
from mmspec.registry import DATASETS, TRANSFORMS

from .encoders import ProbeError

LOAD_IMAGE = dict(type="mmspec.LoadInfraredImageFromFile")
LOAD_LABELS = dict(type="mmspec.LoadSegmentationLabels")


class ProbedImages:
    """Gray images of one size with a label; the base of pixels' and of images' classes.

    Attributes:
        classes: their names, in the order of the label's values.
        label_shape, label_dtype: of a label as an array.
        finest: pixels of the smallest cell that is kept of a map.
    """

    label_dtype: type = np.uint8
    finest = 8

    def __init__(
        self,
        dataset: BaseDataset,
        split: str,
        size: int,
        num_images: int | None,
        options: dict,
        indices: list[int] | None = None,
    ) -> None:
        self.dataset, self.split, self.size = dataset, split, size
        self.options = [f"{name}={value}" for name, value in sorted(options.items())]
        indices = list(range(len(dataset))) if indices is None else indices
        self.indices = evenly_spaced(indices, num_images)
        self.classes = tuple(dataset.metainfo["classes"])
        self.label_shape: tuple[int, ...] = (size, size)

    def _check_classes(self) -> None:
        if len(self.classes) < 2:
            raise ProbeError(
                f"{type(self.dataset).__name__} in {self.dataset.data_root}: one class"
                f" ({', '.join(self.classes)}), nothing to tell apart"
            )

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def key(self) -> str:
        """Of the images and labels, their times of change, the size and the data set's options."""
        infos = [self.dataset.get_data_info(i) for i in self.indices]
        names = [one[key] for one in infos for key in ("img_path", "seg_map_path") if one.get(key)]
        files = [(name, Path(name).stat().st_mtime_ns) for name in names if Path(name).is_file()]
        labels = [one.get("instances", one.get("gt_label")) for one in infos]
        kind = type(self.dataset).__name__
        text = repr((kind, self.size, self.finest, self.options, names, files, labels))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        return map(self.sample, range(len(self)))

    def sample(self, number: int) -> tuple[str, np.ndarray, np.ndarray]:
        """Name, image (size, size) uint8 or float32, and label."""
        sample = self.dataset[self.indices[number]]
        image = sample["img"] if sample["img"].ndim == 2 else sample["img"][..., 0]
        way = cv2.INTER_AREA if min(image.shape[:2]) >= self.size else cv2.INTER_LINEAR
        image = cv2.resize(image, (self.size, self.size), interpolation=way)
        return sample["img_path"], image, self._label(sample)

    def _label(self, sample: dict) -> np.ndarray:
        raise NotImplementedError


class LabelledImages(ProbedImages):
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

    Raises:
        ProbeError: a data set without labels, of one class, or that cannot be built so.
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
        kind = data_set_class(dataset)
        self.by_boxes = hasattr(kind, "COCO_KEYS")
        if not self.by_boxes and not hasattr(kind, "LABEL_VALUES"):
            raise ProbeError(
                f"{dataset} has no labels of pixels and no boxes: nothing to probe with"
            )
        load = dict(type="mmspec.LoadRGBTImageFromFile")  # infrared may be a fourth channel
        load = load if issubclass(kind, MFNetDataset) else LOAD_IMAGE
        steps = [load] if self.by_boxes else [load, LOAD_LABELS]
        built = built_to_probe(kind, steps, data_root=data_root, split=split, **options)
        super().__init__(built, split, size, num_images, options)
        if self.by_boxes:
            self.classes = ("background", *self.classes)
        self._check_classes()

    def _label(self, sample: dict) -> np.ndarray:
        label = sample.get("gt_seg_map")
        if self.by_boxes:
            label = self._boxes(sample["instances"], sample["img"].shape[:2])
        size = (self.size, self.size)
        return cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT)

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


class ClassifiedImages(ProbedImages):
    """Gray images of one size, each of one class: folders that are called as the classes.

    ``data_root/SPLIT/CLASS/...`` where there is a folder of the split. Else
    ``data_root/CLASS/...``: of the names of each class in their order the first half is
    ``'train'``, the second any other split, so that frames of one recording lie on one side.

    Args:
        dataset: 'CustomDataset', mmpretrain's.
        data_root: its folder.
        split: its part.
        size: height and width in pixels to which images are brought.
        num_images: at most so many, evenly spaced; None: all.
        **options: of the data set.

    Raises:
        ProbeError: another data set, no folder of a class, or one class.
    """

    label_dtype = np.int32
    finest = 16

    def __init__(
        self,
        dataset: str,
        data_root: str,
        split: str,
        size: int = 224,
        num_images: int | None = None,
        **options,
    ) -> None:
        if dataset.removeprefix("mmpretrain.") != "CustomDataset":
            raise ProbeError(
                f"{dataset} has no class for each image: give 'CustomDataset' and a folder with a"
                " folder of images for each class"
            )
        from mmpretrain.datasets import CustomDataset

        parted = (Path(data_root) / split).is_dir()
        load = dict(LOAD_IMAGE, infrared_scale=options.get("infrared_scale"))
        passed_on = dict(extensions=IMAGE_SUFFIXES) | options
        passed_on.pop("infrared_scale", None)
        try:
            built = CustomDataset(
                data_root=data_root,
                data_prefix=split if parted else "",
                pipeline=[TRANSFORMS.build(load)],
                test_mode=True,
                **passed_on,
            )
        except (RuntimeError, FileNotFoundError, AssertionError) as error:
            raise ProbeError(f"{data_root}: no folder of images for each class ({error})") from None
        labels = [built.get_data_info(i).get("gt_label") for i in range(len(built))]
        if None in labels:
            raise ProbeError(f"{data_root}: images without a label")
        indices = None
        if not parted:
            indices = []
            for value in sorted(set(labels)):
                of_class = [i for i, label in enumerate(labels) if label == value]
                half = (len(of_class) + 1) // 2
                indices += of_class[:half] if split == "train" else of_class[half:]
        super().__init__(built, split, size, num_images, options, indices)
        self.label_shape = ()
        self._check_classes()

    def _label(self, sample: dict) -> np.ndarray:
        return np.int32(sample["gt_label"])


def built_to_probe(kind: type, steps: list[dict], **options) -> BaseDataset:
    """A data set of some steps, without draws.

    Raises:
        ProbeError: the options are not those of the data set.
    """
    try:
        return DATASETS.build(dict(type=kind, pipeline=steps, test_mode=True, **options))
    except (TypeError, ValueError) as error:
        raise ProbeError(str(error)) from error


def data_set_class(dataset: str) -> type:
    """A data set class of mmspec by its name, with or without the scope."""
    kind = DATASETS.get(f"mmspec.{dataset.removeprefix('mmspec.')}")
    if kind is None:
        near = difflib.get_close_matches(dataset, DATASETS.module_dict, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ProbeError(f"no data set {dataset!r} in mmspec; {hint}docs/data.md lists them")
    return kind
