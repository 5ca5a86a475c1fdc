"""Data sets for semantic segmentation, read by mmseg.

They derive from mmseg's ``BaseSegDataset``. mmspec does without mmseg where it is not needed, so
where it is missing, or refuses the installed mmcv, stand-ins are registered that say so when a
config asks for one of the data sets.
"""

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
    "SemanticRTDataset",
    "SmallTargetDataset",
    "UdderDataset",
]


def _stand_in(name: str, error: Exception):
    def ask_for_mmseg(*args, **kwargs):
        raise ImportError(
            f"mmspec.{name} needs mmseg, which cannot be imported ({error}). Install it from the"
            " family of the other mm packages: pip install onedl-mmsegmentation, or pip install"
            " mmsegmentation"
        ) from error

    return ask_for_mmseg


try:
    import mmseg.datasets  # noqa: F401
except (ImportError, AssertionError) as error:  # mmseg asserts the version of mmcv
    for _name in __all__:
        globals()[_name] = DATASETS.register_module(_name, module=_stand_in(_name, error))
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
    from .small_target import (
        IRSTD1kDataset,
        NUAASIRSTDataset,
        NUDTSIRSTDataset,
        SIRSTDataset,
        SIRSTv2Dataset,
        SmallTargetDataset,
    )
