"""Data sets for object detection, read by mmdet.

They derive from mmdet's ``BaseDetDataset``. mmspec does without mmdet where it is not needed, so
where it is missing, or refuses the installed mmcv, stand-ins are registered that say so when a
config asks for one of the data sets.
"""

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


def _stand_in(name: str, error: Exception):
    def ask_for_mmdet(*args, **kwargs):
        raise ImportError(
            f"mmspec.{name} needs mmdet, which cannot be imported ({error}). Install it from the"
            " family of the other mm packages: pip install onedl-mmdetection, or pip install mmdet"
        ) from error

    return ask_for_mmdet


try:
    import mmdet.datasets  # noqa: F401
except (ImportError, AssertionError) as error:  # mmdet asserts the version of mmcv
    for _name in __all__:
        globals()[_name] = DATASETS.register_module(_name, module=_stand_in(_name, error))
else:
    from .aerial import HITUAVDataset
    from .base import InfraredDetDataset
    from .road import FLIRDataset, KAISTDataset, LLVIPDataset, M3FDDataset, MSRSDetDataset
