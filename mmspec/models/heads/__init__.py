"""Targets, losses, and heads of mmseg's kind."""

from mmspec.optional import IMPORT_ERRORS, stand_ins
from mmspec.registry import MODELS

from .reconstruction import ReconstructionHead

__all__ = ["ReconstructionHead", "SmallTargetHead"]

try:
    import mmseg.models  # noqa: F401
except IMPORT_ERRORS as error:
    globals().update(stand_ins(MODELS, ["SmallTargetHead"], "mmseg", error))
else:
    from .small_target import SmallTargetHead
