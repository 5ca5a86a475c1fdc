"""Pairs of images between which the true place of every pixel is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmspec.datasets.image_io import read_infrared

MULTIPLE = 16  # of which image sides are: the patch of the encoders
#: Most that a corner moves inwards, as a share of the image's sides: far enough that features which
#: encode nothing but positions gain little. The corners of the view stay in the image, so that no
#: black border tells how it was made.
MOST_SHIFT = 0.2


@dataclass(frozen=True)
class MatchingPair:
    """A thermal image, a visible one, and how they go together.

    Attributes:
        name: for reports.
        thermal: (H, W) uint8.
        visible: (H, W, 3) uint8 RGB.
        truth: from pixels of the thermal image to those of the visible one: a homography (3, 3), or
            the place of each, (H, W, 2) x, y. See :func:`mmspec.evaluation.matching.project`.
    """

    name: str
    thermal: np.ndarray
    visible: np.ndarray
    truth: np.ndarray


def random_homography(
    shape: tuple[int, int], rng: np.random.Generator, most_shift: float = MOST_SHIFT
) -> np.ndarray:
    """A homography (3, 3) from the pixels of a view onto those of an image of the same shape.

    The corners of the view lie in the image, each moved inwards along both axes, independently and
    uniformly, by at most ``most_shift`` of the sides (H, W) of ``shape``.
    """
    height, width = shape
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], float)
    inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    shift = rng.uniform(0, most_shift, (4, 2)) * (width - 1, height - 1)
    moved = corners + inwards * shift
    return cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))


def roadscene_pairs(
    root: str | Path, width: int, limit: int | None = None, seed: int = 0
) -> Iterator[MatchingPair]:
    """Aligned pairs of RoadScene's test list, of which a random homography views the thermal image.

    Args:
        root: folder with ``test.txt``, ``cropinfrared`` and ``crop_LR_visible``.
        width: of the images, to which they are scaled; both sides become multiples of 16.
        limit: how many, evenly spaced over the list; None: all.
        seed: of the homographies; that of a pair does not depend on the others.

    Raises:
        FileNotFoundError: an image or the list is not there.
    """
    root = Path(root)
    names = (root / "test.txt").read_text(encoding="utf-8").split()
    for index in _spread(len(names), limit):
        name = names[index]
        thermal = read_infrared(root / "cropinfrared" / f"{name}.jpg")
        visible = _read_visible(root / "crop_LR_visible" / f"{name}.jpg")
        size = _scaled(thermal.shape, width)
        thermal, visible = (_resize(image, size) for image in (thermal, visible))
        truth = random_homography(size, np.random.default_rng((seed, index)))
        # The view at p shows the image at truth(p): OpenCV's inverse map.
        thermal = cv2.warpPerspective(
            thermal, truth, size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        yield MatchingPair(name, thermal, visible, truth)


def registration_pairs(
    root: str | Path, width: int, limit: int | None = None
) -> Iterator[MatchingPair]:
    """Pairs of SuperFusion's RoadScene test set, of which the thermal image is deformed.

    Args:
        root: folder with ``RoadScene/{ir_warp,vi,flow}``; ``flow`` of ``N.png.mat`` is
            (1, H, W, 2), where in the undeformed image each pixel of ``ir_warp`` was taken from, x
            and y from -1 to 1 over the image from edge to edge.
        width, limit: as in :func:`roadscene_pairs`.

    Raises:
        FileNotFoundError: an image or a flow is not there.
    """
    from scipy.io import loadmat

    root = Path(root) / "RoadScene"
    paths = sorted((root / "ir_warp").glob("*.png"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        raise FileNotFoundError(f"{root / 'ir_warp'}: no *.png")
    for index in _spread(len(paths), limit):
        path = paths[index]
        thermal = read_infrared(path)
        visible = _read_visible(root / "vi" / path.name)
        grid = loadmat(root / "flow" / f"{path.name}.mat")["flow"][0].astype(np.float64)
        if grid.shape != (*thermal.shape, 2):
            raise ValueError(f"{path}: {thermal.shape}, its flow is of {grid.shape}")
        size = _scaled(thermal.shape, width)
        truth = (_resize(grid, size) + 1) * (np.array(size[::-1]) / 2) - 0.5
        yield MatchingPair(path.stem, _resize(thermal, size), _resize(visible, size), truth)


def _read_visible(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _spread(count: int, limit: int | None) -> np.ndarray:
    return np.linspace(0, count - 1, min(count, limit or count)).round().astype(int)


def _scaled(shape: tuple[int, int], width: int) -> tuple[int, int]:
    scale = width / shape[1]
    return tuple(max(1, round(side * scale / MULTIPLE)) * MULTIPLE for side in shape)


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    # Pixels are averaged; a field of places is read where the new pixels' centres lie.
    how = cv2.INTER_AREA if image.dtype == np.uint8 else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=how)
