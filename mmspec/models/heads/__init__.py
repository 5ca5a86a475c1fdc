"""Targets and losses."""

from .reconstruction import ReconstructionHead
from .small_target import SmallTargetHead

__all__ = ["ReconstructionHead", "SmallTargetHead"]
