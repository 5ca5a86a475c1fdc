"""What the detection data sets of mmspec have in common."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from mmdet.datasets import BaseDetDataset
from mmdet.datasets.transforms import LoadAnnotations
from mmengine.fileio import join_path

from mmspec.datasets.annotated import AnnotatedMixin, check_options
from mmspec.datasets.files import Fault, named
from mmspec.datasets.modality import MODALITY_PATHS
from mmspec.registry import DATASETS

from .coco_json import AnnotatedImage, AnnotationError, Box, Findings, load_json, read_coco

_NO_CLASS = (160, 160, 160)  # of a category chosen as a class that is none by default


@DATASETS.register_module()
class InfraredDetDataset(AnnotatedMixin, BaseDetDataset):
    """Infrared images, visible ones or aligned pairs, with boxes from a COCO file.

    Any data set by config alone, and the base of those with a name::

        dict(
            type='mmspec.InfraredDetDataset',
            data_root='data/mine',
            split='train',                            # annotations/train.json
            data_prefix=dict(img='images'),           # where its file names lie
            metainfo=dict(classes=('valve', 'leak')),
            pipeline=...)

    What mmdet's ``CocoDataset`` passes over in silence is an error here or is counted in the log.
    An error, by file and entry: no JSON, no COCO, a class that the file does not have, an unknown
    category or image, a box that is none or of negative size, a mark such as ``iscrowd`` that is
    neither 0 nor 1, an id or image listed twice, a listed image that is absent or, when it is
    loaded, of another size. Counted: boxes clipped to their image; boxes dropped, since they are
    outside, of zero area or less than a pixel wide or high; boxes of other categories;
    images without an object, which are kept unless ``filter_cfg`` leaves them out. Classes are
    found by name, whatever the file's ids and order.

    A sample is ``dict(img_path, infrared_path, visible_path, modality, img_id, height, width,
    ann_file, instances, seg_map_path=None)`` through ``pipeline``, with the paths of the modality;
    ``img_path`` is the infrared image, or else the visible one. An instance is ``dict(bbox=[x1, y1,
    x2, y2], bbox_label, ignore_flag)`` with ``mask`` and ``occlusion`` where the file has them. A
    region in which any class is to be ignored is an instance of every class. Load the image by
    ``LoadRGBTImageFromFile``, or by ``LoadInfraredImageFromFile(color_type="color")`` if only
    infrared is wanted, and the boxes by mmdet's ``LoadAnnotations``.

    Evaluate by ``mmspec.DetectionMetric``, or by ``CocoMetric`` without its ``ann_file``: the truth
    is then what was read here. With ``ann_file`` pycocotools counts an object of annotation id 0 as
    missed, and labels are in the order of the file.

    Args:
        data_root: folder of the data set.
        split: part of the data set, as its annotation files name it.
        modality: 'infrared', 'visible' or 'both'.
        data_prefix: folders under ``data_root`` in which the names of the annotation file lie,
            ``infrared_path`` (or ``img``, as in mmdet's configs) and ``visible_path``. '{split}'
            becomes the split. A ``visible_file_name`` of an image in the annotation file is the
            name of its visible image, if that differs.
        ann_file: COCO file under ``data_root``; that of the class unless given.
        box_masks: every box is a mask of its own shape, so that boxes alone train Mask R-CNN; that
            is how the published numbers on such data sets came about. Masks of the file, if it has
            any, are not used then.
        filter_cfg: of training: ``filter_empty_gt=True`` leaves out images without an object to
            learn, ``min_size`` images with a shorter side below so many pixels.
        backend_args: of mmengine's file backend; images are then not looked for at the start.
        metainfo: ``dict(classes=...)``: of a data set with classes of its own those alone, in that
            order; of ``InfraredDetDataset`` its classes.
        **options: as in ``mmengine.dataset.BaseDataset``: ``pipeline``, ``test_mode``, ``indices``,
            ``lazy_init``, ``serialize_data``, ``max_refetch``.

    Raises:
        FileNotFoundError: No annotation file, or images that it lists are absent.
        AnnotationError: The annotation file cannot be used.
        UnreadableImageError: On loading, a file that cannot be read, or an image of another size
            than the annotation file states.
        ValueError: No classes, an unknown modality or key, or a pipeline that would misread images
            or asks for masks that are not there.
    """

    LAYOUT: ClassVar[dict[str, str]] = dict(infrared_path="", visible_path="")
    ROLES = MODALITY_PATHS["both"]
    ANN_FILE: ClassVar[str] = "annotations/{split}.json"
    IGNORED_CATEGORIES: ClassVar[tuple[str, ...]] = ()
    COCO_KEYS: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        modality: str = "infrared",
        data_prefix: Mapping[str, str] | None = None,
        ann_file: str | None = None,
        *,
        box_masks: bool = False,
        filter_cfg: dict | None = None,
        backend_args: dict | None = None,
        **options,
    ) -> None:
        check_options(self, options)
        for key in filter_cfg or {}:
            self._check_choice("key of filter_cfg", key, ("filter_empty_gt", "min_size"))
        self.box_masks = box_masks
        given = dict(data_prefix or {})
        if "img" in given:
            given.setdefault("infrared_path", given.pop("img"))
        super().__init__(
            data_root,
            split,
            modality,
            given,
            self.ANN_FILE if ann_file is None else ann_file,
            filter_cfg=filter_cfg,
            backend_args=backend_args,
            **options,
        )

    def load_data_list(self) -> list[dict]:
        images, findings = self.read_annotations()
        if findings.faults:
            self._refuse(AnnotationError, "entries cannot be used", findings.faults)
        if not images:
            raise AnnotationError(f"{self.ann_file}: it lists no image")
        self._log_findings(images, findings)
        samples = [self.sample_of(image) for image in images]
        if self.backend_args is None and (absent := self.absent_images(samples)):
            self._refuse(FileNotFoundError, "listed images are absent", absent)
        self._check_masks(samples)
        self._check_depth(samples)
        return samples

    def read_annotations(self) -> tuple[list[AnnotatedImage], Findings]:
        """What the annotation file holds, and what is wrong with its entries.

        Raises:
            FileNotFoundError: There is no such file.
            AnnotationError: It is not a COCO file, or is without one of the classes.
        """
        try:
            raw = load_json(self.ann_file, self.backend_args)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{type(self).__name__}, split {self.split!r}: no annotation file"
                f" {self.ann_file!r}; check data_root, split and ann_file, or write it from the"
                " data set's own labels by tools/dataset_converters/to_coco.py"
            ) from None
        return read_coco(
            raw, self.ann_file, self.metainfo["classes"], self.IGNORED_CATEGORIES, self.COCO_KEYS
        )

    def absent_images(self, samples: Iterable[dict]) -> list[Fault]:
        """Image files of samples that are not there; each folder is listed once."""
        listings: dict[str, set[str]] = {}
        absent = []
        for sample in samples:
            for role in MODALITY_PATHS[self.modality]:
                folder, name = os.path.split(sample[role])
                if folder not in listings:
                    listings[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
                if name not in listings[folder]:
                    reason = f"no such file, listed as image {sample['img_id']} in {self.ann_file}"
                    absent.append(Fault(sample[role], reason))
        return absent

    def sample_of(self, image: AnnotatedImage) -> dict:
        """The sample of an image, before the pipeline."""
        names = dict(infrared_path=image.file_name, visible_path=image.visible_name)
        paths = {
            role: join_path(self.data_prefix[role], names[role])
            for role in MODALITY_PATHS[self.modality]
        }
        if len(set(paths.values())) < len(paths):
            raise AnnotationError(
                f"{self.ann_file}: {image.entry}: {image.file_name} would be both the infrared and"
                " the visible image; it needs a 'visible_file_name', or data_prefix=dict("
                "visible_path=...) another folder"
            )
        return dict(
            **self._images(paths),
            img_id=image.id,
            height=image.height,
            width=image.width,
            ann_file=self.ann_file,
            seg_map_path=None,
            instances=[found for box in image.boxes for found in self._instances(box)],
        )

    def filter_data(self) -> list[dict]:
        if self.test_mode or not self.filter_cfg:
            return self.data_list
        min_size = self.filter_cfg.get("min_size", 0)
        kept = [info for info in self.data_list if min(info["width"], info["height"]) >= min_size]
        if len(kept) < len(self.data_list):
            self._log(f"{len(self.data_list) - len(kept):,} images below min_size={min_size}")
        if self.filter_cfg.get("filter_empty_gt", False):
            learnt = [info for info in kept if any(not i["ignore_flag"] for i in info["instances"])]
            self._log(f"{len(kept) - len(learnt):,} images without an object left out")
            kept = learnt
        if not kept:
            raise ValueError(f"{self.ann_file}: filter_cfg={self.filter_cfg} leaves no image")
        return kept

    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes of the objects of an image, which balance samplers: none of ignored regions."""
        instances = self.get_data_info(idx)["instances"]
        return [one["bbox_label"] for one in instances if not one["ignore_flag"]]

    def _instances(self, box: Box) -> Iterable[dict]:
        x1, y1, x2, y2 = box.xyxy
        mask = [[x1, y1, x2, y1, x2, y2, x1, y2]] if self.box_masks else box.mask
        labels = range(len(self.metainfo["classes"])) if box.label is None else (box.label,)
        for label in labels:
            instance = dict(bbox=[x1, y1, x2, y2], bbox_label=label, ignore_flag=int(box.ignored))
            told = dict(mask=mask, occlusion=box.occlusion)
            yield instance | {key: value for key, value in told.items() if value is not None}

    def _refuse(self, error: type[Exception], what: str, faults: Sequence[Fault]) -> None:
        raise error(
            f"{type(self).__name__} in {self.data_root}, split {self.split!r}:"
            f" {len(faults):,} {what}; tools/dataset_converters/check_dataset.py sums them up; if"
            f" to_coco.py wrote {self.ann_file}, --overwrite writes it anew"
            f"{named(faults)}"
        )

    def _log_findings(self, images: Sequence[AnnotatedImage], findings: Findings) -> None:
        boxes = [box for image in images for box in image.boxes]
        empty = sum(all(box.ignored for box in image.boxes) for image in images)
        self._log(
            f"{len(images):,} images of {self.ann_file}, {empty:,} of them without an object;"
            f" {sum(not box.ignored for box in boxes):,} objects of"
            f" {len(self.metainfo['classes'])} classes,"
            f" {sum(box.ignored for box in boxes):,} boxes to ignore"
        )
        for name, count in findings.left_out.items():
            self._log(f"{count:,} boxes left out: {name!r} is not among the classes")
        for done, found in (("dropped", findings.dropped), ("clipped", findings.clipped)):
            if found:
                first = f"{found[0].path}: {found[0].reason}"
                self._log(f"{len(found):,} boxes {done}, the first is {first}", logging.WARNING)
        if findings.reordered:
            self._log(
                f"{self.ann_file} lists its categories in another order than the classes;"
                " CocoMetric(ann_file=...) would take the file's, leave its ann_file out"
            )

    def _settle_classes(self) -> None:
        chosen = self._metainfo.get("classes")
        if not chosen or isinstance(chosen, str):
            raise ValueError(
                f"{type(self).__name__}: no tuple of classes but {chosen!r}; give"
                " metainfo=dict(classes=('person', ...)), of one class with a comma after it; to a"
                " tool --options \"metainfo.classes=('person', ...)\""
            )
        own = self.METAINFO
        if own.get("classes") and self._metainfo.get("palette") == own.get("palette"):
            colours = dict(zip(own["classes"], own["palette"]))
            self._metainfo["palette"] = [colours.get(name, _NO_CLASS) for name in chosen]

    def _check_masks(self, samples: Iterable[dict]) -> None:
        steps = (step for step in self.pipeline.transforms if isinstance(step, LoadAnnotations))
        if not any(step.with_mask for step in steps):
            return
        for sample in samples:
            if any("mask" not in instance for instance in sample["instances"]):
                raise ValueError(
                    f"{type(self).__name__}: LoadAnnotations(with_mask=True) in the pipeline, but"
                    f" image {sample['img_id']} of {self.ann_file} has boxes without a mask; give"
                    " the data set box_masks=True for masks in the shape of the boxes, or train"
                    " without the mask branch (with_mask=False, roi_head.mask_head=None,"
                    " roi_head.mask_roi_extractor=None)"
                )
