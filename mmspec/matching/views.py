"""Images at the size at which they are matched, and seen through a homography."""

import cv2
import numpy as np

MULTIPLE = 16  # of which image sides are: the patch of the encoders
#: Most that a corner moves inwards, as a share of the image's sides: far enough that features which
#: encode nothing but positions gain little. The corners of the view stay in the image, so that no
#: black border tells how it was made.
MAX_SHIFT = 0.2


def random_homography(
    shape: tuple[int, int], rng: np.random.Generator, max_shift: float = MAX_SHIFT
) -> np.ndarray:
    """A homography (3, 3) from the pixels of a view onto those of an image of the same shape.

    The corners of the view lie in the image, each moved inwards along both axes, independently and
    uniformly, by at most ``max_shift`` of the sides (H, W) of ``shape``.
    """
    height, width = shape
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], float)
    inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    shift = rng.uniform(0, max_shift, (4, 2)) * (width - 1, height - 1)
    moved = corners + inwards * shift
    return cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))


def seen_through(image: np.ndarray, homography: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The view of this shape (H, W) whose pixel p shows the image at homography(p)."""
    # That is OpenCV's inverse map.
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(image, homography, shape[::-1], flags=flags)


def scaled_shape(shape: tuple[int, int], width: int, multiple: int = MULTIPLE) -> tuple[int, int]:
    """(H, W) of an image scaled to a width, both sides the nearest multiples of 16 or another."""
    scale = width / shape[1]
    return tuple(max(1, round(side * scale / multiple)) * multiple for side in shape)


def resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image (H, W) or (H, W, up to 4) uint8, or a field of places (H, W, 2) float, at a shape.

    Pixels are averaged; a field is read where the new pixels' centres lie.
    """
    how = cv2.INTER_AREA if image.dtype == np.uint8 else cv2.INTER_LINEAR
    return cv2.resize(image, shape[::-1], interpolation=how)
