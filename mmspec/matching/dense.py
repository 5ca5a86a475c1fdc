"""Matches between two maps of features, and the homography behind them."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Matches:
    """Points of an infrared image and theirs in the visible one.

    Attributes:
        infrared, visible: (N, 2) float64 x, y in pixels; the first pixel's centre is (0, 0).
        scores: (N,) float64, similarity, more is better.
    """

    infrared: np.ndarray
    visible: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


@torch.no_grad()
def match_features(
    infrared: Tensor,
    visible: Tensor,
    infrared_shape: tuple[int, int],
    visible_shape: tuple[int, int],
    chunk: int = 4096,
) -> Matches:
    """Mutual nearest neighbours of two maps of features, the visible points between the cells.

    The similarity is the cosine. A visible point goes to the vertex of the parabolas through the
    similarities of its cell and of the neighbours beside it and above and below it, at most half a
    cell away. Maps are (C, h, w) float on one device, shapes (H, W) those of the images that they
    cover; ``chunk`` rows of the matrix of similarities are held at once.
    """
    maps = [F.normalize(x, dim=0) for x in (infrared, visible)]
    first, second = (x.flatten(1).T.contiguous() for x in maps)
    rows, columns, scores = mutual_nearest(first, second, chunk)
    offsets = _vertex_offsets(first[rows], maps[1], columns)
    return Matches(
        _to_pixels(_cells(rows, infrared), infrared.shape, infrared_shape),
        _to_pixels(_cells(columns, visible) + offsets, visible.shape, visible_shape),
        scores.double().cpu().numpy(),
    )


def mutual_nearest(first: Tensor, second: Tensor, chunk: int = 4096) -> tuple[Tensor, ...]:
    """Pairs of unit vectors (N, C) and (M, C) each of which is the other's nearest by cosine.

    Gives indices into first and second, (K,) int64 each, and similarities (K,). ``chunk`` rows of
    the (N, M) similarities are held at once.
    """
    nearest, similarity = [], []
    best = first.new_full((len(second),), -torch.inf)
    best_row = torch.zeros(len(second), dtype=torch.int64, device=first.device)
    for start in range(0, len(first), chunk):
        block = first[start : start + chunk] @ second.T
        value, column = block.max(dim=1)
        similarity.append(value)
        nearest.append(column)
        value, row = block.max(dim=0)
        best_row = torch.where(value > best, row + start, best_row)
        best = torch.maximum(best, value)
    nearest, similarity = torch.cat(nearest), torch.cat(similarity)
    rows = torch.arange(len(first), device=first.device)
    rows = rows[best_row[nearest] == rows]
    return rows, nearest[rows], similarity[rows]


def _vertex_offsets(queries: Tensor, features: Tensor, cells: Tensor) -> Tensor:
    """From cells (K,) of a map (C, h, w) to the maximum of their similarity with queries (K, C).

    As (K, 2) x, y in cells.
    """
    height, width = features.shape[1:]
    x, y = cells % width, cells // width

    def similarity(dx: int, dy: int) -> Tensor:
        at = features[:, (y + dy).clamp(0, height - 1), (x + dx).clamp(0, width - 1)]
        return (queries * at.T).sum(1)

    centre, offsets = similarity(0, 0), []
    for place, size, (dx, dy) in ((x, width, (1, 0)), (y, height, (0, 1))):
        before, after = similarity(-dx, -dy), similarity(dx, dy)
        curvature = before - 2 * centre + after
        vertex = (before - after) / (2 * torch.where(curvature < 0, curvature, -torch.inf))
        inside = (place > 0) & (place < size - 1)
        offsets.append(torch.where(inside, vertex.clamp(-0.5, 0.5), 0.0))
    return torch.stack(offsets, 1)


def _cells(indices: Tensor, features: Tensor) -> Tensor:
    width = features.shape[2]
    return torch.stack([indices % width, indices // width], 1)


def _to_pixels(cells: Tensor, grid: tuple[int, ...], shape: tuple[int, int]) -> np.ndarray:
    """Centres of cells (x, y), whole or between, as pixels."""
    scale = np.array([shape[1] / grid[2], shape[0] / grid[1]])
    return (cells.double().cpu().numpy() + 0.5) * scale - 0.5


def estimate_homography(
    infrared_points: np.ndarray, visible_points: np.ndarray, threshold: float = 3.0
) -> np.ndarray | None:
    """The homography that most matches agree with, by OpenCV: MAGSAC++, or else plain RANSAC.

    From points (N, 2), x and y in pixels, of which a match agrees up to ``threshold`` pixels:
    (3, 3) float64 from infrared to visible. None of fewer than four matches, or where nothing is
    found.
    """
    if len(infrared_points) < 4:
        return None
    points = [np.asarray(p, np.float64)[:, None] for p in (infrared_points, visible_points)]
    cv2.setRNGSeed(0)
    for method in (cv2.USAC_MAGSAC, cv2.RANSAC):
        try:
            found, _ = cv2.findHomography(
                *points, method, threshold, maxIters=10_000, confidence=0.9999
            )
        except cv2.error:  # MAGSAC raises on some degenerate sets instead of finding nothing
            continue
        if found is not None and np.isfinite(found).all():
            return found
    return None
