"""Metrics. Importing this module fills ``mmspec.registry.METRICS``."""

from .detection import DetectionMetric
from .reconstruction import ReconstructionMetric
from .segmentation import SegmentationMetric

__all__ = ["DetectionMetric", "ReconstructionMetric", "SegmentationMetric"]
