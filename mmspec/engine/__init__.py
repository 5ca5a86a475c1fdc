"""Hooks and what else concerns the course of a run. Importing this module fills ``HOOKS``."""

from .cmss import CMSSScheduleHook
from .cmss_pictures import CMSSVisualizationHook
from .detection import DetectionPictureHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .matching import MatchingPictureHook
from .monitoring import ProgressBarHook, StopOnInvalidLossHook, ThroughputHook
from .repeatable import RepeatableEpochsHook
from .saliency import SaliencyPictureHook
from .segmentation import SegmentationOverlayHook
from .small_target import SmallTargetPictureHook
from .visualization import ReconstructionVisualizationHook

__all__ = [
    "CMSSScheduleHook",
    "CMSSVisualizationHook",
    "DetectionPictureHook",
    "LayerDecayOptimWrapperConstructor",
    "MatchingPictureHook",
    "ProgressBarHook",
    "ReconstructionVisualizationHook",
    "RepeatableEpochsHook",
    "SaliencyPictureHook",
    "SegmentationOverlayHook",
    "SmallTargetPictureHook",
    "StopOnInvalidLossHook",
    "ThroughputHook",
]
