"""Models. Importing this module fills ``mmspec.registry.MODELS``."""

from .backbones import ConvViT, MaskedSwin, MaskedViT
from .heads import ReconstructionHead
from .maskers import InformationMasker, RandomMasker, UniformMasker
from .necks import InfMAEDecoder
from .selfsup import InfMAE, Reconstruction

__all__ = [
    "ConvViT",
    "InfMAE",
    "InfMAEDecoder",
    "InformationMasker",
    "MaskedSwin",
    "MaskedViT",
    "RandomMasker",
    "Reconstruction",
    "ReconstructionHead",
    "UniformMasker",
]
