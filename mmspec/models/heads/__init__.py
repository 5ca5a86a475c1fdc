"""Targets and losses."""

from .reconstruction import ReconstructionHead

__all__ = ["ReconstructionHead"]
