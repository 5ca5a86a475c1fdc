"""Hooks and what else concerns the course of a run. Importing this module fills ``HOOKS``."""

from .detection import DetectionPictureHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .monitoring import ProgressBarHook, StopOnInvalidLossHook, ThroughputHook
from .repeatable import RepeatableEpochsHook
from .segmentation import SegmentationOverlayHook
from .visualization import ReconstructionVisualizationHook

__all__ = [
    "DetectionPictureHook",
    "LayerDecayOptimWrapperConstructor",
    "ProgressBarHook",
    "ReconstructionVisualizationHook",
    "RepeatableEpochsHook",
    "SegmentationOverlayHook",
    "StopOnInvalidLossHook",
    "ThroughputHook",
]
