"""Matching points between a thermal and a visible image, by any encoder or by SIFT."""

from .dense import Matches, match_features, mutual_nearest
from .features import MatchingEncoder
from .homography import estimate_homography
from .pairs import MatchingPair, registration_pairs, roadscene_pairs
from .sift import match_sift
from .views import random_homography

__all__ = [
    "Matches",
    "MatchingEncoder",
    "MatchingPair",
    "estimate_homography",
    "match_features",
    "match_sift",
    "mutual_nearest",
    "random_homography",
    "registration_pairs",
    "roadscene_pairs",
]
