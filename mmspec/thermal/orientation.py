"""Which way up an image is, by the tag of EXIF, XMP or TIFF."""

import re

import numpy as np
import tifffile
from PIL import ExifTags, Image

_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
# Undo each value of the orientation tag (TIFF 6.0, section "Orientation"); others mean nothing.
_UPRIGHT = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}
ON_ITS_SIDE = (5, 6, 7, 8)


def orientation_of(image: Image.Image) -> int:
    """Value of the orientation tag of an image other than TIFF, by EXIF or XMP; 1 without."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata do not make the pixels unusable
        return 1


def orientation_of_page(page: tifffile.TiffPage) -> int:
    orientation = page.tags.valueof("Orientation")
    if orientation is None and (found := _XMP_ORIENTATION.search(page.tags.valueof("XMP", b""))):
        return int(found[1])
    return int(orientation or 1)


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    return _UPRIGHT.get(orientation, np.asarray)(pixels)
