"""Pairs of images between which the true place of every pixel is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmspec.datasets.image_io import UnreadableImageError, decode_visible, read_infrared
from mmspec.datasets.matching import RoadSceneMatchingDataset
from mmspec.datasets.repeatable import evenly_spaced
from mmspec.matching.views import MULTIPLE, resize, scaled_shape
from mmspec.pairs import split_pair


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
    root: str | Path, width: int, limit: int | None = None, multiple: int = MULTIPLE
) -> Iterator[MatchingPair]:
    """Aligned pairs of RoadScene's test list, the infrared image seen through a random homography.

    Args:
        root: folder with ``test.txt``, ``cropinfrared`` and ``crop_LR_visible``.
        width: of the images, to which they are scaled.
        limit: how many, evenly spaced over the list; None: all.
        multiple: both sides of the images become multiples of it, in pixels.

    Raises:
        FileNotFoundError: the list or a visible image is not there.
        UnreadableImageError: an image cannot be read, or the two of a pair differ in size.
    """
    listed = Path(root) / "test.txt"
    if not listed.is_file():
        raise FileNotFoundError(
            f"no {listed}: RoadScene comes without a split; write the names of the pairs to test on"
            " into it, one a line, as FLIR_00006"
        )
    steps = [
        dict(type="mmspec.LoadRGBTImageFromFile"),
        dict(type="mmspec.ScaleToWidth", width=width, multiple=multiple),
        dict(type="mmspec.ViewInfrared"),
    ]
    dataset = RoadSceneMatchingDataset(
        str(root), ann_file=listed.name, pipeline=steps, test_mode=True
    )
    for index in evenly_spaced(range(len(dataset)), limit):
        sample = dataset[index]
        truth, name = sample["truth"].numpy(), Path(sample["img_path"]).stem
        yield MatchingPair(name, *split_pair(sample["img"]), truth)


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
        beside = root / "vi" / path.name
        infrared, visible = read_infrared(path), decode_visible(beside.read_bytes(), str(beside))
        if visible.shape[:2] != infrared.shape:
            sizes = [f"{x.shape[1]} x {x.shape[0]}" for x in (infrared, visible)]
            raise UnreadableImageError(
                f"{path}: {sizes[0]} pixels, its visible image {beside} {sizes[1]}: not an aligned"
                " pair"
            )
        grid = loadmat(root / "flow" / f"{path.name}.mat")["flow"][0].astype(np.float64)
        if grid.shape != (*infrared.shape, 2):
            raise ValueError(f"{path}: {infrared.shape}, its flow is of {grid.shape}")
        shape = scaled_shape(infrared.shape, width, multiple)
        truth = (resize(grid, shape) + 1) * (np.array(shape[::-1]) / 2) - 0.5
        yield MatchingPair(path.stem, resize(infrared, shape), resize(visible, shape), truth)
