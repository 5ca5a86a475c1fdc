"""Hooks, launching and resuming. Importing this module fills ``HOOKS``."""

from .checkpoints import DurableCheckpointHook, ResumeHook
from .cmss import CMSSScheduleHook, CMSSVisualizationHook
from .compilation import CompileHook, compile_parts
from .deferred_log import DeferredLogHook
from .head_classes import HeadClassesHook
from .inheritance import InheritedValuesHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .monitoring import ProgressBarHook, StopOnInvalidLossHook, ThroughputHook
from .muon import Muon, MuonOptimWrapperConstructor
from .pictures import (
    DetectionPictureHook,
    MatchingPictureHook,
    SaliencyPictureHook,
    SegmentationOverlayHook,
    SmallTargetPictureHook,
)
from .precision import AdamW, AmpOptimWrapper, Bfloat16OptimWrapper, TF32Hook
from .probing import ProbeHook
from .reconstructions import ReconstructionVisualizationHook
from .repeatable import RepeatableDrawsHook
from .schedule import ScheduleHook

__all__ = [
    "AdamW",
    "AmpOptimWrapper",
    "Bfloat16OptimWrapper",
    "CMSSScheduleHook",
    "CMSSVisualizationHook",
    "CompileHook",
    "DeferredLogHook",
    "DetectionPictureHook",
    "DurableCheckpointHook",
    "HeadClassesHook",
    "InheritedValuesHook",
    "LayerDecayOptimWrapperConstructor",
    "MatchingPictureHook",
    "Muon",
    "MuonOptimWrapperConstructor",
    "ProbeHook",
    "ProgressBarHook",
    "ReconstructionVisualizationHook",
    "RepeatableDrawsHook",
    "ResumeHook",
    "SaliencyPictureHook",
    "ScheduleHook",
    "SegmentationOverlayHook",
    "SmallTargetPictureHook",
    "StopOnInvalidLossHook",
    "TF32Hook",
    "ThroughputHook",
    "compile_parts",
]
