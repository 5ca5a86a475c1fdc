"""Is an encoder any good? Its frozen features, judged by methods that train little or nothing.

Read in this order: ``images`` (what is probed), ``encoders`` (what makes features of them),
``features`` (computed once, kept on disk), ``neighbours``, ``linear`` and ``attentive`` (the
judges), ``segmentation``, ``classification``, ``small_targets`` and ``matching`` (a task each),
``tasks`` (a probe as a whole), ``scores`` and ``report``.
"""

from .encoders import FrozenEncoder, ProbeError
from .images import ClassifiedImages, LabelledImages
from .linear import LinearProbe
from .neighbours import NearestNeighbours
from .segmentation import probe_maps
from .tasks import probe

__all__ = [
    "ClassifiedImages",
    "FrozenEncoder",
    "LabelledImages",
    "LinearProbe",
    "NearestNeighbours",
    "ProbeError",
    "probe",
    "probe_maps",
]
