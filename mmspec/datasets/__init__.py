"""Data sets. Importing this module fills ``mmspec.registry.DATASETS``."""

from . import transforms
from .image_io import UnreadableImageError, read_infrared
from .infrared_folder import InfraredFolder

__all__ = ["InfraredFolder", "UnreadableImageError", "read_infrared", "transforms"]
