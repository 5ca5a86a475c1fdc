"""Data sets. Importing this module fills ``mmspec.registry.DATASETS``."""

from . import detection, segmentation, transforms
from .image_io import UnreadableImageError, read_infrared
from .infrared_folder import InfraredFolder
from .matching import RoadSceneMatchingDataset
from .packed import PackedInfrared, PackedRGBT
from .rgbt_folder import RGBTFolder
from .synthetic import SyntheticInfrared

__all__ = [
    "InfraredFolder",
    "PackedInfrared",
    "PackedRGBT",
    "RGBTFolder",
    "RoadSceneMatchingDataset",
    "SyntheticInfrared",
    "UnreadableImageError",
    "detection",
    "read_infrared",
    "segmentation",
    "transforms",
]
