"""Masks made inside the model, on the device of the images."""

from .batch import InformationMasker, RandomMasker, RandomPairMasker, UniformMasker
from .cmss import CMSSMasking

__all__ = [
    "CMSSMasking",
    "InformationMasker",
    "RandomMasker",
    "RandomPairMasker",
    "UniformMasker",
]
