"""Sheets of masked images and their reconstructions."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmspec.models import Reconstruction

MASKED = np.array([38, 50, 72], dtype=np.uint8)
COLUMNS = ("input", "visible", "prediction", "visible + prediction")


def display_gain(image: np.ndarray) -> tuple[float, float]:
    """Gray levels (low, high) to show as black and white: the 0.5 and 99.5 percentiles.

    Raw infrared frames are often so dark that a screen shows nothing; at least 16 levels are kept
    apart, so that the noise of an empty frame is not blown up.
    """
    low, high = np.percentile(image, (0.5, 99.5))
    return float(low), float(max(high, low + 16))


def to_display(image: np.ndarray, gain: tuple[float, float]) -> np.ndarray:
    """(H, W) gray levels as (H, W, 3) uint8 under a display gain."""
    low, high = gain
    shown = ((image.astype(np.float32) - low) / (high - low)).clip(0, 1) * 255
    return np.repeat(shown.round().astype(np.uint8)[..., None], 3, axis=-1)


def mask_overlay(image: np.ndarray, mask: np.ndarray, gain: tuple[float, float]) -> np.ndarray:
    """An image with its masked patches in slate blue.

    Args:
        image: (H, W) gray levels.
        mask: (rows, columns) bool, true where masked.
        gain: see :func:`display_gain`.

    Returns:
        (H, W, 3) uint8.
    """
    patch = image.shape[0] // mask.shape[0]
    shown = to_display(image, gain)
    shown[np.kron(mask, np.ones((patch, patch), dtype=bool)).astype(bool)] = MASKED
    return shown


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
    images, predictions, composites = (
        x[:max_images].mean(1).cpu().numpy()
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
    return titled_grid(rows, COLUMNS)
