"""Sheets of masked images and their reconstructions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mmspec.models.selfsup import PairReconstruction, Reconstruction

MASKED = np.array([38, 50, 72], dtype=np.uint8)
#: Pixels of an enlarged picture's longer side: one of 3 x 20,000 would fill the memory.
MOST_SIDE = 4096
COLUMNS = ("input", "visible", "prediction", "visible + prediction")
PAIR_COLUMNS = (*COLUMNS, "from the other image alone")


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


def to_levels(shares: np.ndarray) -> np.ndarray:
    """Shares from 0 to 1 as uint8 levels; what is beyond is cut, NaN is 0."""
    return np.rint(255 * np.nan_to_num(shares).clip(0, 1)).astype(np.uint8)


def panel_size(shape: tuple[int, int], width: int) -> tuple[int, int]:
    """Width and height of an image (H, W) drawn so wide, at most ``MOST_SIDE`` high."""
    scale = min(width / shape[1], MOST_SIDE / shape[0])
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def whole_scale(shape: tuple[int, int], width: int) -> int:
    """By what an image (H, W) is enlarged to be so wide, as long as ``MOST_SIDE`` holds it."""
    return max(1, min(-(-width // shape[1]), MOST_SIDE // max(shape)))


def mask_overlay(image: np.ndarray, mask: np.ndarray, gain: tuple[float, float]) -> np.ndarray:
    """An image with its masked patches in slate blue.

    Args:
        image: (H, W) or (H, W, 3) gray levels.
        mask: (rows, columns) bool, true where masked.
        gain: see :func:`display_gain`.

    Returns:
        (H, W, 3) uint8.
    """
    return hidden(to_display(image, gain), mask)


def hidden(shown: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 with the masked patches (rows, columns) in slate blue."""
    return np.where(enlarged(mask, shown)[..., None], MASKED, shown)


def enlarged(patches: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """One value a patch (rows, columns, ...) as one a pixel of a picture (H, W, 3)."""
    rows, columns = (
        np.arange(size) * count // size for size, count in zip(shown.shape, patches.shape[:2])
    )
    return patches[rows][:, columns]


def titled_grid(rows: list[list[np.ndarray]], titles: tuple[str, ...]) -> np.ndarray:
    """Pictures (H, W, 3) uint8 of equal size as a grid with a title over each column."""
    height, width = rows[0][0].shape[:2]
    gap, head = 4, 22
    sheet = Image.new(
        "RGB",
        (len(titles) * (width + gap) + gap, len(rows) * (height + gap) + gap + head),
        (250, 250, 250),
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for j, title in enumerate(titles):
        draw.text((gap + j * (width + gap), 5), title, fill=(20, 20, 20), font=font)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            corner = (gap + j * (width + gap), head + gap + i * (height + gap))
            sheet.paste(Image.fromarray(picture), corner)
    return np.asarray(sheet)


def reconstruction_sheet(result: Reconstruction, max_images: int = 8) -> np.ndarray:
    """Input, visible patches, prediction, and both put together, a row an image.

    Every row is shown under the display gain of its own input.

    Args:
        result: of :meth:`InfMAE.reconstruct`.
        max_images: rows at most.

    Returns:
        (H, W, 3) uint8.
    """
    return titled_grid(_rows(result, max_images, coloured=False), COLUMNS)


def sample_sheet(rows: Sequence[tuple[np.ndarray, Tensor, Tensor]]) -> np.ndarray:
    """Input, visible patches and both put together, as a model's ``predict`` hands them over.

    Args:
        rows: an image (H, W) gray levels or (H, W, 3) RGB; its mask (rows, columns) bool, true
            where masked; visible patches of the input and predicted ones elsewhere, (C, H, W) gray
            levels.

    Returns:
        (H', W', 3) uint8.
    """
    shown = []
    for image, mask, composite in rows:
        gain, composite = display_gain(image), composite.float().cpu().numpy()
        composite = composite.transpose(1, 2, 0) if image.ndim == 3 else composite.mean(0)
        shown.append(
            [
                to_display(image, gain),
                mask_overlay(image, mask.cpu().numpy(), gain),
                to_display(composite, gain),
            ]
        )
    return titled_grid(shown, (COLUMNS[0], COLUMNS[1], COLUMNS[3]))


def pair_reconstruction_sheet(
    result: PairReconstruction, crossed: PairReconstruction, max_images: int = 8
) -> np.ndarray:
    """Like :func:`reconstruction_sheet`, for pairs: a row for infrared, and one for visible below.

    Args:
        result: of :meth:`MSpecGene.reconstruct`.
        crossed: of :meth:`MSpecGene.cross_reconstruct`, for the last column.
        max_images: pairs at most.

    Returns:
        (H, W, 3) uint8.
    """
    rows = []
    for side, coloured in (("infrared", False), ("visible", True)):
        rows.append(_rows(getattr(result, side), max_images, coloured))
        for row, image, prediction in zip(
            rows[-1],
            _pictures(getattr(result, side).image, max_images, coloured),
            _pictures(getattr(crossed, side).prediction, max_images, coloured),
        ):
            row.append(to_display(prediction, display_gain(image)))
    return titled_grid([row for pair in zip(*rows) for row in pair], PAIR_COLUMNS)


def _rows(result: Reconstruction, max_images: int, coloured: bool) -> list[list[np.ndarray]]:
    images, predictions, composites = (
        _pictures(x, max_images, coloured)
        for x in (result.image, result.prediction, result.composite)
    )
    masks = result.mask.mask.unflatten(1, result.mask.grid)[:max_images].cpu().numpy()
    rows = []
    for image, prediction, composite, mask in zip(images, predictions, composites, masks):
        gain = display_gain(image)
        rows.append(
            [
                to_display(image, gain),
                mask_overlay(image, mask, gain),
                to_display(prediction, gain),
                to_display(composite, gain),
            ]
        )
    return rows


def _pictures(images: Tensor, max_images: int, coloured: bool) -> np.ndarray:
    """(B, C, H, W) as (b, H, W) gray levels, or (b, H, W, C) if coloured."""
    images = images[:max_images]
    return (images.permute(0, 2, 3, 1) if coloured else images.mean(1)).cpu().numpy()
