"""Pairs of images between which the true place of every pixel is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmspec.datasets.image_io import UnreadableImageError, decode_visible, read_infrared
from mmspec.datasets.repeatable import evenly_spaced
from mmspec.matching.views import MULTIPLE, random_homography, resize, scaled_shape, seen_through
from mmspec.text_files import each_once, read_names


@dataclass(frozen=True)
class MatchingPair:
    """An infrared image, a visible one, and how they go together.

    Attributes:
        name: for reports.
        infrared: (H, W) uint8.
        visible: (H, W, 3) uint8 RGB.
        truth: from pixels of the infrared image to those of the visible one: a homography (3, 3),
            or the place of each, (H, W, 2) x, y. See :func:`mmspec.evaluation.matching.project`.
    """

    name: str
    infrared: np.ndarray
    visible: np.ndarray
    truth: np.ndarray


def roadscene_pairs(
    root: str | Path,
    width: int,
    limit: int | None = None,
    seed: int = 0,
    multiple: int = MULTIPLE,
) -> Iterator[MatchingPair]:
    """Aligned pairs of RoadScene's test list, the infrared image seen through a random homography.

    Args:
        root: folder with ``test.txt``, ``cropinfrared`` and ``crop_LR_visible``.
        width: of the images, to which they are scaled.
        limit: how many, evenly spaced over the list; None: all.
        seed: of the homographies; that of a pair does not depend on the others.
        multiple: both sides of the images become multiples of it, in pixels.

    Raises:
        FileNotFoundError: the list or a visible image is not there.
        UnreadableImageError: an image cannot be read, or the two of a pair differ in size.
    """
    root = Path(root)
    listed = root / "test.txt"
    if not listed.is_file():
        raise FileNotFoundError(
            f"no {listed}: RoadScene comes without a split; write the names of the pairs to test on"
            " into it, one a line, as FLIR_00006"
        )
    names = each_once(read_names(listed), listed)
    for index, name in evenly_spaced(list(enumerate(names)), limit):
        infrared, visible = _read_pair(
            root / "cropinfrared" / f"{name}.jpg", root / "crop_LR_visible" / f"{name}.jpg"
        )
        shape = scaled_shape(infrared.shape, width, multiple)
        truth = random_homography(shape, np.random.default_rng((seed, index)))
        infrared = seen_through(resize(infrared, shape), truth, shape)
        yield MatchingPair(name, infrared, resize(visible, shape), truth)


def registration_pairs(
    root: str | Path, width: int, limit: int | None = None, multiple: int = MULTIPLE
) -> Iterator[MatchingPair]:
    """Pairs of SuperFusion's RoadScene test set, of which the infrared image is deformed.

    Args:
        root: folder with ``RoadScene/{ir_warp,vi,flow}``; ``flow`` of ``N.png.mat`` is
            (1, H, W, 2), where in the undeformed image each pixel of ``ir_warp`` was taken from, x
            and y from -1 to 1 over the image from edge to edge.
        width, limit, multiple: as in :func:`roadscene_pairs`.

    Raises:
        FileNotFoundError: a visible image or a flow is not there.
        UnreadableImageError: as in :func:`roadscene_pairs`.
    """
    from scipy.io import loadmat

    root = Path(root) / "RoadScene"
    paths = sorted((root / "ir_warp").glob("*.png"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        raise FileNotFoundError(f"{root / 'ir_warp'}: no *.png")
    for path in evenly_spaced(paths, limit):
        infrared, visible = _read_pair(path, root / "vi" / path.name)
        grid = loadmat(root / "flow" / f"{path.name}.mat")["flow"][0].astype(np.float64)
        if grid.shape != (*infrared.shape, 2):
            raise ValueError(f"{path}: {infrared.shape}, its flow is of {grid.shape}")
        shape = scaled_shape(infrared.shape, width, multiple)
        truth = (resize(grid, shape) + 1) * (np.array(shape[::-1]) / 2) - 0.5
        yield MatchingPair(path.stem, resize(infrared, shape), resize(visible, shape), truth)


def _read_pair(infrared_path: Path, visible_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) and (H, W, 3) uint8."""
    infrared = read_infrared(infrared_path)
    visible = decode_visible(visible_path.read_bytes(), str(visible_path))
    if visible.shape[:2] != infrared.shape:
        raise UnreadableImageError(
            f"{infrared_path}: {infrared.shape[1]} x {infrared.shape[0]} pixels, its visible image"
            f" {visible_path} {visible.shape[1]} x {visible.shape[0]}: not an aligned pair"
        )
    return infrared, visible
