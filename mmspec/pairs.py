"""The channels of an aligned pair of an infrared and a visible image, in their one order."""

import cv2
import numpy as np

#: Where the channels of each modality lie.
SIDES = dict(infrared=slice(0, 1), visible=slice(1, 4))
VISIBLE = ("red", "green", "blue")
PAIR = ("infrared", *VISIBLE)
#: Of a visible image alone: mmcv's order, as steps for single images take it.
COLOURS = VISIBLE[::-1]
_EACH = [0, 0, 1, 1, 2, 2, 3, 3]


def join_pair(gray: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(H, W, 4) of (H, W) infrared and (H, W, 3) red, green, blue, all uint8."""
    pixels = np.empty((*gray.shape, 4), np.uint8)
    cv2.mixChannels([gray, visible], [pixels], _EACH)
    return pixels


def split_pair(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of :func:`join_pair`."""
    gray, visible = (np.empty((*pixels.shape[:2], *last), np.uint8) for last in ((), (3,)))
    cv2.mixChannels([pixels], [gray, visible], _EACH)
    return gray, visible


def pixels_of_pair(results: dict, step: str) -> np.ndarray:
    """(H, W, 4) uint8, the image of a sample.

    Raises:
        ValueError: The channels of the sample are not those of a pair.
    """
    if tuple(results["channels"]) != PAIR:
        raise ValueError(
            f"{step}: channels {tuple(results['channels'])} of {results.get('img_path')} are no"
            f" pair {PAIR}; load by LoadRGBTImageFromFile from a data set of modality='both'"
        )
    return results["img"]
