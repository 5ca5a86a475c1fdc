"""Data sets of salient object detection in aligned infrared and visible images."""

from collections.abc import Mapping
from typing import ClassVar

from mmspec.registry import DATASETS

from .masks import MaskDataset


@DATASETS.register_module()
class SaliencyDataset(MaskDataset):
    """Aligned pairs with a mask of what catches the eye; the base of those with a name.

    ::

        data_root/T/NAME.*         infrared
        data_root/RGB/NAME.*       visible
        data_root/GT/NAME.*        mask, 0 to 255

    Suffixes may differ from folder to folder. Masks are gray with soft edges: from 128 on a pixel
    is salient, half of the range, as where the field scores (see :class:`MaskLevels`). JPEG masks
    are taken, since two of the archives hold them. Infrared images in colour become gray as
    ``palette`` of ``infrared_scale`` says.

    A sample carries ``dataset_name``, by which :class:`~mmspec.evaluation.SaliencyMetric` scores
    several data sets of one test apart; it is the class's name of the data set, and absent for
    ``SaliencyDataset`` itself. For arguments and errors see :class:`InfraredSegDataset`.
    """

    METAINFO: ClassVar = dict(classes=("background", "salient"), palette=[[0, 0, 0], [255, 210, 0]])
    LAYOUT: ClassVar = dict(infrared_path="T", visible_path="RGB", seg_map_path="GT")
    JPEG_MASKS = True
    NAME: ClassVar[str] = ""

    def _sample(self, paths: Mapping[str, str]) -> dict:
        sample = super()._sample(paths)
        return sample | dict(dataset_name=self.NAME) if self.NAME else sample


@DATASETS.register_module()
class VT5000Dataset(SaliencyDataset):
    """VT5000: 2,500 training and 2,500 test pairs (Tu et al., IEEE TMM 2022, arXiv 2007.03262).

    The layout of its archive; the splits are called as the folders::

        data_root/{Train,Test}/T/NAME.jpg
        data_root/{Train,Test}/RGB/NAME.jpg
        data_root/{Train,Test}/GT/NAME.png
    """

    LAYOUT: ClassVar = dict(
        infrared_path="{split}/T", visible_path="{split}/RGB", seg_map_path="{split}/GT"
    )
    NAME = "VT5000"


@DATASETS.register_module()
class VT1000Dataset(SaliencyDataset):
    """VT1000: 1,000 pairs, all to test on (Tu et al., IEEE TMM 2020, arXiv 1905.06741).

    The layout of its archive, which has no splits (``split`` changes nothing)::

        data_root/T/NAME.bmp           .jpg in some copies
        data_root/RGB/NAME.jpg
        data_root/GT/NAME.jpg          .png in some copies
    """

    NAME = "VT1000"


@DATASETS.register_module()
class VT821Dataset(SaliencyDataset):
    """VT821: 821 pairs, all to test on (Wang et al., IGTA 2018; Li et al., arXiv 1701.02829).

    The layout of its archive, which has no splits (``split`` changes nothing)::

        data_root/T/NAME.jpg           'thermal' in some copies: data_prefix=dict(infrared_path=...)
        data_root/RGB/NAME.jpg
        data_root/GT/NAME.jpg          .png in some copies
    """

    NAME = "VT821"


@DATASETS.register_module()
class VIRGBT1500Dataset(SaliencyDataset):
    """VI-RGBT1500: 1,500 pairs under changing light, all to test on (Song et al., TCSVT 2023).

    The layout of its archive, which has no splits (``split`` changes nothing)::

        data_root/T/NAME.*
        data_root/RGB/NAME.*
        data_root/GT/NAME.*
    """

    NAME = "VI-RGBT1500"
