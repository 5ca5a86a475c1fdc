"""Load an infrared image into a pipeline."""

import warnings

import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform

from mmspec.datasets.image_io import (
    DEFAULT_PERCENTILES,
    UnreadableImageError,
    cannot_open,
    check_scaling,
    decode_infrared,
    remark_kind,
)
from mmspec.datasets.sizes import check_loaded_size
from mmspec.registry import TRANSFORMS

#: Channels of what mmcv calls the types of colour.
COLOR_TYPES = {"grayscale": 1, "color": 3}


@TRANSFORMS.register_module()
class LoadInfraredImageFromFile(BaseTransform):
    """Load an infrared image of any common kind as 8-bit gray (see ``read_infrared``).

    One channel is the default: crops, resizes and the copy to the GPU then cost a third, and a data
    preprocessor with three means expands the batch to the three equal channels a network expects.

    Required keys: ``img_path``. Added keys: ``img`` (H, W) uint8, or (H, W, 3) uint8 with
    ``channels=3``; ``img_shape`` and ``ori_shape``, both (H, W).

    Args:
        channels: 1, or 3 equal ones for pipelines of mmdet and mmseg that want (H, W, 3).
        color_type: The same in mmcv's words, instead of ``channels``: 'grayscale' or 'color'. The
            frameworks' inference calls put ``LoadImageFromNDArray`` into the loader's place for an
            array, with the loader's arguments, and that knows no other.
        min_size: Images whose width and height are both below are refused: 20 pixels, the rule of
            InfMAE, section 3; 0 takes all.
        value_range: Raw values that become 0 and 255, for images of more than 8 bits.
        percentiles: Used without ``value_range``: percentiles of an image that become 0 and 255.
        nodata_level: Gray level of pixels without a measurement; the image's minimum if None.
        backend_args: Of mmengine's file backend.

    Raises:
        UnreadableImageError: The file cannot be opened or read, is too small, or of another size
            than its annotation states (``height`` and ``width``, as mmdet's data sets have them).
            A colour image, a TIFF of several frames and pixels without a measurement give a
            warning, once a loader (and worker) and kind.
    """

    def __init__(
        self,
        channels: int = 1,
        min_size: int = 20,
        value_range: tuple[float, float] | None = None,
        percentiles: tuple[float, float] = DEFAULT_PERCENTILES,
        nodata_level: int | None = None,
        backend_args: dict | None = None,
        color_type: str | None = None,
    ) -> None:
        if color_type is not None:
            if color_type not in COLOR_TYPES:
                raise ValueError(f"color_type={color_type!r}: {', '.join(COLOR_TYPES)}")
            channels = COLOR_TYPES[color_type]
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {channels}")
        check_scaling(value_range, percentiles, nodata_level)
        self.channels = channels
        self.min_size = min_size
        self.value_range = value_range
        self.percentiles = percentiles
        self.nodata_level = nodata_level
        self.backend_args = backend_args
        self._remarked: set[str] = set()

    def transform(self, results: dict) -> dict:
        name = str(results["img_path"])
        try:
            data = fileio.get(name, backend_args=self.backend_args)
        except OSError as error:
            raise cannot_open(name, error) from None
        img, remarks = decode_infrared(
            bytes(data),
            name,
            value_range=self.value_range,
            percentiles=self.percentiles,
            nodata_level=self.nodata_level,
        )
        for remark in remarks:
            if (kind := remark_kind(remark)) not in self._remarked:
                self._remarked.add(kind)
                warnings.warn(f"{name}: {remark} (said once)", stacklevel=2)
        height, width = img.shape
        if max(height, width) < self.min_size:
            reason = f"{width} x {height} pixels, both sides under min_size={self.min_size}"
            raise UnreadableImageError(
                f"{name}: {reason}. Remove the file, have such files skipped and counted with"
                " InfraredFolder(skip_broken=True), or lower min_size.",
                reason,
            )
        results["img"] = img if self.channels == 1 else np.repeat(img[..., None], 3, axis=2)
        results["img_shape"] = results["ori_shape"] = (height, width)
        return check_loaded_size(results)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(channels={self.channels}, min_size={self.min_size},"
            f" value_range={self.value_range}, percentiles={self.percentiles},"
            f" nodata_level={self.nodata_level}, backend_args={self.backend_args})"
        )
