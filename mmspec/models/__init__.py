"""Models. Importing this module fills ``mmspec.registry.MODELS``."""

from .assigner import IgnoringAssigner
from .backbones import ConvViT, MaskedSwin, MaskedViT, RGBTBackbone
from .cmss_masking import CMSSMasking
from .heads import MatchingHead, ReconstructionHead, SmallTargetHead
from .losses import DualSoftmaxLoss, SLSLoss, SoftIoULoss, WeightedCrossEntropyLoss
from .maskers import InformationMasker, RandomMasker, UniformMasker
from .matcher import PairMatcher
from .necks import DualModalityDecoder, InfMAEDecoder, SimpleFPN
from .pair_maskers import RandomPairMasker
from .rgbt_downstream import RGBTDetDataPreprocessor, RGBTSegDataPreprocessor
from .rgbt_preprocessor import RGBTDataPreprocessor
from .selfsup import InfMAE, MSpecGene, PairReconstruction, Reconstruction

__all__ = [
    "CMSSMasking",
    "ConvViT",
    "DualModalityDecoder",
    "DualSoftmaxLoss",
    "IgnoringAssigner",
    "InfMAE",
    "InfMAEDecoder",
    "InformationMasker",
    "MSpecGene",
    "MaskedSwin",
    "MaskedViT",
    "MatchingHead",
    "PairMatcher",
    "PairReconstruction",
    "RGBTBackbone",
    "RGBTDataPreprocessor",
    "RGBTDetDataPreprocessor",
    "RGBTSegDataPreprocessor",
    "RandomMasker",
    "RandomPairMasker",
    "Reconstruction",
    "ReconstructionHead",
    "SLSLoss",
    "SimpleFPN",
    "SmallTargetHead",
    "SoftIoULoss",
    "UniformMasker",
    "WeightedCrossEntropyLoss",
]
