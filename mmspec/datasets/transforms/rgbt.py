"""Load the image of a sample that has an infrared and a visible side."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from mmcv.transforms import BaseTransform

from mmspec.datasets.image_io import UnreadableImageError, decode_image, decode_visible
from mmspec.datasets.sizes import check_loaded_size
from mmspec.registry import TRANSFORMS

from .loading import LoadInfraredImageFromFile, content_of

#: Names of the channels of a visible image, in the order of a pair.
VISIBLE = ("red", "green", "blue")


@TRANSFORMS.register_module()
class LoadRGBTImageFromFile(BaseTransform):
    """Load the infrared image, the visible one or both, as the data set's ``modality`` says.

    ===========  ==========  ==================================================
    modality     ``img``     channels
    ===========  ==========  ==================================================
    'infrared'   (H, W, 3)   gray, three times
    'visible'    (H, W, 3)   blue, green, red, as mmcv's ``LoadImageFromFile``
    'both'       (H, W, 6)   gray three times, then red, green, blue
    ===========  ==========  ==================================================

    mmseg's data preprocessor swaps blue and red (``bgr_to_rgb=True``) of three channels only, so
    with six they are in the order of its means already.

    Required keys: ``modality``; ``infrared_path``, ``visible_path`` or both. With
    ``infrared_in_alpha=True`` infrared is the fourth channel of the file ``img_path`` (MFNet).
    Added keys: ``img``, uint8; ``img_shape`` and ``ori_shape``, both (H, W); ``channels``, their
    names ('infrared', 'red', 'green', 'blue') in order.

    Args:
        backend_args: Of mmengine's file backend.
        **scaling: ``value_range``, ``percentiles`` and ``nodata_level`` for infrared images of more
            than 8 bits, see :class:`~mmspec.datasets.image_io.Scaling`.

    Raises:
        UnreadableImageError: A file cannot be opened or read, has no fourth channel where infrared
            should be, the two images of a pair differ in size, or they are of another size than
            their annotation states (``height`` and ``width``).
    """

    def __init__(self, backend_args: dict | None = None, **scaling) -> None:
        self.backend_args = backend_args
        self._load_infrared = LoadInfraredImageFromFile(
            min_size=0, backend_args=backend_args, **scaling
        )

    def transform(self, results: dict) -> dict:
        gray, visible = self._sides(results)
        if gray is not None and visible is not None:
            _check_aligned(results, gray, visible)
        results["img"], results["channels"] = stack_channels(gray, visible)
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        return check_loaded_size(results)

    def _sides(self, results: dict) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(H, W) gray and (H, W, 3) visible, red first; None for what is not asked for."""
        modality = results["modality"]
        if results.get("infrared_in_alpha", False):
            gray, visible = self._four_channels(str(results["img_path"]))
            return {
                "infrared": (gray, None),
                "visible": (None, visible),
                "both": (gray, visible),
            }[modality]
        gray = visible = None
        if modality != "visible":
            with _pair_in_errors(results, "infrared_path"):
                path, frames = results["infrared_path"], results.get("frames", {})
                gray = self._load_infrared(dict(img_path=path, frames=frames))["img"]
        if modality != "infrared":
            with _pair_in_errors(results, "visible_path"):
                name = str(results["visible_path"])
                visible = decode_visible(content_of(results, name, self.backend_args), name)
        return gray, visible

    def _four_channels(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        image = decode_image(content_of({}, name, self.backend_args), name)
        if image.mode != "RGBA":
            reason = f"mode {image.mode}, no fourth channel that holds the infrared image"
            raise UnreadableImageError.of(name, reason)
        return np.array(image.getchannel("A")), np.array(image)[..., :3]

    def __repr__(self) -> str:
        scaling = self._load_infrared.scaling
        return f"{type(self).__name__}(backend_args={self.backend_args}, {scaling})"


def stack_channels(
    gray: np.ndarray | None, visible: np.ndarray | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The image of a sample, and the names of its channels, as ``LoadRGBTImageFromFile`` has them.

    Args:
        gray: (H, W) infrared image, or None.
        visible: (H, W, 3) red, green, blue, or None.
    """
    if gray is None:
        return np.ascontiguousarray(visible[..., ::-1]), ("blue", "green", "red")
    img, channels = np.repeat(gray[..., None], 3, axis=2), ("infrared",) * 3
    if visible is None:
        return img, channels
    return np.concatenate([img, visible], axis=2), (*channels, *VISIBLE)


@contextmanager
def _pair_in_errors(results: dict, side: str) -> Iterator[None]:
    """Has the error of one image of a pair name the other one too."""
    try:
        yield
    except UnreadableImageError as error:
        if results["modality"] != "both":
            raise
        other = next(x for x in ("infrared_path", "visible_path") if x != side)
        partner = f"(the partner of {results[other]})"
        raise UnreadableImageError(f"{error} {partner}", f"{error.reason} {partner}") from None


def _check_aligned(results: dict, gray: np.ndarray, visible: np.ndarray) -> None:
    if visible.shape[:2] != gray.shape:
        reason = (
            f"{gray.shape[1]} x {gray.shape[0]} pixels, its visible image {results['visible_path']}"
            f" {visible.shape[1]} x {visible.shape[0]}: not an aligned pair"
        )
        raise UnreadableImageError.of(results["infrared_path"], reason)
