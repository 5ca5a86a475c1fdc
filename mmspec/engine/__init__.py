"""Hooks and what else concerns the course of a run. Importing this module fills ``HOOKS``."""

from .monitoring import ProgressBarHook, StopOnInvalidLossHook, ThroughputHook
from .repeatable import RepeatableEpochsHook
from .visualization import ReconstructionVisualizationHook

__all__ = [
    "ProgressBarHook",
    "ReconstructionVisualizationHook",
    "RepeatableEpochsHook",
    "StopOnInvalidLossHook",
    "ThroughputHook",
]
