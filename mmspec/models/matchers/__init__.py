"""Models that match points between the images of a pair."""

from .pair_matcher import PairMatcher

__all__ = ["PairMatcher"]
