"""Hooks and what else concerns the course of a run. Importing this module fills ``HOOKS``."""

from .cmss import CMSSScheduleHook
from .detection import DetectionPictureHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .monitoring import ProgressBarHook, StopOnInvalidLossHook, ThroughputHook
from .repeatable import RepeatableEpochsHook
from .segmentation import SegmentationOverlayHook
from .small_target import SmallTargetPictureHook
from .visualization import ReconstructionVisualizationHook

__all__ = [
    "CMSSScheduleHook",
    "DetectionPictureHook",
    "LayerDecayOptimWrapperConstructor",
    "ProgressBarHook",
    "ReconstructionVisualizationHook",
    "RepeatableEpochsHook",
    "SegmentationOverlayHook",
    "SmallTargetPictureHook",
    "StopOnInvalidLossHook",
    "ThroughputHook",
]
