"""Models. Importing this module fills ``mmspec.registry.MODELS``."""

from .backbones import ConvViT, MaskedSwin, MaskedViT
from .cmss_masking import CMSSMasking
from .heads import ReconstructionHead
from .losses import SLSLoss, SoftIoULoss
from .maskers import InformationMasker, RandomMasker, UniformMasker
from .necks import DualModalityDecoder, InfMAEDecoder, SimpleFPN
from .pair_maskers import RandomPairMasker
from .rgbt_preprocessor import RGBTDataPreprocessor
from .selfsup import InfMAE, MSpecGene, PairReconstruction, Reconstruction

__all__ = [
    "CMSSMasking",
    "ConvViT",
    "DualModalityDecoder",
    "InfMAE",
    "InfMAEDecoder",
    "InformationMasker",
    "MSpecGene",
    "MaskedSwin",
    "MaskedViT",
    "PairReconstruction",
    "RGBTDataPreprocessor",
    "RandomMasker",
    "RandomPairMasker",
    "Reconstruction",
    "ReconstructionHead",
    "SLSLoss",
    "SimpleFPN",
    "SoftIoULoss",
    "UniformMasker",
]
