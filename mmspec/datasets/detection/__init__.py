"""Data sets for object detection, read by mmdet.

They derive from mmdet's ``BaseDetDataset``. mmspec does without mmdet where it is not needed, so
where it is missing, or refuses the installed mmcv, stand-ins are registered that say so when a
config asks for one of the data sets.
"""

from mmspec.optional import IMPORT_ERRORS, stand_ins
from mmspec.registry import DATASETS

__all__ = [
    "FLIRDataset",
    "HITUAVDataset",
    "InfraredDetDataset",
    "KAISTDataset",
    "LLVIPDataset",
    "M3FDDataset",
    "MSRSDetDataset",
]

try:
    import mmdet.datasets  # noqa: F401
except IMPORT_ERRORS as error:
    globals().update(stand_ins(DATASETS, __all__, "mmdet", error))
else:
    from .aerial import HITUAVDataset
    from .base import InfraredDetDataset
    from .road import FLIRDataset, KAISTDataset, LLVIPDataset, M3FDDataset, MSRSDetDataset
