"""Matching points between an infrared and a visible image, by the features of an encoder."""

from .dense import Matches, estimate_homography, match_features, mutual_nearest
from .features import MatchingEncoder
from .views import random_homography

__all__ = [
    "Matches",
    "MatchingEncoder",
    "estimate_homography",
    "match_features",
    "mutual_nearest",
    "random_homography",
]
