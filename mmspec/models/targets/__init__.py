"""What the decoder of masked pre-training is to predict of each patch: parts of the head."""

from .base import Target
from .gradients import HOGTarget, LogRatioTarget
from .pixels import PixelTarget
from .teachers import MovingAverageTarget, TeacherTarget

__all__ = [
    "HOGTarget",
    "LogRatioTarget",
    "MovingAverageTarget",
    "PixelTarget",
    "Target",
    "TeacherTarget",
]
