"""Sheets of masked images and their reconstructions, each row under the gain of its own input."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mmspec.masking import SCORES, InformationMasking, PatchMask, grid_of, random_keep
from mmspec.models.selfsup import PairReconstruction, Reconstruction

from .panels import display_gain, mask_overlay, titled_grid, to_display

NO_PIXELS = "visible (no pixels are predicted)"
COLUMNS = ("input", "visible", "prediction", "visible + prediction")
PAIR_COLUMNS = (*COLUMNS, "from the other image alone")


def mask_sheet(
    images: list[np.ndarray],
    stride: int = 4,
    patch_size: int = 16,
    own: Mapping[str, PatchMask] | None = None,
) -> np.ndarray:
    """Each image under information-aware masking by every score, and under a random mask.

    Args:
        images: (H, W) gray levels 0..255, of one size that the patch size divides.
        stride: every how many-th rank is visible.
        patch_size: pixels a side of a patch.
        own: further masks of all images, by the title of their column, the first behind the input.
    """
    own = own or {}
    rows = []
    for i, image in enumerate(images):
        gain = display_gain(image)
        grid = grid_of(*image.shape, patch_size)
        num_patches = grid[0] * grid[1]
        tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
        kept = [InformationMasking(s, stride, patch_size=patch_size)(tensor) for s in SCORES]
        kept.append(random_keep(1, num_patches, num_patches // stride))
        masks = [mask.mask[i] for mask in own.values()]
        masks += [PatchMask.from_keep(ids, grid).mask for ids in kept]
        masks = [mask.view(grid).cpu().numpy() for mask in masks]
        rows.append([to_display(image, gain), *(mask_overlay(image, mask, gain) for mask in masks)])
    return titled_grid(rows, ("input", *own, *SCORES, "random"))


def reconstruction_sheet(result: Reconstruction, max_images: int = 8) -> np.ndarray:
    """Input, visible patches, prediction, and both put together, a row an image.

    Of a model that predicts no pixels the first two alone, which their title says.

    Args:
        result: of :meth:`InfMAE.reconstruct`.
        max_images: rows at most.
    """
    return _sheet(_rows(result, max_images, False), COLUMNS)


def pair_reconstruction_sheet(
    result: PairReconstruction, crossed: PairReconstruction, max_images: int = 8
) -> np.ndarray:
    """Like :func:`reconstruction_sheet`, for pairs: a row for infrared, and one for visible below.

    Args:
        result: of :meth:`MSpecGene.reconstruct`.
        crossed: of :meth:`MSpecGene.cross_reconstruct`, for the last column.
        max_images: pairs at most.
    """
    sides = [
        _rows(getattr(result, side), max_images, coloured, getattr(crossed, side).prediction)
        for side, coloured in (("infrared", False), ("visible", True))
    ]
    return _sheet([row for pair in zip(*sides) for row in pair], PAIR_COLUMNS)


def sample_sheet(rows: Sequence[tuple[np.ndarray, Tensor, Tensor | None]]) -> np.ndarray:
    """Input, visible patches and both put together, as a model's ``predict`` hands them over.

    Args:
        rows: an image; its mask (rows, columns) bool, true where masked; visible patches of the
            input and predicted ones elsewhere, (C, H, W) gray levels, None of a model that predicts
            no pixels.
    """
    shown = []
    for image, mask, composite in rows:
        others = []
        if composite is not None:
            composite = composite.float().cpu().numpy()
            others = [composite.transpose(1, 2, 0) if image.ndim == 3 else composite.mean(0)]
        shown.append(_row(image, mask.cpu().numpy(), *others))
    return _sheet(shown, (COLUMNS[0], COLUMNS[1], COLUMNS[3]))


def _sheet(rows: list[list[np.ndarray]], titles: Sequence[str]) -> np.ndarray:
    """Rows below their titles, of which a model that predicts no pixels has the first two."""
    return titled_grid(rows, titles if len(rows[0]) > 2 else (COLUMNS[0], NO_PIXELS))


def _rows(
    result: Reconstruction, max_images: int, coloured: bool, *further: Tensor
) -> list[list[np.ndarray]]:
    """A row an image of tensors (B, C, H, W): gray levels, or RGB if coloured."""
    pictures = (
        (x.permute(0, 2, 3, 1) if coloured else x.mean(1))[:max_images].cpu().numpy()
        for x in (result.image, result.prediction, result.composite, *further)
        if x is not None
    )
    masks = result.mask.mask.unflatten(1, result.mask.grid)[:max_images].cpu().numpy()
    return [_row(image, mask, *rest) for mask, image, *rest in zip(masks, *pictures)]


def _row(image: np.ndarray, mask: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    gain = display_gain(image)
    overlay = mask_overlay(image, mask, gain)
    return [to_display(image, gain), overlay, *(to_display(other, gain) for other in others)]
