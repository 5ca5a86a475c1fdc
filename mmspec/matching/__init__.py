"""Matching points between an infrared and a visible image, by the features of an encoder."""

from .dense import Matches, estimate_homography, match_features, mutual_nearest
from .edges import Agreement, agreement, align_by_edges, corner_places
from .features import MatchingEncoder
from .views import random_homography

__all__ = [
    "Agreement",
    "Matches",
    "MatchingEncoder",
    "agreement",
    "align_by_edges",
    "corner_places",
    "estimate_homography",
    "match_features",
    "mutual_nearest",
    "random_homography",
]
