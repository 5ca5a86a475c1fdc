"""Normalisation of pairs, each modality by its own statistics."""

from .downstream import RGBTDetDataPreprocessor, RGBTSegDataPreprocessor
from .pretraining import RGBTDataPreprocessor

__all__ = ["RGBTDataPreprocessor", "RGBTDetDataPreprocessor", "RGBTSegDataPreprocessor"]
