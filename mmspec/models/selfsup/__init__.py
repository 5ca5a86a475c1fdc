"""Pre-training algorithms."""

from .infmae import InfMAE, Reconstruction

__all__ = ["InfMAE", "Reconstruction"]
