"""Metrics. Importing this module fills ``mmspec.registry.METRICS``."""

from .detection import DetectionMetric
from .matching import MatchingMetric
from .miss_rate import MissRateMetric
from .reconstruction import ReconstructionMetric
from .saliency import SaliencyMetric
from .segmentation import SegmentationMetric
from .small_target import SmallTargetMetric

__all__ = [
    "DetectionMetric",
    "MatchingMetric",
    "MissRateMetric",
    "ReconstructionMetric",
    "SaliencyMetric",
    "SegmentationMetric",
    "SmallTargetMetric",
]
