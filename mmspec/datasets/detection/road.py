"""Data sets of roads and streets with aligned infrared and visible images."""

from collections.abc import Mapping
from typing import ClassVar

from mmspec.registry import DATASETS

from .base import InfraredDetDataset

# Tuples: mmdet draws no colours that are lists.
_PERSON, _CAR, _BICYCLE = (255, 80, 60), (0, 200, 255), (255, 210, 0)


@DATASETS.register_module()
class M3FDDataset(InfraredDetDataset):
    """M3FD: 4,200 pairs of road and campus scenes, 768 x 1024 (Liu et al., CVPR 2022).

    Classes in the order of InfMAE's table 2, which uses the infrared images. Neither M3FD nor
    InfMAE states a split; ``tools/dataset_converters/to_coco.py`` draws one by a seed.
    """

    METAINFO: ClassVar = dict(
        classes=("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck"),
        palette=[_PERSON, _CAR, (90, 230, 90), _BICYCLE, (255, 140, 220), (190, 90, 255)],
    )


@DATASETS.register_module()
class FLIRDataset(InfraredDetDataset):
    """FLIR aligned: 4,129 training and 1,013 validation pairs, 512 x 640 (Zhang et al., ICIP 2020).

    The aligned part of FLIR ADAS 1.3. Splits ``train`` and ``val``. Its few dogs are no class.
    """

    METAINFO: ClassVar = dict(
        classes=("person", "bicycle", "car"), palette=[_PERSON, _BICYCLE, _CAR]
    )


@DATASETS.register_module()
class LLVIPDataset(InfraredDetDataset):
    """LLVIP: 12,025 training and 3,463 test pairs of streets at night, 1024 x 1280 (Jia, 2021)."""

    METAINFO: ClassVar = dict(classes=("person",), palette=[_PERSON])


@DATASETS.register_module()
class KAISTDataset(InfraredDetDataset):
    """KAIST: pairs of streets by day and night, 512 x 640 (Hwang et al., CVPR 2015).

    Labels 'people', 'cyclist' and 'person?' are no class: the converter writes them as boxes to
    ignore, as KAIST's own evaluation treats them. Of a test ``metainfo`` names the annotation file
    under ``without_occlusion`` if a person in it has none: :class:`MissRateMetric` needs it.
    """

    METAINFO: ClassVar = dict(classes=("person",), palette=[_PERSON])

    def load_data_list(self) -> list[dict]:
        samples = super().load_data_list()
        people = (one for sample in samples for one in sample["instances"])
        if self.test_mode and any("occlusion" not in p and not p["ignore_flag"] for p in people):
            self._metainfo["without_occlusion"] = self.ann_file
        return samples


@DATASETS.register_module()
class MSRSDetDataset(InfraredDetDataset):
    """MSRS with boxes: 1,083 training and 361 test pairs of roads by day and night, 480 x 640.

    The images of MSRS beside the boxes of MSRS-detection-label, as COCO files::

        data_root/MSRS/{train,test}/{ir,vi}/00001D.png
        data_root/annotations/{infrared,visible,fusion}_{train,test}.json

    Three sets of boxes exist, and they differ: what is seen in the infrared image, in the visible
    one, and in a fusion of both.

    Args:
        labels: 'infrared', 'visible' or 'fusion'; as the modality unless given, fusion for both.
        data_root, split, modality, data_prefix, ann_file and the rest: as in
            :class:`InfraredDetDataset`; ``{labels}`` in ``ann_file`` becomes the labels.
    """

    METAINFO: ClassVar = dict(
        classes=("person", "bicycle", "car"), palette=[_PERSON, _BICYCLE, _CAR]
    )
    LAYOUT: ClassVar = dict(infrared_path="MSRS/{split}/ir", visible_path="MSRS/{split}/vi")
    ANN_FILE = "annotations/{labels}_{split}.json"

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        modality: str = "infrared",
        data_prefix: Mapping[str, str] | None = None,
        ann_file: str | None = None,
        *,
        labels: str | None = None,
        **kwargs,
    ) -> None:
        self.labels = labels or ("fusion" if modality == "both" else modality)
        self._check_choice("labels", self.labels, ("infrared", "visible", "fusion"))
        ann_file = self.ANN_FILE if ann_file is None else ann_file
        ann_file = ann_file.replace("{labels}", self.labels)
        super().__init__(data_root, split, modality, data_prefix, ann_file, **kwargs)
