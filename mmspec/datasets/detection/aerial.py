"""Data sets seen from the air."""

from typing import ClassVar

from mmspec.registry import DATASETS

from .base import InfraredDetDataset


@DATASETS.register_module()
class HITUAVDataset(InfraredDetDataset):
    """HIT-UAV: 2,898 long-wave infrared images from a drone, 512 x 640 (Suo et al., 2023).

    The layout of its repository, read as it is::

        data_root/normal_json/{train,val,test}/NAME.jpg
        data_root/normal_json/annotations/{train,val,test}.json

    That JSON is almost COCO: boxes are under ``annotation``, names under ``filename``, ids begin at
    0. COCO's own keys are understood as well: ``ann_file='coco_std/annotations/{split}.json'``.
    Its polygons are the boxes, so masks are there without ``box_masks``.

    The category DontCare marks objects that nobody could name: no class but regions to ignore, for
    every class. In the evaluation a detection there counts neither way; in the loss too with
    ``mmspec.IgnoringAssigner`` in place of mmdet's ``MaxIoUAssigner``, which ignores nothing by
    default. To have it as a fifth class name all five in ``metainfo=dict(classes=...)``.
    """

    METAINFO: ClassVar = dict(
        classes=("Person", "Car", "Bicycle", "OtherVehicle"),
        palette=[(255, 80, 60), (0, 200, 255), (255, 210, 0), (190, 90, 255)],
    )
    LAYOUT: ClassVar = dict(infrared_path="normal_json/{split}")
    ANN_FILE = "normal_json/annotations/{split}.json"
    IGNORED_CATEGORIES = ("DontCare",)
    COCO_KEYS: ClassVar = dict(annotations="annotation", file_name="filename")
