"""KAIST's images, and the true and the found boxes in them as tables."""

import re
from dataclasses import dataclass

import numpy as np

NOT_TOLD = -1  # occlusion that an annotation does not tell
_FRAME = re.compile(r"(set\d\d)[/\\_](V\d{3})[/\\_](?:(?:lwir|visible)[/\\_])?(I\d{5})")
_NIGHT = {"set03", "set04", "set05", "set09", "set10", "set11"}
_DAY = {"set00", "set01", "set02", "set06", "set07", "set08"}


@dataclass(frozen=True)
class Truth:
    """The true boxes of images, all in one table."""

    frames: tuple[str | None, ...]  # of each image the name that frame_of gives
    sizes: np.ndarray  # (images, 2) width and height, pixels
    image: np.ndarray  # (N,) int64, index of each box's image
    boxes: np.ndarray  # (N, 4) float64 x, y, width, height in pixels
    occlusion: np.ndarray  # (N,) int64: 0 none, 1 partial, 2 heavy, NOT_TOLD
    ignored: np.ndarray  # (N,) bool, to be ignored in any setting
    of_id_0: np.ndarray  # (N,) bool, the box of the id 0, a habit of KAIST's evaluation
    ids: tuple[int, ...] = ()  # of each image the id by which files of detections name it


@dataclass(frozen=True)
class Detections:
    """The detections in images, all in one table."""

    image: np.ndarray  # (D,) int64, index of each one's image
    boxes: np.ndarray  # (D, 4) float64 x, y, width, height in pixels
    scores: np.ndarray  # (D,) float64

    def __len__(self) -> int:
        return len(self.scores)


def frame_of(path: str) -> str | None:
    """KAIST's name of an image, as set06/V000/I00019, from its path; None if there is none."""
    found = _FRAME.findall(str(path))
    return "/".join(found[-1]) if found else None


def is_night(frame: str | None) -> bool | None:
    """Whether KAIST took an image at night; None for images that are not of its 12 sets."""
    name = (frame or "").partition("/")[0]
    return None if name not in _NIGHT | _DAY else name in _NIGHT
