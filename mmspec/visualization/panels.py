"""What pictures share: display gain, sizes, masked patches, a grid with titles and a legend."""

from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

MASKED = np.array([38, 50, 72], dtype=np.uint8)
#: Pixels of an enlarged picture's longer side: one of 3 x 20,000 would fill the memory.
MAX_SIDE = 4096
Entry = tuple[str, tuple[int, ...]]  # of a legend: a name and its colour


def display_gain(image: np.ndarray) -> tuple[float, float]:
    """Gray levels (low, high) to show as black and white: the 0.5 and 99.5 percentiles.

    Raw infrared frames are often so dark that a screen shows nothing; at least 16 levels are kept
    apart, so that the noise of an empty frame is not blown up. Values that are not finite count
    nowhere.
    """
    known = image[np.isfinite(image)]
    low, high = np.percentile(known, (0.5, 99.5)) if known.size else (0, 0)
    return float(low), float(max(high, low + 16))


def to_display(image: np.ndarray, gain: tuple[float, float]) -> np.ndarray:
    """(H, W) or (H, W, 3) gray levels as (H, W, 3) uint8 under a display gain; NaN is black."""
    low, high = gain
    shown = to_levels((image.astype(np.float32) - low) / (high - low))
    return shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=-1)


def as_shown(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of (H, W) gray levels under their display gain, or of colours as they are."""
    return to_display(image, display_gain(image)) if image.ndim == 2 else image


def to_levels(shares: np.ndarray) -> np.ndarray:
    """Shares from 0 to 1 as uint8 levels; what is beyond is cut, NaN is 0."""
    return np.rint(255 * np.nan_to_num(shares).clip(0, 1)).astype(np.uint8)


def panel_size(shape: tuple[int, int], width: int) -> tuple[int, int]:
    """Width and height of an image (H, W) drawn so wide, at most ``MAX_SIDE`` high."""
    scale = min(width / shape[1], MAX_SIDE / shape[0])
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def whole_scale(shape: tuple[int, int], width: int) -> int:
    """By what an image (H, W) is enlarged to be so wide, as long as ``MAX_SIDE`` holds it."""
    return max(1, min(-(-width // shape[1]), MAX_SIDE // max(shape)))


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture at a size (width, height); enlarged, its pixels stay squares."""
    way = cv2.INTER_AREA if picture.shape[1] > size[0] else cv2.INTER_NEAREST
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=way)


def enlarged_smoothly(picture: np.ndarray, scale: int) -> Image.Image:
    image = Image.fromarray(picture)
    return image.resize((image.width * scale, image.height * scale), Image.BILINEAR)


def mask_overlay(image: np.ndarray, mask: np.ndarray, gain: tuple[float, float]) -> np.ndarray:
    """:func:`hidden`, of (H, W) or (H, W, 3) gray levels under a display gain."""
    return hidden(to_display(image, gain), mask)


def hidden(shown: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture with its masked patches, true in (rows, columns) bool, in slate blue."""
    return np.where(enlarged(mask, shown)[..., None], MASKED, shown)


def enlarged(patches: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """One value a patch (rows, columns, ...) as one a pixel of a picture (H, W, 3)."""
    rows, columns = (
        np.arange(size) * count // size for size, count in zip(shown.shape, patches.shape[:2])
    )
    return patches[rows][:, columns]


@cache
def label_font() -> ImageFont.FreeTypeFont:
    """matplotlib's font: Pillow's own has no accents, and names of files and classes do."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 10)


def titled_grid(
    rows: list[list[np.ndarray]], titles: tuple[str, ...], entries: list[Entry] | None = None
) -> np.ndarray:
    """Pictures of equal size as a grid with a title over each column, above a :func:`legend`."""
    gap, head = 4, 22
    height, width = (side + gap for side in rows[0][0].shape[:2])
    size = (len(titles) * width + gap, len(rows) * height + gap + head)
    sheet = Image.new("RGB", size, (250, 250, 250))
    draw = ImageDraw.Draw(sheet)
    font = label_font()
    for j, title in enumerate(titles):
        draw.text((gap + j * width, 5), title, fill=(20, 20, 20), font=font)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (gap + j * width, head + gap + i * height))
    return np.concatenate([np.asarray(sheet), legend(entries or [], sheet.width)])


def legend(entries: list[Entry], width: int) -> np.ndarray:
    """Coloured squares with names, in as many lines as they need: (h, width, 3) uint8."""
    font = label_font()
    places, x, line = [], 6, 0
    for name, colour in entries:
        needed = 34 + int(font.getlength(name))
        if x + needed > width and x > 6:
            x, line = 6, line + 1
        places.append((x, line, name, colour))
        x += needed
    strip = Image.new("RGB", (width, 20 * (line + 1) if entries else 0), (250, 250, 250))
    draw = ImageDraw.Draw(strip)
    for x, line, name, colour in places:
        top = 20 * line + 3
        draw.rectangle((x, top, x + 12, top + 12), fill=colour)
        draw.text((x + 18, top), name, fill=(20, 20, 20), font=font)
    return np.asarray(strip)
