"""Masks made inside the model, on the device of the images."""

from .cmss import CMSSMasking
from .pairs import RandomPairMasker
from .single import InformationMasker, UniformMasker, mask_of_samples

__all__ = [
    "CMSSMasking",
    "InformationMasker",
    "RandomPairMasker",
    "UniformMasker",
    "mask_of_samples",
]
