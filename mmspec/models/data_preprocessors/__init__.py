"""Normalisation, of pairs each modality by its own statistics; views made on the device."""

from .infrared import InfraredDataPreprocessor
from .rgbt import RGBTDataPreprocessor, RGBTDetDataPreprocessor, RGBTSegDataPreprocessor

__all__ = [
    "InfraredDataPreprocessor",
    "RGBTDataPreprocessor",
    "RGBTDetDataPreprocessor",
    "RGBTSegDataPreprocessor",
]
