"""Masks made inside the model, on the device of the images."""

from .cmss import CMSSMasking
from .pairs import RandomPairMasker
from .single import InformationMasker, RandomMasker, UniformMasker

__all__ = [
    "CMSSMasking",
    "InformationMasker",
    "RandomMasker",
    "RandomPairMasker",
    "UniformMasker",
]
