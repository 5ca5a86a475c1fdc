"""Hooks and what else concerns the course of a run. Importing this module fills ``HOOKS``."""

from .checkpoints import DurableCheckpointHook
from .cmss import CMSSScheduleHook
from .cmss_pictures import CMSSVisualizationHook
from .detection import DetectionPictureHook
from .head_classes import HeadClassesHook
from .inherited import InheritedValuesHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .matching import MatchingPictureHook
from .monitoring import ProgressBarHook, StopOnInvalidLossHook, ThroughputHook
from .repeatable import RepeatableDrawsHook, RepeatableEpochsHook
from .resume import ResumeHook
from .saliency import SaliencyPictureHook
from .schedule import ScheduleHook
from .segmentation import SegmentationOverlayHook
from .small_target import SmallTargetPictureHook
from .visualization import ReconstructionVisualizationHook

__all__ = [
    "CMSSScheduleHook",
    "CMSSVisualizationHook",
    "DetectionPictureHook",
    "DurableCheckpointHook",
    "HeadClassesHook",
    "InheritedValuesHook",
    "LayerDecayOptimWrapperConstructor",
    "MatchingPictureHook",
    "ProgressBarHook",
    "ReconstructionVisualizationHook",
    "RepeatableDrawsHook",
    "RepeatableEpochsHook",
    "ResumeHook",
    "SaliencyPictureHook",
    "ScheduleHook",
    "SegmentationOverlayHook",
    "SmallTargetPictureHook",
    "StopOnInvalidLossHook",
    "ThroughputHook",
]
