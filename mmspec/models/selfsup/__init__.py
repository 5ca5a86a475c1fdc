"""Pre-training algorithms."""

from .infmae import InfMAE, Reconstruction
from .mspecgene import MSpecGene, PairReconstruction

__all__ = ["InfMAE", "MSpecGene", "PairReconstruction", "Reconstruction"]
