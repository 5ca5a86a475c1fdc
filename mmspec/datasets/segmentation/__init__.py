"""Data sets for semantic segmentation, read by mmseg.

They derive from mmseg's ``BaseSegDataset``. mmspec does without mmseg where it is not needed, so
where it is missing, or refuses the installed mmcv, stand-ins are registered that say so when a
config asks for one of the data sets.
"""

from mmspec.optional import IMPORT_ERRORS, stand_ins
from mmspec.registry import DATASETS

__all__ = [
    "EyeDataset",
    "FMBDataset",
    "IRSTD1kDataset",
    "InfraredSegDataset",
    "MFNetDataset",
    "MSRSDataset",
    "MVSEGDataset",
    "NUAASIRSTDataset",
    "NUDTSIRSTDataset",
    "PST900Dataset",
    "SIRSTDataset",
    "SIRSTv2Dataset",
    "SaliencyDataset",
    "SemanticRTDataset",
    "SmallTargetDataset",
    "UdderDataset",
    "VIRGBT1500Dataset",
    "VT821Dataset",
    "VT1000Dataset",
    "VT5000Dataset",
]

try:
    import mmseg.datasets  # noqa: F401
except IMPORT_ERRORS as error:
    globals().update(stand_ins(DATASETS, __all__, "mmseg", error))
else:
    from .base import InfraredSegDataset
    from .infrared import EyeDataset, UdderDataset
    from .rgbt import (
        FMBDataset,
        MFNetDataset,
        MSRSDataset,
        MVSEGDataset,
        PST900Dataset,
        SemanticRTDataset,
    )
    from .saliency import (
        SaliencyDataset,
        VIRGBT1500Dataset,
        VT821Dataset,
        VT1000Dataset,
        VT5000Dataset,
    )
    from .small_target import (
        IRSTD1kDataset,
        NUAASIRSTDataset,
        NUDTSIRSTDataset,
        SIRSTDataset,
        SIRSTv2Dataset,
        SmallTargetDataset,
    )
