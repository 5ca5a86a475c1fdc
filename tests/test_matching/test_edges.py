import cv2
import numpy as np
import pytest

from mmspec.matching import agreement, align_by_edges, corner_places, random_homography
from mmspec.matching.views import seen_through


def scene(seed, shape=(192, 256)):
    """An infrared and a visible image of the same shapes, whose levels have nothing in common."""
    rng = np.random.default_rng(seed)
    infrared, visible = np.full(shape, 90, np.uint8), np.full((*shape, 3), 120, np.uint8)
    for _ in range(40):
        corner, size = rng.integers(0, shape[1], 2), rng.integers(8, 60, 2)
        box = (*map(int, corner), *map(int, size))
        cv2.rectangle(infrared, box, int(rng.integers(0, 256)), -1)
        cv2.rectangle(visible, box, tuple(map(int, rng.integers(0, 256, 3))), -1)
    noise = rng.normal(0, 4, shape)
    return np.clip(infrared + noise, 0, 255).astype(np.uint8), visible


def moved(seed):
    infrared, visible = scene(seed)
    truth = random_homography(infrared.shape, np.random.default_rng(seed), 0.08)
    return seen_through(infrared, truth, infrared.shape), visible, truth


def error(found, truth, shape):
    return np.linalg.norm(corner_places(found, shape) - corner_places(truth, shape), axis=1).mean()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_known_homography_is_found_and_agreed_on(seed):
    infrared, visible, truth = moved(seed)
    found = align_by_edges([infrared], [visible])
    assert error(found, truth, infrared.shape) < 1
    fit = agreement(infrared, visible, found)
    assert fit.residual <= 1 and fit.share > 0.9


def test_polarity_does_not_matter():
    infrared, visible, truth = moved(2)
    assert error(align_by_edges([255 - infrared], [visible]), truth, infrared.shape) < 1


def test_a_larger_visible_image():
    infrared, visible, truth = moved(3)
    large = cv2.resize(visible, (512, 384))
    twice = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]]) @ truth
    assert error(align_by_edges([infrared], [large]), twice, infrared.shape) < 2


def test_two_scenes_do_not_agree():
    infrared, visible = moved(4)[0], scene(5)[1]
    fit = agreement(infrared, visible, align_by_edges([infrared], [visible]))
    assert fit.residual > 4 and fit.share < 0.4


def test_a_shift_is_measured_in_infrared_pixels():
    infrared, visible = scene(6)
    fit = agreement(infrared, visible, np.array([[1, 0, 4], [0, 1, 0], [0, 0, 1.0]]))
    assert fit.residual == pytest.approx(4, abs=1) and fit.share < 0.5


def test_frames_of_a_rig_are_aligned_together():
    truth = random_homography((192, 256), np.random.default_rng(7), 0.08)
    pairs = [scene(seed) for seed in (8, 9)]
    frames = [seen_through(infrared, truth, (192, 256)) for infrared, _ in pairs]
    frames.append(np.full((192, 256), 90, np.uint8))  # a frame that shows nothing
    visible = [*(visible for _, visible in pairs), scene(10)[1]]
    assert error(align_by_edges(frames, visible), truth, (192, 256)) < 1


def test_a_view_outside_the_visible_image_is_no_agreement():
    infrared, visible = scene(11)
    fit = agreement(infrared, visible, np.array([[1, 0, 200], [0, 1, 0], [0, 0, 1.0]]))
    assert fit.share == 0 and fit.residual == np.inf
