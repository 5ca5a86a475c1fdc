"""Is an encoder any good? Its frozen features, judged by methods that train little or nothing.

Read in this order: ``images`` (what is probed), ``encoders`` (what makes features of them),
``features`` (computed once, kept on disk), ``neighbours`` and ``linear`` (the two judges),
``segmentation`` (a probe as a whole).
"""

from .encoders import FrozenEncoder, ProbeError
from .images import LabelledImages
from .linear import LinearProbe
from .neighbours import NearestNeighbours
from .segmentation import probe, probe_maps

__all__ = [
    "FrozenEncoder",
    "LabelledImages",
    "LinearProbe",
    "NearestNeighbours",
    "ProbeError",
    "probe",
    "probe_maps",
]
