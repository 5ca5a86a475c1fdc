"""The matching metric against cases done by hand."""

import math

import numpy as np
import pytest

from mmspec.evaluation.matching import (
    corner_error,
    error_auc,
    match_errors,
    matching_accuracy,
    project,
)
from mmspec.matching import estimate_homography
from mmspec.registry import METRICS

IDENTITY = np.eye(3)


def shift(x, y):
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def field(shape, function):
    """The place (x, y) of each pixel."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    return np.stack(function(columns, rows), axis=-1)


def test_places_under_a_homography():
    points = np.array([(0, 0), (10, 20)])
    assert project(points, shift(3, -4)).tolist() == [[3, -4], [13, 16]]
    perspective = np.array([[2.0, 0, 0], [0, 2, 0], [0.1, 0, 1]])
    assert project(points, perspective) == pytest.approx(np.array([(0, 0), (10, 20)]))


def test_places_under_a_field():
    bent = field((4, 6), lambda x, y: (x**2, 10 * y))
    inside = np.array([(2, 1), (2.5, 1), (2, 1.25), (5, 3)])
    assert project(inside, bent).tolist() == [[4, 10], [6.5, 10], [4, 12.5], [25, 30]]
    # Outside it goes on as between the last two pixels.
    assert project(np.array([(6, 4), (-1, -1)]), bent).tolist() == [[34, 40], [-1, -10]]


def test_a_field_and_its_homography_agree():
    points = np.random.default_rng(0).uniform(0, 20, (50, 2))
    same = field((21, 21), lambda x, y: (x + 3, y - 4))
    assert project(points, same) == pytest.approx(project(points, shift(3, -4)))


def test_accuracy_counts_errors_of_exactly_the_threshold():
    infrared = np.zeros((5, 2))
    visible = np.array([(0, 0), (3, 0), (3, 4), (0, 10), (0, 10.1)])
    errors = match_errors(infrared, visible, IDENTITY)
    assert errors.tolist() == [0, 3, 5, 10, 10.1]
    assert matching_accuracy(errors, (1, 3, 5, 10)).tolist() == [0.2, 0.4, 0.6, 0.8]
    assert matching_accuracy(np.zeros(0), (1, 3)).tolist() == [0, 0]


def test_corner_error():
    assert corner_error(shift(3, 4), IDENTITY, (100, 200)) == 5
    scaled = np.diag([1.1, 1.0, 1.0])  # by 19.9 pixels at the two right corners
    assert corner_error(scaled, IDENTITY, (100, 200)) == pytest.approx(19.9 / 2)
    assert corner_error(shift(3, 4), field((10, 20), lambda x, y: (x, y)), (10, 20)) == 5
    assert corner_error(None, IDENTITY, (100, 200)) == math.inf


@pytest.mark.parametrize(
    ("errors", "threshold", "area"),
    [
        ([0, 0], 3, 1),
        ([1], 3, (0.5 + 2) / 3),  # up to recall 1 at error 1, flat to 3
        ([1, 2], 3, (0.25 + 0.75 + 1) / 3),
        ([1, 9], 3, (0.25 + 1) / 3),  # flat at a half from 1 on
        ([1, math.inf], 10, (0.25 + 4.5) / 10),
        ([3], 3, 0),  # not below the threshold
        ([math.inf, math.inf], 5, 0),
    ],
)
def test_area_under_the_curve(errors, threshold, area):
    assert error_auc(errors, (threshold,)).tolist() == pytest.approx([area])
    assert error_auc(errors[::-1], (threshold,)).tolist() == pytest.approx([area])


def test_homography_of_points_with_outliers():
    rng = np.random.default_rng(0)
    truth = np.array([[1.1, 0.05, 6], [-0.04, 0.95, 3], [1e-4, 2e-4, 1]])
    infrared = rng.uniform(0, 200, (60, 2))
    visible = project(infrared, truth)
    visible[40:] = rng.uniform(0, 200, (20, 2))
    found = estimate_homography(infrared, visible)
    assert corner_error(found, truth, (200, 200)) < 1e-3
    assert estimate_homography(infrared[:3], visible[:3]) is None
    line = np.c_[np.arange(20.0), np.zeros(20)]
    flat = estimate_homography(line, line)
    assert flat is None or np.isfinite(flat).all()


def sample(visible, truth=IDENTITY, homography=IDENTITY):
    points = np.array([(10.0, 10), (20, 20)])[: len(visible)].reshape(-1, 2)
    return dict(
        img_path="FLIR_1",
        img_shape=(100, 200),
        infrared_points=points,
        visible_points=np.array(visible, float).reshape(-1, 2),
        homography=homography,
        truth=truth,
    )


def evaluate(*samples):
    metric = METRICS.build(dict(type="mmspec.MatchingMetric", prefix="m"))
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_metric():
    found = evaluate(
        sample([(10, 10), (20, 24)]),  # errors 0 and 4; corners right
        sample([(12, 10)], homography=shift(0, 1)),  # an error of 2; corners 1 off
        sample([], homography=None),
    )
    names = ["MMA@1", "MMA@3", "MMA@5", "MMA@10", "AUC@3", "AUC@5", "AUC@10", "matches"]
    assert list(found) == [f"m/{name}" for name in names]
    mma = [50 / 3, 150 / 3, 200 / 3, 200 / 3]
    # Recall is 1/3 at 0, 2/3 from 1 on.
    auc = [100 * (0.5 + 2 / 3 * (t - 1)) / t for t in (3, 5, 10)]
    assert list(found.values()) == pytest.approx([*mma, *auc, 1])


def test_what_cannot_be_scored_is_named():
    with pytest.raises(ValueError, match="FLIR_1: 1 and 2 points"):
        evaluate(sample([(1, 1)]) | dict(visible_points=np.zeros((2, 2))))
    with pytest.raises(ValueError, match="FLIR_1: visible_points are not all finite"):
        evaluate(sample([(math.nan, 1)]))
    with pytest.raises(ValueError, match=r"FLIR_1: homography are of shape \(2, 3\)"):
        evaluate(sample([(1, 1)], homography=np.zeros((2, 3))))
    bent = field((100, 200), lambda x, y: (x, y))
    evaluate(sample([(1, 1)], truth=bent))
    with pytest.raises(ValueError, match=r"FLIR_1: truth are of shape \(50, 200, 2\), not \(100"):
        evaluate(sample([(1, 1)], truth=bent[:50]))
    with pytest.raises(ValueError, match=r"FLIR_1: truth are of shape \(2, 2\), not \(3, 3\)"):
        evaluate(sample([(1, 1)], truth=np.eye(2)))
    with pytest.raises(ValueError, match="FLIR_1: truth are not all finite"):
        evaluate(sample([(1, 1)], truth=IDENTITY * math.nan))


@pytest.mark.parametrize("key", ["truth", "homography", "visible_points", "img_shape"])
def test_what_is_absent_is_named(key):
    without = sample([(1, 1)])
    del without[key]
    with pytest.raises(KeyError, match=f"FLIR_1: it came without '{key}'"):
        evaluate(without)
