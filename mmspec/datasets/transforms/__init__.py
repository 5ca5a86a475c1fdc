"""Steps of data pipelines. Importing this module fills ``mmspec.registry.TRANSFORMS``.

Their draws come from NumPy's global generator, as in mmseg's transforms; masks' from torch's.
"""

from .imperfect_pairs import DropModality, MisalignPair
from .labels import LoadSegmentationLabels
from .loading import LoadInfraredImageFromFile
from .masking import InformationAwareMask, RandomPatchMask
from .packing import PackImage
from .pairs import RGBTPhotometric, TransformPair
from .photometric import InfraredPhotometric, VisiblePhotometric
from .random_view import RandomView
from .rgbt import LoadRGBTImageFromFile
from .segmentation_crop import SegmentationCrop
from .sensor import InfraredSensor
from .slivers import ClipBoxes
from .target_crop import TargetCrop
from .views import CropViews, ScaleToWidth, ViewInfrared

__all__ = [
    "ClipBoxes",
    "CropViews",
    "DropModality",
    "InformationAwareMask",
    "InfraredPhotometric",
    "InfraredSensor",
    "LoadInfraredImageFromFile",
    "LoadRGBTImageFromFile",
    "LoadSegmentationLabels",
    "MisalignPair",
    "PackImage",
    "RGBTPhotometric",
    "RandomPatchMask",
    "RandomView",
    "ScaleToWidth",
    "SegmentationCrop",
    "TargetCrop",
    "TransformPair",
    "ViewInfrared",
    "VisiblePhotometric",
]
