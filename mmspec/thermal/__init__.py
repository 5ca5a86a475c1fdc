"""What a thermal camera does to a scene and writes into a file. Knows no data set and no torch."""

from .errors import UnreadableImageError
from .image import ThermalImage
from .read import read_thermal

__all__ = ["ThermalImage", "UnreadableImageError", "read_thermal"]
