"""Load an infrared image into a pipeline."""

import warnings
from collections.abc import Mapping
from typing import Any

import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform

from mmspec.datasets.image_io import (
    Scaling,
    UnreadableImageError,
    cannot_open,
    decode_infrared,
    remark_kind,
    sequence_limits,
    sequence_of,
)
from mmspec.datasets.said_once import SaidOnce
from mmspec.datasets.sizes import check_loaded_size
from mmspec.registry import TRANSFORMS
from mmspec.thermal.recordings import read_frame, split_frame

COLOR_TYPES = ("grayscale", "color")  # of those that mmcv knows


@TRANSFORMS.register_module()
class LoadInfraredImageFromFile(BaseTransform):
    """Load an infrared image of any common kind as gray (see ``read_infrared``).

    One channel is the default: crops, resizes and the copy to the GPU then cost a third, and a data
    preprocessor with three means expands the batch to the three equal channels a network expects.

    Required keys: ``img_path``. Added keys: ``img`` (H, W) uint8, or (H, W, 3) uint8 with
    ``color_type='color'``, float32 of deeper files if the scale says so; ``img_shape`` and
    ``ori_shape``, both (H, W).

    Args:
        color_type: 'grayscale'; or 'color', three equal channels, for pipelines of mmdet and mmseg
            that want (H, W, 3). The words are mmcv's: for an array the frameworks' inference calls
            put ``LoadImageFromNDArray`` into the loader's place, with the loader's arguments.
        min_size: images whose width and height are both below are refused: 20 pixels, the rule of
            InfMAE, section 3; 0 takes all.
        backend_args: of mmengine's file backend.
        infrared_scale: how images of more than 8 bits become gray levels, arguments of
            ``mmspec.thermal.scaling.Scaling``. Give it to the data set rather than here:
            checkpoints keep the data set's, and mmcv's loader for arrays does not take it.

    Raises:
        UnreadableImageError: the file cannot be opened or read, is too small, or of another size
            than its annotation states (``height`` and ``width``, as mmdet's data sets have them).
            What is to be known of a file gives a warning, once a data set and kind.
    """

    draws = False

    def __init__(
        self,
        color_type: str = "grayscale",
        min_size: int = 20,
        backend_args: dict | None = None,
        infrared_scale: Mapping[str, Any] | None = None,
    ) -> None:
        if color_type not in COLOR_TYPES:
            raise ValueError(f"color_type={color_type!r}: {', '.join(COLOR_TYPES)}")
        self.color_type, self.min_size, self.backend_args = color_type, min_size, backend_args
        self.scaling = Scaling(**(infrared_scale or {}))
        self._limits: dict[str, tuple[float, float] | None] = {}  # of sequences
        self._once = SaidOnce()

    def transform(self, results: dict) -> dict:
        name = str(results["img_path"])
        content = content_of(results, name, self.backend_args)
        img, remarks = decode_infrared(content, name, self.scaling, self._sequence(name, content))
        for remark in remarks:
            if self._once(remark_kind(remark)):
                warnings.warn(f"{name}: {remark} (said once)", stacklevel=2)
        height, width = img.shape
        if max(height, width) < self.min_size:
            reason = f"{width} x {height} pixels, both sides under min_size={self.min_size}"
            raise UnreadableImageError.of(name, reason)
        if self.color_type == "color":
            img = np.repeat(img[..., None], 3, axis=2)
        results["img"] = img
        results["img_shape"] = results["ori_shape"] = (height, width)
        return check_loaded_size(results)

    def _sequence(self, name: str, content: bytes | np.ndarray) -> tuple[float, float] | None:
        alone = isinstance(content, np.ndarray) and split_frame(name) is None
        if alone or not self.scaling.sequence:
            return None
        sequence = sequence_of(name)
        if sequence not in self._limits:
            self._limits[sequence] = sequence_limits(sequence, self.scaling)
        return self._limits[sequence]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(color_type={self.color_type!r}, min_size={self.min_size},"
            f" backend_args={self.backend_args}, infrared_scale={self.scaling.setting()})"
        )


def content_of(results: Mapping, name: str, backend_args: dict | None) -> bytes | np.ndarray:
    """The bytes of a sample's file, or what its ``frames`` hold in the file's place.

    An array in memory has no file of its own: ``frames`` are pixels, blue first, or a recording's
    content by the name that ``img_path``, ``infrared_path`` or ``visible_path`` has. A name such as
    ``clip.seq#12`` is a frame of a recording on the local disk.

    Raises:
        UnreadableImageError: the file of mmengine's backend cannot be opened, or the frame not
            read.
    """
    if name in (frames := results.get("frames", {})):
        return frames[name]
    if (content := read_frame(name)) is not None:
        return content
    try:
        return bytes(fileio.get(name, backend_args=backend_args))
    except OSError as error:
        raise cannot_open(name, error) from None
