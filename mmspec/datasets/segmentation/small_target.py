"""Data sets of infrared small targets: a mask of some pixels, on few or none of the images."""

from typing import ClassVar

from mmspec.datasets.files import Fault
from mmspec.registry import DATASETS

from .masks import MaskDataset

MASK_SUFFIX = "_pixels0"


@DATASETS.register_module()
class SmallTargetDataset(MaskDataset):
    """Infrared images with a mask of their small targets; the base of those with a name.

    ::

        data_root/images/NAME.png
        data_root/masks/NAME.png         or NAME_pixels0.png
        data_root/{split}.txt            names, one per line

    The classes are background and target. Masks are gray, all of 0 and 1 or all of 0 to 255: see
    :class:`MaskLevels`; ``label_values`` says otherwise. Images may be gray, colour, with alpha or
    palette: the loading steps look palettes up, ignore alpha and take the luma of colours.
    Infrared is the only modality; for the other arguments and errors see
    :class:`InfraredSegDataset`.
    """

    METAINFO: ClassVar = dict(classes=("background", "target"), palette=[[0, 0, 0], [255, 210, 0]])
    LAYOUT: ClassVar = dict(infrared_path="images", seg_map_path="masks")
    SPLIT_LIST: ClassVar = "{split}.txt"

    def _index(self, role: str, listed: list[str] | None) -> tuple[dict[str, str], list[Fault]]:
        index, clashes = super()._index(role, listed)
        if role != "seg_map_path":
            return index, clashes
        masks: dict[str, str] = {}
        for name, path in index.items():
            image = name.removesuffix(MASK_SUFFIX)
            if image in masks:
                clashes.append(Fault(path, f"a second mask of {image}, beside {masks[image]}"))
            else:
                masks[image] = path
        return masks, clashes


@DATASETS.register_module()
class IRSTD1kDataset(SmallTargetDataset):
    """IRSTD-1k: 1,001 images of 512 x 512 (Zhang et al., ISNet, CVPR 2022).

    ::

        data_root/IRSTD1k_Img/XDU0.png
        data_root/IRSTD1k_Label/XDU0.png
        data_root/{trainval,test}.txt            800 and 201 names
    """

    LAYOUT: ClassVar = dict(infrared_path="IRSTD1k_Img", seg_map_path="IRSTD1k_Label")


@DATASETS.register_module()
class SIRSTDataset(SmallTargetDataset):
    """SIRST, later called v1: 427 images (Dai et al., ACM, WACV 2021), as its authors publish it.

    ::

        data_root/images/Misc_1.png
        data_root/masks/Misc_1_pixels0.png
        data_root/idx_427/{train,val,trainval,test}.txt      trainval 341, test 86
    """

    SPLIT_LIST: ClassVar = "idx_427/{split}.txt"


@DATASETS.register_module()
class NUAASIRSTDataset(SmallTargetDataset):
    """NUAA-SIRST: the images of SIRST in the halves that most papers report on (DNANet, TIP 2023).

    ::

        data_root/images/Misc_1.png
        data_root/masks/Misc_1.png                           or Misc_1_pixels0.png
        data_root/50_50/{train,test}.txt                     213 and 214 names

    Copies with other lists: ``ann_file='img_idx/{split}_NUAA-SIRST.txt'`` (BasicIRSTD). Results on
    these halves and on the authors' own split (:class:`SIRSTDataset`) do not compare.
    """

    SPLIT_LIST: ClassVar = "50_50/{split}.txt"


@DATASETS.register_module()
class NUDTSIRSTDataset(SmallTargetDataset):
    """NUDT-SIRST: 1,327 composed images of 256 x 256 (Li et al., DNANet, TIP 2023).

    ::

        data_root/images/000001.png
        data_root/masks/000001.png
        data_root/50_50/{train,test}.txt                     663 and 664 names

    Copies with other lists: ``ann_file='img_idx/{split}_NUDT-SIRST.txt'`` (BasicIRSTD).
    """

    SPLIT_LIST: ClassVar = "50_50/{split}.txt"


@DATASETS.register_module()
class SIRSTv2Dataset(SmallTargetDataset):
    """SIRST-v2: 1,024 images of 96 to 1,918 pixels (Dai et al., OSCAR, TGRS 2023).

    ::

        data_root/mixed/NAME.png                             gray, colour, with alpha or palette
        data_root/annotations/masks/NAME_pixels0.png
        data_root/splits/{train,val,trainval,test}_full.txt  512, 256, 768 and 256 names

    The lists without the images that show background alone, and hence no target, are
    ``ann_file='splits/{split}_v1fullv2target.txt'``.
    """

    LAYOUT: ClassVar = dict(infrared_path="mixed", seg_map_path="annotations/masks")
    SPLIT_LIST: ClassVar = "splits/{split}_full.txt"
