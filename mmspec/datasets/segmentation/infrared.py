"""Data sets of infrared images without visible ones."""

from typing import ClassVar

from mmspec.registry import DATASETS

from .base import InfraredSegDataset


@DATASETS.register_module()
class UdderDataset(InfraredSegDataset):
    """Udders of buffaloes in long-wave infrared, 480 x 640 (buffalo-udder-thermal-segmentation).

    ::

        data_root/images/{train,test}/NAME.png
        data_root/masks/{train,test}/NAME.png    0 is background, 255 is udder

    255 means udder here, not 'ignore'. For masks of 0 and 1 give ``label_values={0: 0, 1: 1}``.
    """

    METAINFO: ClassVar = dict(classes=("background", "udder"), palette=[[0, 0, 0], [0, 200, 255]])
    LAYOUT: ClassVar = dict(infrared_path="images/{split}", seg_map_path="masks/{split}")
    LABEL_VALUES: ClassVar = {0: 0, 255: 1}


@DATASETS.register_module()
class EyeDataset(InfraredSegDataset):
    """Eyes in near infrared, 200 x 200 (itmo-cv-lab/eye-tracking-dataset), split by subject.

    ::

        data_root/images/{train,test}/NAME.png
        data_root/labels/{train,test}/NAME.png   0 background, 1 iris, 2 pupil

    The original has one 0 / 255 mask for the iris and one for the pupil; they were put together.
    """

    METAINFO: ClassVar = dict(
        classes=("background", "iris", "pupil"),
        palette=[[0, 0, 0], [0, 160, 255], [255, 200, 0]],
    )
