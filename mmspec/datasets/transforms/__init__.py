"""Steps of data pipelines. Importing this module fills ``mmspec.registry.TRANSFORMS``."""

from .loading import LoadInfraredImageFromFile
from .masking import InformationAwareMask, RandomPatchMask

__all__ = ["InformationAwareMask", "LoadInfraredImageFromFile", "RandomPatchMask"]
