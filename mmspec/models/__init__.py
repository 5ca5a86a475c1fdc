"""Models. Importing this module fills ``mmspec.registry.MODELS``."""

from .backbones import ConvViT, MaskedViT
from .heads import ReconstructionHead
from .maskers import InformationMasker, RandomMasker
from .necks import InfMAEDecoder
from .selfsup import InfMAE, Reconstruction

__all__ = [
    "ConvViT",
    "InfMAE",
    "InfMAEDecoder",
    "InformationMasker",
    "MaskedViT",
    "RandomMasker",
    "Reconstruction",
    "ReconstructionHead",
]
