"""Which images of an infrared / visible pair a data set gives, and which steps load them."""

import os
from collections.abc import Callable, Iterable

from mmcv.transforms import LoadImageFromFile
from PIL import Image

from .transforms.loading import LoadInfraredImageFromFile

MODALITIES = {
    "infrared": ("infrared_path",),
    "visible": ("visible_path",),
    "both": ("infrared_path", "visible_path"),
}


def misreads(step: Callable, modality: str) -> bool:
    """Whether a loading step would take another image than the modality asks for."""
    if modality == "both":
        return isinstance(step, (LoadImageFromFile, LoadInfraredImageFromFile))
    return modality == "visible" and isinstance(step, LoadInfraredImageFromFile)


def check_depth(steps: Iterable[Callable], path: str, name: str) -> None:
    """Raises ValueError if mmcv's loader would read an image of more than 8 bits.

    It keeps the upper 8 bits, of which most infrared images use none.

    Args:
        steps: of the pipeline.
        path: an image of the data set.
        name: of the data set, for the message.
    """
    if not any(isinstance(step, LoadImageFromFile) for step in steps):
        return
    if not os.path.isfile(path):  # on a server: left to the loader
        return
    with Image.open(path) as image:
        mode = image.mode
    if mode.startswith(("I", "F")):
        raise ValueError(
            f"{name}: LoadImageFromFile in the pipeline would keep the upper 8 bits of {path}"
            f" (mode {mode}); use dict(type='mmspec.LoadInfraredImageFromFile', channels=3)"
        )
