"""What a thermal camera does to a scene and writes into a file. Knows NumPy and OpenCV alone."""

from .image import ThermalFileError, ThermalImage
from .read import read_thermal

__all__ = ["ThermalFileError", "ThermalImage", "read_thermal"]
