"""What the segmentation data sets of mmspec have in common."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from mmcv.transforms import LoadAnnotations
from mmseg.datasets import BaseSegDataset

from mmspec.datasets.annotated import AnnotatedMixin, check_options
from mmspec.datasets.files import Fault, find_images, index_by_name, named, pair, without_suffix
from mmspec.datasets.label_io import LabelCodes
from mmspec.datasets.modality import MODALITY_PATHS
from mmspec.registry import DATASETS
from mmspec.text_files import each_once, read_names

_ROLES = {
    "infrared_path": "infrared image",
    "visible_path": "visible image",
    "seg_map_path": "label",
}


@DATASETS.register_module()
class InfraredSegDataset(AnnotatedMixin, BaseSegDataset):
    """Infrared images, visible ones or aligned pairs, with a class for every pixel.

    Any data set by config alone, and the base of those with a name. A subclass says where the files
    lie (``LAYOUT``, ``SPLIT_LIST``), what the classes are (``METAINFO``) and which pixel values
    stand for them (``LABEL_VALUES``; 0, 1, 2, ... in their order if it says nothing)::

        dict(
            type='mmspec.InfraredSegDataset',
            data_root='data/mine',                    # images/train/*, labels/train/*
            split='train',
            metainfo=dict(classes=('background', 'leak'), palette=[[0, 0, 0], [255, 80, 0]]),
            label_values={0: 0, 255: 1},
            pipeline=...)

    Files of one scene have the same name in each folder, with any image suffix; folders are
    searched with their subfolders. Every image needs its label and every label its image. Names are
    checked at the start; pixels when a sample is loaded, by ``LoadSegmentationLabels``.

    A sample is ``dict(img_path, infrared_path, visible_path, seg_map_path, modality, label_codes,
    label_map, reduce_zero_label=False, seg_fields=[])`` through ``pipeline``, with the paths that
    the modality has; ``img_path`` is the infrared image, or else the visible one. Load the image by
    ``LoadRGBTImageFromFile``, or by ``LoadInfraredImageFromFile(color_type="color")`` if only
    infrared is wanted, and the label by ``LoadSegmentationLabels``. The background is a class like
    the others and counts in the mean.

    Args:
        data_root: folder of the data set.
        split: part of the data set, as its folders or lists name it.
        modality: 'infrared', 'visible' or 'both'.
        data_prefix: other folders than those of the class, under ``data_root``:
            ``infrared_path``, ``visible_path``, ``seg_map_path``. '{split}' becomes the split.
        ann_file: text file under ``data_root``, one name a line, a suffix may be there or not:
            then only these samples are used. The class's own list if not given.
        label_values: class index of each pixel value of the label files, where they differ from
            those of the class; 255 as index means that such pixels are ignored.
        metainfo: ``dict(classes=...)``: of a data set with classes of its own those alone, in that
            order, and pixels of the others are ignored; of ``InfraredSegDataset`` its classes, with
            a ``palette`` if that should not be drawn by lot.
        **options: as in ``mmengine.dataset.BaseDataset``: ``pipeline``, ``test_mode``, ``indices``,
            ``lazy_init``, ``serialize_data``, ``max_refetch``.

    Raises:
        FileNotFoundError: A folder or list is absent or empty, a list names an absent file, or an
            image or label is without its counterpart. The message names the files.
        ValueError: No classes, an unknown modality or key of ``data_prefix``, or a pipeline that
            would misread images or labels.
    """

    LAYOUT: ClassVar[dict[str, str]] = dict(
        infrared_path="images/{split}", seg_map_path="labels/{split}"
    )
    ROLES = _ROLES
    SPLIT_LIST: ClassVar[str] = ""
    LABEL_VALUES: ClassVar[dict[int, int] | None] = None

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        modality: str = "infrared",
        data_prefix: Mapping[str, str] | None = None,
        ann_file: str | None = None,
        *,
        label_values: Mapping[int, int] | None = None,
        **options,
    ) -> None:
        check_options(self, options)
        # Before mmseg's own constructor, which asserts them of a test without a way out.
        classes = {**(options.get("metainfo") or {}), **self.METAINFO}.get("classes")
        if not classes or isinstance(classes, str):
            raise ValueError(
                f"{type(self).__name__}: no tuple of classes but {classes!r}; give"
                " metainfo=dict(classes=('background', ...)), to a tool --options"
                " \"metainfo.classes=('background', ...)\""
            )
        self._label_values = label_values
        ann_file = self.SPLIT_LIST if ann_file is None else ann_file
        super().__init__(data_root, split, modality, data_prefix, ann_file, **options)

    def _settle_classes(self) -> None:
        self.label_codes = self._codes(self._label_values)

    def load_data_list(self) -> list[dict]:
        samples, faults = self.match_files()
        if faults:
            raise FileNotFoundError(
                f"{type(self).__name__} in {self.data_root}, split {self.split!r}:"
                f" {len(faults):,} names do not match, {len(samples):,} do; files of one scene"
                f" carry one name in every folder{named(faults)}"
            )
        if not samples:
            raise FileNotFoundError(
                f"{type(self).__name__} in {self.data_root}: split {self.split!r} is empty"
            )
        self._check_depth(samples)
        return samples

    def match_files(self) -> tuple[list[dict], list[Fault]]:
        """Complete samples, and the files and names that have no counterpart.

        Raises:
            FileNotFoundError: A folder or list is absent or empty.
        """
        listed = self._listed_names()
        roles = [*MODALITY_PATHS[self.modality], "seg_map_path"]
        found, faults = {}, []
        for role in roles:
            found[_ROLES[role]], clashes = self._index(role, listed)
            faults += clashes
        if listed is not None:

            def files(name: str) -> int:
                return sum(name in index for index in found.values())

            # As it stands first: 'x.png' may mean the image x.png.png.
            names = (max(name, without_suffix(name), key=files) for name in listed)
            listed = each_once(names, self.ann_file)
        matched, unmatched = pair(
            found,
            self._names(found, listed),
            {_ROLES[role]: self.data_prefix[role] for role in roles},
            self.ann_file,
        )
        return [self._sample(paths) for paths in matched], faults + unmatched

    def get_data_info(self, idx: int) -> dict:
        return super().get_data_info(idx) | dict(label_codes=self.label_codes)

    def _index(self, role: str, listed: list[str] | None) -> tuple[dict[str, str], list[Fault]]:
        """Full paths of one role by name; ``listed`` are the names of the split, if it has any."""
        folder = self.data_prefix[role]
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f"{type(self).__name__}, split {self.split!r}: no folder {folder!r}; check"
                f" data_root and split, or name it by data_prefix=dict({role}=...)"
            )
        return index_by_name(folder, find_images(folder))

    def _names(
        self, found: Mapping[str, Mapping[str, str]], listed: list[str] | None
    ) -> Iterable[str]:
        """Names of the samples; without a list all that occur in any folder."""
        return sorted(set().union(*found.values())) if listed is None else listed

    def _listed_names(self) -> list[str] | None:
        """Names in the list of the split, as they stand; None without a list."""
        if not self.ann_file:
            return None
        if not os.path.isfile(self.ann_file):
            raise FileNotFoundError(
                f"no list {self.ann_file!r} of split {self.split!r}: check data_root, split and"
                " ann_file; ann_file='' takes all images of the folders"
            )
        names = read_names(self.ann_file)
        if not names:
            raise FileNotFoundError(f"{self.ann_file}: an empty list, split {self.split!r}")
        return names

    def _sample(self, paths: Mapping[str, str]) -> dict:
        by_role = {role: paths.get(name) for role, name in _ROLES.items()}
        return dict(
            **self._images(by_role),
            seg_map_path=by_role["seg_map_path"],
            label_map=self.label_map,
            reduce_zero_label=False,
            seg_fields=[],
        )

    def _codes(self, label_values: Mapping[int, int] | None) -> LabelCodes:
        classes = self.METAINFO.get("classes") or self.metainfo["classes"]
        values = label_values or self.LABEL_VALUES or {i: i for i in range(len(classes))}
        checked = LabelCodes(tuple(classes), values, self.ignore_index)
        if self.label_map is None:
            return checked
        chosen = self.label_map | {self.ignore_index: self.ignore_index}
        return LabelCodes(
            tuple(self.metainfo["classes"]),
            {value: chosen[index] for value, index in checked.codes.items()},
            self.ignore_index,
        )

    def _check_step(self, step: Callable) -> None:
        if isinstance(step, LoadAnnotations):
            raise ValueError(
                f"{type(self).__name__}: {type(step).__name__} in the pipeline does not check"
                " labels, and takes 255 for 'ignore' whatever the data set means by it; use"
                " dict(type='mmspec.LoadSegmentationLabels')"
            )
        super()._check_step(step)
