"""Steps of data pipelines. Importing this module fills ``mmspec.registry.TRANSFORMS``."""

from .labels import LabelError, LoadSegmentationLabels
from .loading import LoadInfraredImageFromFile
from .masking import InformationAwareMask, RandomPatchMask
from .pairs import TransformPair
from .photometric import InfraredPhotometric
from .rgbt import LoadRGBTImageFromFile
from .target_crop import TargetCrop

__all__ = [
    "InformationAwareMask",
    "InfraredPhotometric",
    "LabelError",
    "LoadInfraredImageFromFile",
    "LoadRGBTImageFromFile",
    "LoadSegmentationLabels",
    "RandomPatchMask",
    "TargetCrop",
    "TransformPair",
]
