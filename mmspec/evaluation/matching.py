"""Metrics of matching points between an infrared and a visible image."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmspec.conventions import MODALITIES
from mmspec.registry import METRICS

from .samples import field_of, name_of
from .table import log_table

MATCH_THRESHOLDS = (1, 3, 5, 10)  # pixels
CORNER_THRESHOLDS = (3, 5, 10)  # pixels


@METRICS.register_module()
class MatchingMetric(BaseMetric):
    """Mean matching accuracy, and the area under the curve of homography corner errors.

    ==========  =====================================================================  =======
    name        definition                                                             unit
    ==========  =====================================================================  =======
    MMA@T       mean over pairs of the share of matches within T pixels of the truth,  percent
                0 for a pair without a match; T = 1, 3, 5, 10 (Mikolajczyk and Schmid,
                2005, as Dusmanu et al., D2-Net, CVPR 2019, use it)
    AUC@T       area under the recall of pairs over the mean error of the four         percent
                corners, up to T pixels, divided by T; T = 3, 5, 10 (Sarlin et al.,
                SuperGlue, CVPR 2020; Sun et al., LoFTR, CVPR 2021)
    matches     mean over pairs of the number of matches                               1
    ==========  =====================================================================  =======

    Pixels are those of the images that were matched: numbers at two sizes do not compare. A pair
    whose homography could not be estimated has an infinite corner error.

    A sample is a dict with ``img_path``, ``img_shape`` (H, W) of the infrared image,
    ``infrared_points`` and ``visible_points``, (N, 2) x, y of the matches; ``homography``, the
    estimate, (3, 3) or None; ``truth``, see :func:`project`, an array or a tensor.

    Raises:
        KeyError: a sample without one of them. A pair without truth cannot be scored.
        ValueError: points, a homography or truth of another shape or not finite. The messages name
            the pair.
    """

    default_prefix = ""  # none, and no warning of it

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            name = name_of(sample)
            sides = [f"{side}_points" for side in MODALITIES]
            points = [_checked(_field(sample, x), (-1, 2), f"{name}: {x}") for x in sides]
            if len(points[0]) != len(points[1]):
                raise ValueError(f"{name}: {len(points[0])} and {len(points[1])} points")
            estimate = _field(sample, "homography")
            if estimate is not None:
                estimate = _checked(estimate, (3, 3), f"{name}: homography")
            shape = tuple(_field(sample, "img_shape")[:2])
            truth = field_of(sample, "truth", "mmspec.ViewInfrared makes it in the test's pipeline")
            if isinstance(truth, Tensor):
                truth = truth.cpu().numpy()
            wanted = (*shape, 2) if np.ndim(truth) == 3 else (3, 3)
            truth = _checked(truth, wanted, f"{name}: truth")
            accuracy = matching_accuracy(match_errors(*points, truth), MATCH_THRESHOLDS)
            error = corner_error(estimate, truth, shape)
            self.results.append((tuple(accuracy.tolist()), error, len(points[0])))

    def compute_metrics(
        self, results: list[tuple[tuple[float, ...], float, int]]
    ) -> dict[str, float]:
        accuracies, errors, counts = zip(*results)
        areas = error_auc(errors, CORNER_THRESHOLDS)
        shares = np.mean(accuracies, axis=0)
        metrics = {f"MMA@{t}": 100 * float(share) for t, share in zip(MATCH_THRESHOLDS, shares)}
        metrics |= {f"AUC@{t}": 100 * float(area) for t, area in zip(CORNER_THRESHOLDS, areas)}
        metrics["matches"] = float(np.mean(counts))
        log_table(metrics)
        return metrics


def project(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Where points of the infrared image are in the visible one.

    Args:
        points: (N, 2) x, y in pixels; the first pixel's centre is (0, 0).
        truth: a homography, (3, 3), or the place of each infrared pixel, (H, W, 2) x, y in
            pixels of the visible image. Between pixels it is linear, outside the image it goes on
            as at the edge.

    Returns:
        (N, 2) float64.
    """
    points = np.asarray(points, np.float64)
    if truth.shape == (3, 3):
        mapped = np.c_[points, np.ones(len(points))] @ truth.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return mapped[:, :2] / mapped[:, 2:]
    height, width = truth.shape[:2]
    limit = np.array([width, height]) - 1
    first = np.floor(points).clip(0, np.maximum(limit - 1, 0)).astype(np.int64)
    (x, y), (right, below) = first.T, np.minimum(first + 1, limit).T
    u, v = (points - first).T[..., None]
    upper = truth[y, x] * (1 - u) + truth[y, right] * u
    lower = truth[below, x] * (1 - u) + truth[below, right] * u
    return upper * (1 - v) + lower * v


def match_errors(
    infrared_points: np.ndarray, visible_points: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    """Distance of each visible point from where the truth has it, (N,) float64 pixels."""
    return np.linalg.norm(project(infrared_points, truth) - visible_points, axis=1)


def matching_accuracy(errors: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Share of errors of at most each threshold; 0 without a match."""
    if not len(errors):
        return np.zeros(len(thresholds))
    return (errors[:, None] <= np.asarray(thresholds)).mean(axis=0)


def corner_error(estimate: np.ndarray | None, truth: np.ndarray, shape: tuple[int, int]) -> float:
    """Mean distance of the infrared image's four corners under estimate and truth, in pixels.

    Args:
        estimate: homography (3, 3); None where there is none, an infinite error.
        truth: see :func:`project`.
        shape: (H, W) of the infrared image.
    """
    if estimate is None:
        return math.inf
    height, width = shape
    corners = np.array([(x, y) for y in (0, height - 1) for x in (0, width - 1)], np.float64)
    error = np.linalg.norm(project(corners, estimate) - project(corners, truth), axis=1).mean()
    return float(error) if math.isfinite(error) else math.inf


def error_auc(errors: Sequence[float], thresholds: Sequence[float]) -> np.ndarray:
    """Area under recall over error, from 0 to each threshold, divided by the threshold.

    As SuperGlue and LoFTR compute it: recall rises linearly from 0 at error 0 to 1 / N at the least
    of the N errors, 2 / N at the next and so on, and stays from the last error below the threshold.
    """
    errors = np.sort(np.asarray(errors, np.float64))
    recall = np.arange(len(errors) + 1) / len(errors)
    areas = []
    for threshold in thresholds:
        below = int(np.searchsorted(errors, threshold))
        x = np.r_[0, errors[:below], threshold]
        y = np.r_[recall[: below + 1], recall[below]]
        areas.append(float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum() / threshold))
    return np.array(areas)


def _field(sample: Mapping, key: str) -> Any:
    return field_of(sample, key, "PairMatcher gives it in its predict()")


def _checked(values: np.ndarray, shape: tuple[int, int], name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != len(shape) or any(n not in (-1, m) for n, m in zip(shape, values.shape)):
        raise ValueError(f"{name} are of shape {values.shape}, not {shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} are not all finite")
    return values
