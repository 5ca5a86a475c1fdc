"""Matching points between a thermal and a visible image, by any encoder or by SIFT."""

from .dense import Matches, match_features, mutual_nearest
from .features import MatchingEncoder
from .pairs import MatchingPair, random_homography, registration_pairs, roadscene_pairs
from .sift import match_sift

__all__ = [
    "Matches",
    "MatchingEncoder",
    "MatchingPair",
    "match_features",
    "match_sift",
    "mutual_nearest",
    "random_homography",
    "registration_pairs",
    "roadscene_pairs",
]
