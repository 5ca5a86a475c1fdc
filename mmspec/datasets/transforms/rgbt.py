"""Load the image of a sample that has an infrared and a visible side."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmspec.datasets.image_io import UnreadableImageError, decode_image, decode_visible
from mmspec.datasets.sizes import check_loaded_size
from mmspec.pairs import COLOURS, PAIR, join_pair
from mmspec.registry import TRANSFORMS
from mmspec.thermal.scaling import Scaling

from .loading import LoadInfraredImageFromFile, content_of


@TRANSFORMS.register_module()
class LoadRGBTImageFromFile(BaseTransform):
    """Load the infrared image, the visible one or both, as the data set's ``modality`` says.

    ===========  ==========  ==================================================
    modality     ``img``     channels
    ===========  ==========  ==================================================
    'both'       (H, W, 4)   infrared, red, green, blue
    'infrared'   (H, W, 3)   infrared, three times
    'visible'    (H, W, 3)   blue, green, red, as mmcv's ``LoadImageFromFile``
    ===========  ==========  ==================================================

    A pair stays four channels up to the data preprocessor, which makes what encoders take. One
    image alone has the three that any data preprocessor of mmdet and mmseg takes.

    Required keys: ``modality``; ``infrared_path``, ``visible_path`` or both. With
    ``infrared_in_alpha=True`` infrared is the fourth channel of the file ``img_path`` (MFNet).
    Added keys: ``img``, uint8; ``img_shape`` and ``ori_shape``, both (H, W); ``channels``, their
    names ('infrared', 'red', 'green', 'blue') in order.

    Args:
        backend_args: of mmengine's file backend.
        infrared_scale: as in ``LoadInfraredImageFromFile``; but levels are whole, as the visible
            image's are.

    Raises:
        UnreadableImageError: a file cannot be opened or read, has no fourth channel where infrared
            should be, the two images of a pair differ in size, or they are of another size than
            their annotation states (``height`` and ``width``).
    """

    draws = False

    def __init__(
        self, backend_args: dict | None = None, infrared_scale: Mapping[str, Any] | None = None
    ) -> None:
        self.backend_args = backend_args
        self._load_infrared = LoadInfraredImageFromFile(
            min_size=0,
            backend_args=backend_args,
            infrared_scale={**(infrared_scale or {}), "float32": False},
        )

    @property
    def scaling(self) -> Scaling:
        """Of the infrared image."""
        return self._load_infrared.scaling

    @scaling.setter
    def scaling(self, scaling: Scaling) -> None:
        self._load_infrared.scaling = replace(scaling, float32=False)

    def transform(self, results: dict) -> dict:
        modality = results["modality"]
        gray = visible = None
        if results.get("infrared_in_alpha", False):
            gray, visible = self._four_channels(str(results["img_path"]))
        if gray is None and modality != "visible":
            with _pair_in_errors(results, "infrared_path"):
                path, frames = results["infrared_path"], results.get("frames", {})
                gray = self._load_infrared(dict(img_path=path, frames=frames))["img"]
        if visible is None and modality != "infrared":
            with _pair_in_errors(results, "visible_path"):
                name = str(results["visible_path"])
                visible = decode_visible(content_of(results, name, self.backend_args), name)
        if modality == "both" and visible.shape[:2] != gray.shape:
            reason = (
                f"{gray.shape[1]} x {gray.shape[0]} pixels, its visible image"
                f" {results['visible_path']} {visible.shape[1]} x {visible.shape[0]}: not an"
                " aligned pair"
            )
            raise UnreadableImageError.of(results["infrared_path"], reason)
        results["img"], results["channels"] = stack_channels(
            None if modality == "visible" else gray, None if modality == "infrared" else visible
        )
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        return check_loaded_size(results)

    def _four_channels(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        image = decode_image(content_of({}, name, self.backend_args), name)
        if image.mode != "RGBA":
            reason = f"mode {image.mode}, no fourth channel that holds the infrared image"
            raise UnreadableImageError.of(name, reason)
        pixels = np.array(image)
        return pixels[..., 3], pixels[..., :3]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(backend_args={self.backend_args},"
            f" infrared_scale={self.scaling.setting()})"
        )


def stack_channels(
    gray: np.ndarray | None, visible: np.ndarray | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The image of a sample, and the names of its channels, as ``LoadRGBTImageFromFile`` has them.

    Args:
        gray: (H, W) infrared image, or None.
        visible: (H, W, 3) red, green, blue, or None.
    """
    if gray is None:
        return cv2.cvtColor(visible, cv2.COLOR_RGB2BGR), COLOURS
    if visible is None:
        return np.repeat(gray[..., None], 3, axis=2), ("infrared",) * 3
    return join_pair(gray, visible), PAIR


@contextmanager
def _pair_in_errors(results: dict, side: str) -> Iterator[None]:
    """Have the error of one image of a pair name the other one too."""
    try:
        yield
    except UnreadableImageError as error:
        if results["modality"] != "both":
            raise
        other = next(x for x in ("infrared_path", "visible_path") if x != side)
        partner = f"(the partner of {results[other]})"
        raise UnreadableImageError(f"{error} {partner}", f"{error.reason} {partner}") from None
