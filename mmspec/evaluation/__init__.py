"""Metrics. Importing this module fills ``mmspec.registry.METRICS``."""

from .reconstruction import ReconstructionMetric
from .segmentation import SegmentationMetric

__all__ = ["ReconstructionMetric", "SegmentationMetric"]
