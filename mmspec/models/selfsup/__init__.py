"""Pre-training algorithms."""

from .base import Reconstruction
from .infmae import InfMAE
from .mspecgene import MSpecGene, PairReconstruction

__all__ = ["InfMAE", "MSpecGene", "PairReconstruction", "Reconstruction"]
