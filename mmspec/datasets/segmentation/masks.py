"""What data sets have in common whose labels are masks: background and one kind of thing."""

from collections.abc import Mapping
from typing import ClassVar

from mmspec.datasets.files import Fault
from mmspec.datasets.label_io import LabelCodes, MaskLevels

from .base import InfraredSegDataset


class MaskDataset(InfraredSegDataset):
    """Images with a mask in gray, of 0 and 1 or of 0 to 255: see :class:`MaskLevels`.

    Which of them is settled once for all masks, by the first that exceeds 1. ``label_values`` says
    otherwise; the two classes belong together.
    """

    #: Whether an archive holds masks in JPEG files.
    JPEG_MASKS: ClassVar[bool] = False

    def match_files(self) -> tuple[list[dict], list[Fault]]:
        samples, faults = super().match_files()
        if isinstance(self.label_codes, MaskLevels):
            self.label_codes.settle(sample["seg_map_path"] for sample in samples)
        return samples, faults

    def _codes(self, label_values: Mapping[int, int] | None) -> LabelCodes:
        if self.label_map is not None:
            raise ValueError(
                f"{type(self).__name__}: classes {self.metainfo['classes']};"
                f" {' and '.join(self.METAINFO['classes'])} belong together, in this order"
            )
        if label_values is not None:
            return super()._codes(label_values)
        return MaskLevels(tuple(self.metainfo["classes"]), self.ignore_index, self.JPEG_MASKS)
