"""Targets, losses, and heads of matching and of mmseg's kind."""

from mmspec.optional import IMPORT_ERRORS, stand_ins
from mmspec.registry import MODELS

from .matching import MatchingHead
from .reconstruction import ReconstructionHead

__all__ = ["LinearHead", "MatchingHead", "ReconstructionHead", "SmallTargetHead"]

try:
    import mmseg.models  # noqa: F401
except IMPORT_ERRORS as error:
    globals().update(stand_ins(MODELS, ["LinearHead", "SmallTargetHead"], "mmseg", error))
else:
    from .linear import LinearHead
    from .small_target import SmallTargetHead
