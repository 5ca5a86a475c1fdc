"""Normalisation of pairs, each modality by its own statistics."""

from .rgbt import RGBTDataPreprocessor, RGBTDetDataPreprocessor, RGBTSegDataPreprocessor

__all__ = ["RGBTDataPreprocessor", "RGBTDetDataPreprocessor", "RGBTSegDataPreprocessor"]
