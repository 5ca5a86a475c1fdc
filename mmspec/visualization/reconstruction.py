"""Sheets of masked images and their reconstructions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mmspec.models.selfsup import PairReconstruction, Reconstruction

from .panels import display_gain, mask_overlay, titled_grid, to_display

COLUMNS = ("input", "visible", "prediction", "visible + prediction")
PAIR_COLUMNS = (*COLUMNS, "from the other image alone")


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
