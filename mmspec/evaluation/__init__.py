"""Metrics. Importing this module fills ``mmspec.registry.METRICS``."""

from .detection import DetectionMetric
from .reconstruction import ReconstructionMetric
from .segmentation import SegmentationMetric
from .small_target import SmallTargetMetric

__all__ = ["DetectionMetric", "ReconstructionMetric", "SegmentationMetric", "SmallTargetMetric"]
