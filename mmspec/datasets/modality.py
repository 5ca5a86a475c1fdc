"""Which images of an infrared / visible pair a data set gives, and which steps load them."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log
from PIL import Image

from mmspec.conventions import MODALITIES
from mmspec.thermal.scaling import Scaling

from .transforms.loading import LoadInfraredImageFromFile

#: What a sample names for each choice of images.
MODALITY_PATHS = {
    **{name: (f"{name}_path",) for name in MODALITIES},
    "both": tuple(f"{name}_path" for name in MODALITIES),
}
_HEADERS = 64  # that are read of a data set, about 0.1 ms each


def misreads(step: Callable, modality: str) -> bool:
    """Tell whether a loading step would take another image than the modality asks for."""
    if modality == "both":
        return isinstance(step, (LoadImageFromFile, LoadInfraredImageFromFile))
    return modality == "visible" and isinstance(step, LoadInfraredImageFromFile)


def sample_of(paths: Sequence[str]) -> dict[str, str]:
    """What a sample without labels names: an infrared image, or it and the visible one."""
    if len(paths) == 1:
        return dict(img_path=paths[0])
    return dict(img_path=paths[0], **dict(zip(MODALITY_PATHS["both"], paths)), modality="both")


def settle_scale(steps: Iterable[Callable], infrared_scale: Mapping | None) -> dict[str, dict]:
    """Give a data set's setting to its loading steps; what they have, for its ``metainfo``.

    Without such a step it is the setting itself: mmengine's ``ConcatDataset`` takes sets of equal
    ``metainfo`` alone.
    """
    loaders = [step for step in steps if hasattr(step, "scaling")]
    for loader in loaders if infrared_scale is not None else ():
        loader.scaling = Scaling(**infrared_scale)
    scaling = loaders[0].scaling if loaders else Scaling(**(infrared_scale or {}))
    return dict(infrared_scale=scaling.setting())


def settle_trained_scale(
    steps: Iterable[Callable], of_config: Mapping | None, of_training: Mapping | None, source: str
) -> None:
    """:func:`settle_scale` as in the training, by the checkpoint ``source``, if that tells it."""
    given = settle_scale(steps, of_config)
    trained = given if of_training is None else settle_scale(steps, of_training)
    if given != trained:
        print_log(
            f"infrared_scale={given['infrared_scale']} of the config is left aside:"
            f" {source} was trained with {trained['infrared_scale']}",
            logger="current",
            level=logging.WARNING,
        )


def check_depth(steps: Iterable[Callable], paths: Iterable[str], name: str) -> None:
    """Refuse images of more than 8 bits that mmcv's loader would read.

    It keeps the upper 8 bits, of which most infrared images use none.

    Args:
        steps: of the pipeline.
        paths: images of the data set, of which the headers of some are read: the first of each
            folder and suffix, and others evenly spread.
        name: of the data set, for the message.

    Raises:
        ValueError: There is such an image.
    """
    if not any(isinstance(step, LoadImageFromFile) for step in steps):
        return
    paths = list(paths)
    kinds = {(os.path.dirname(path), os.path.splitext(path)[1]): path for path in reversed(paths)}
    spread = paths[:: max(1, len(paths) // _HEADERS)]
    for path in [*list(kinds.values())[:_HEADERS], *spread]:
        if not os.path.isfile(path):  # on a server: left to the loader
            return
        mode = _mode(path)
        if mode.startswith(("I", "F")):
            raise ValueError(
                f"{name}: LoadImageFromFile in the pipeline would keep the upper 8 bits of {path}"
                f" (mode {mode}); use dict(type='mmspec.LoadInfraredImageFromFile',"
                " color_type='color')"
            )


def _mode(path: str) -> str:
    try:
        with Image.open(path) as image:
            return image.mode
    except (OSError, SyntaxError, ValueError):  # is told when it is loaded
        return ""
