"""Parts of a picture of samples: which to show, tiles with names."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mmspec.datasets.repeatable import evenly_spaced
from mmspec.visualization.panels import as_shown, label_font, titled_grid

MIN_SAMPLES_SHOWN = 12
BLACK = (0, 0, 0)


def choose_samples(counts: Sequence[np.ndarray | None], classes: int) -> list[int]:
    """For every class the sample with most of it, then others evenly spaced.

    Args:
        counts: of each sample (at least ``classes``,) how much it has of each class; None for
            samples that are not to be shown.
    """
    usable = [i for i, count in enumerate(counts) if count is not None]
    wanted = min(max(MIN_SAMPLES_SHOWN, classes), len(usable))
    chosen: dict[int, None] = {}
    for index in range(classes):
        best = max(usable, key=lambda i: counts[i][index], default=None)
        if best is not None and counts[best][index]:
            chosen[best] = None
    for index in evenly_spaced(usable, wanted):
        if len(chosen) < wanted:
            chosen[index] = None
    return sorted(chosen)


def tile(image: np.ndarray, size: tuple[int, int], name: str = "") -> np.ndarray:
    """(H, W, 3) uint8 of a size (width, height) with the picture inside and its file's name."""
    image = as_shown(image)
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    inside = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    sheet = Image.new("RGB", size, (250, 250, 250))
    sheet.paste(Image.fromarray(cv2.resize(np.ascontiguousarray(image), inside, interpolation=way)))
    if name:
        draw, font = ImageDraw.Draw(sheet), label_font()
        text = name.replace("\\", "/").rpartition("/")[2]
        draw.rectangle(draw.textbbox((3, 2), text, font=font), fill=BLACK)
        draw.text((3, 2), text, fill=(255, 255, 255), font=font)
    return np.asarray(sheet)


def grid_of(tiles: list[np.ndarray], titles: tuple[str, ...]) -> np.ndarray:
    """Tiles in rows under the titles of the columns; the last row is filled up."""
    tiles = tiles + [np.full_like(tiles[0], 250)] * (-len(tiles) % len(titles))
    starts = range(0, len(tiles), len(titles))
    return titled_grid([tiles[i : i + len(titles)] for i in starts], titles)
