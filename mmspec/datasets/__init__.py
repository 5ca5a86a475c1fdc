"""Data sets. Importing this module fills ``mmspec.registry.DATASETS``."""

from . import segmentation, transforms
from .image_io import UnreadableImageError, read_infrared
from .infrared_folder import InfraredFolder
from .synthetic import SyntheticInfrared

__all__ = [
    "InfraredFolder",
    "SyntheticInfrared",
    "UnreadableImageError",
    "read_infrared",
    "segmentation",
    "transforms",
]
