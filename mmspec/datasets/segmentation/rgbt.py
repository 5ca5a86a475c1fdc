"""Data sets of road and rescue scenes with aligned infrared and visible images."""

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from mmcv.transforms import LoadImageFromFile

from mmspec.datasets.files import Fault, find_images, index_by_name
from mmspec.datasets.transforms.loading import LoadInfraredImageFromFile
from mmspec.registry import DATASETS

from .base import InfraredSegDataset

_MFNET_PALETTE = [
    [0, 0, 0], [64, 0, 128], [64, 64, 0], [0, 128, 192], [0, 0, 192], [128, 128, 0],
    [64, 64, 128], [192, 128, 128], [192, 64, 0],
]  # fmt: skip
_MVSEG_PALETTE = [
    [0, 0, 0], [0, 0, 142], [0, 60, 100], [0, 0, 230], [119, 11, 32], [255, 0, 0], [0, 139, 139],
    [255, 165, 150], [192, 64, 0], [211, 211, 211], [100, 33, 128], [117, 79, 86],
    [153, 153, 153], [190, 122, 222], [250, 170, 30], [220, 220, 0], [222, 142, 35],
    [205, 155, 155], [70, 130, 180], [128, 64, 128], [244, 35, 232], [0, 0, 70], [107, 142, 35],
    [152, 251, 152], [70, 70, 70], [110, 80, 100],
]  # fmt: skip


@DATASETS.register_module()
class MSRSDataset(InfraredSegDataset):
    """MSRS: 1,083 training and 361 test pairs of road scenes by day and night, 480 x 640.

    The layout of its repository (Tang et al., Information Fusion 2022)::

        data_root/{train,test}/ir/00001D.png
        data_root/{train,test}/vi/00001D.png
        data_root/{train,test}/Segmentation_labels/00001D.png   class numbers 0 to 8

    Only the folders of the chosen modality have to be there. Other names: ``data_prefix``.
    InfMAE (Table 1) trains and tests on the infrared images and counts background in its means.
    """

    METAINFO: ClassVar = dict(
        classes=(
            "Background", "Car", "Person", "Bike", "Curve", "Car Stop", "Guardrail", "Color Cone",
            "Bump",
        ),
        palette=_MFNET_PALETTE,
    )  # fmt: skip
    LAYOUT: ClassVar = dict(
        infrared_path="{split}/ir",
        visible_path="{split}/vi",
        seg_map_path="{split}/Segmentation_labels",
    )


@DATASETS.register_module()
class MFNetDataset(InfraredSegDataset):
    """MFNet: 1,569 pairs of road scenes by day and night, 480 x 640 (Ha et al., IROS 2017).

    The layout of its archive::

        data_root/images/00001D.png   red, green, blue and infrared as the fourth channel
        data_root/labels/00001D.png   class numbers 0 to 8
        data_root/{train,val,test,...}.txt

    ``train.txt`` also names a mirror image ``..._flip`` of each, which a script of the archive
    makes. They are left out, whether they were made or not: flip in the pipeline.

    Infrared must be loaded by ``LoadRGBTImageFromFile``, which knows of the fourth channel. For
    copies with separate folders give ``data_prefix=dict(infrared_path=..., visible_path=...,
    seg_map_path=...)``.
    """

    METAINFO: ClassVar = dict(
        classes=(
            "unlabeled", "car", "person", "bike", "curve", "car_stop", "guardrail", "color_cone",
            "bump",
        ),
        palette=_MFNET_PALETTE,
    )  # fmt: skip
    LAYOUT: ClassVar = dict(infrared_path="images", visible_path="images", seg_map_path="labels")
    SPLIT_LIST = "{split}.txt"

    @property
    def _infrared_in_alpha(self) -> bool:
        return self.data_prefix["infrared_path"] == self.data_prefix["visible_path"]

    def _names(
        self, found: Mapping[str, Mapping[str, str]], listed: list[str] | None
    ) -> Iterable[str]:
        names = list(super()._names(found, listed))
        originals = [name for name in names if not name.endswith("_flip")]
        if len(originals) < len(names):
            self._log(
                f"{len(names) - len(originals):,} mirror images (..._flip) are left out,"
                f" {len(originals):,} images remain; mirror by RandomFlip"
            )
        return originals

    def _sample(self, paths: Mapping[str, str]) -> dict:
        return super()._sample(paths) | dict(infrared_in_alpha=self._infrared_in_alpha)

    def _misreads(self, step: Callable) -> bool:
        plain = isinstance(step, (LoadImageFromFile, LoadInfraredImageFromFile))
        in_alpha = self.modality == "infrared" and self._infrared_in_alpha
        return super()._misreads(step) or (in_alpha and plain)


@DATASETS.register_module()
class FMBDataset(InfraredSegDataset):
    """FMB: 1,220 training and 280 test pairs of road scenes, 600 x 800 (Liu et al., ICCV 2023).

    The layout of its archive::

        data_root/{train,test}/Infrared/00001.png
        data_root/{train,test}/Visible/00001.png
        data_root/{train,test}/Label/00001.png      class numbers 0 to 14

    The archive's folder ``color`` holds pictures of the labels, not labels. The palette is that of
    M-SpecGene's release.
    """

    METAINFO: ClassVar = dict(
        classes=(
            "Background", "Road", "Sidewalk", "Building", "Traffic Light", "Traffic Sign",
            "Vegetation", "Sky", "Person", "Car", "Truck", "Bus", "Motorcycle", "Bicycle", "Pole",
        ),
        palette=_MVSEG_PALETTE[:15],
    )  # fmt: skip
    LAYOUT: ClassVar = dict(
        infrared_path="{split}/Infrared",
        visible_path="{split}/Visible",
        seg_map_path="{split}/Label",
    )


@DATASETS.register_module()
class SemanticRTDataset(InfraredSegDataset):
    """SemanticRT: 11,371 pairs of street scenes (Ji et al., ACM Multimedia 2023).

    The layout of its archive::

        data_root/thermal/NAME.jpg
        data_root/rgb/NAME.jpg
        data_root/labels/NAME.png     class numbers 0 to 12
        data_root/{train,val,test,test_day,test_night,...}.txt   one NAME a line

    The palette is that of M-SpecGene's release.
    """

    METAINFO: ClassVar = dict(
        classes=(
            "Background", "Car_Stop", "Bike", "Bicyclist", "Motorcycle", "Motorcyclist", "Car",
            "Tricycle", "Traffic_light", "Box", "Pole", "Curve", "Person",
        ),
        palette=_MVSEG_PALETTE[:13],
    )  # fmt: skip
    LAYOUT: ClassVar = dict(infrared_path="thermal", visible_path="rgb", seg_map_path="labels")
    SPLIT_LIST = "{split}.txt"


@DATASETS.register_module()
class MVSEGDataset(InfraredSegDataset):
    """MVSeg: 3,545 labelled frames of 738 aligned videos (Ji et al., CVPR 2023), 320 x 480.

    The layout of its archive::

        data_root/data/VIDEO/infrared/00001i.png    or .jpg
        data_root/data/VIDEO/visible/00001v.png     or .jpg
        data_root/data/VIDEO/label/00001l.png       class numbers 0 to 25
        data_root/{train,val,test,...}.txt          one VIDEO a line

    Few frames of a video have a label, and those alone are samples; a label without its frame is an
    error. In ``data_prefix`` '{video}' stands for the video's name; folders without it hold all
    frames, and the list, if there is one, then names frames.
    """

    METAINFO: ClassVar = dict(
        classes=(
            "Background", "Car", "Bus", "Motorcycle", "Bicycle", "Pedestrian", "Motorcyclist",
            "Bicyclist", "Cart", "Bench", "Umbrella", "Box", "Pole", "Street_lamp",
            "Traffic_light", "Traffic_sign", "Car_stop", "Color_cone", "Sky", "Road", "Sidewalk",
            "Curb", "Vegetation", "Terrain", "Building", "Ground",
        ),
        palette=_MVSEG_PALETTE,
    )  # fmt: skip
    LAYOUT: ClassVar = dict(
        infrared_path="data/{video}/infrared",
        visible_path="data/{video}/visible",
        seg_map_path="data/{video}/label",
    )
    SPLIT_LIST = "{split}.txt"
    _LETTERS: ClassVar = dict(infrared_path="i", visible_path="v", seg_map_path="l")

    def _index(self, role: str, listed: list[str] | None) -> tuple[dict[str, str], list[Fault]]:
        if not self._listed_by_video:
            return super()._index(role, listed)
        index, faults = {}, []
        for video in listed or ():
            folder = self.data_prefix[role].replace("{video}", video)
            try:
                files, clashes = index_by_name(folder, find_images(folder))
            except FileNotFoundError as error:
                faults.append(Fault(f"{self.ann_file}: {video}", str(error)))
                continue
            faults += clashes
            letter = self._LETTERS[role]
            index |= {f"{video}/{name.removesuffix(letter)}": path for name, path in files.items()}
        return index, faults

    def _names(
        self, found: Mapping[str, Mapping[str, str]], listed: list[str] | None
    ) -> Iterable[str]:
        return found["label"] if self._listed_by_video else super()._names(found, listed)

    @property
    def _listed_by_video(self) -> bool:
        return "{video}" in self.data_prefix["seg_map_path"]


@DATASETS.register_module()
class PST900Dataset(InfraredSegDataset):
    """PST900: 597 training and 288 test pairs of underground scenes, 720 x 1280.

    The layout of its archive (Shivakumar et al., ICRA 2020)::

        data_root/{train,test}/thermal/NAME.png       8 bits, the camera's gain control
        data_root/{train,test}/thermal_raw/NAME.png   16 bits: data_prefix=dict(infrared_path=...)
        data_root/{train,test}/rgb/NAME.png
        data_root/{train,test}/labels/NAME.png        class numbers 0 to 4
    """

    METAINFO: ClassVar = dict(
        classes=("background", "fire-extinguisher", "backpack", "hand-drill", "survivor"),
        palette=[[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]],
    )
    LAYOUT: ClassVar = dict(
        infrared_path="{split}/thermal",
        visible_path="{split}/rgb",
        seg_map_path="{split}/labels",
    )
