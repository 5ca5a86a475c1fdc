import cv2
import numpy as np
import pytest
from matching_pairs import registration_pairs, roadscene_pairs
from PIL import Image

from mmspec.datasets import UnreadableImageError
from mmspec.evaluation.matching import corner_error, project
from mmspec.matching import (
    estimate_homography,
    random_homography,
)


def test_views_stay_inside_their_image():
    rng = np.random.default_rng(0)
    corners = np.array([(0, 0), (199, 0), (0, 99), (199, 99)], float)
    for _ in range(20):
        moved = project(corners, random_homography((100, 200), rng, 0.2))
        inwards = np.abs(moved - corners)
        assert (moved >= -1e-3).all() and (moved <= (199.001, 99.001)).all()
        assert (inwards <= 0.2 * np.array([199, 99]) + 1e-3).all() and inwards.max() > 1


@pytest.fixture
def ramps(tmp_path):
    """A pair whose gray levels tell where a pixel comes from: 1 level a pixel to the right."""
    for folder in ("cropinfrared", "crop_LR_visible"):
        (tmp_path / folder).mkdir()
    ramp = np.tile(np.arange(208, dtype=np.uint8), (96, 1))
    for name in ("a", "b"):
        Image.fromarray(ramp).save(tmp_path / "cropinfrared" / f"{name}.jpg", quality=100)
        Image.fromarray(ramp).convert("RGB").save(tmp_path / f"crop_LR_visible/{name}.jpg")
    (tmp_path / "test.txt").write_text("a\nb\n")
    return tmp_path


def test_the_homography_is_that_of_the_pixels(ramps):
    first, second = roadscene_pairs(ramps, 208)
    for pair in (first, second):
        assert pair.infrared.shape == (96, 208) and pair.visible.shape == (96, 208, 3)
        rows, columns = np.mgrid[:96, :208]
        points = np.stack([columns.ravel(), rows.ravel()], 1)
        wanted = project(points, pair.truth)[:, 0].reshape(96, 208)
        assert np.abs(pair.infrared - wanted).max() < 2.5
    assert np.abs(first.truth - second.truth).max() > 1e-3
    # The homography of a pair does not depend on the others.
    (again,) = roadscene_pairs(ramps, 208, limit=1)
    assert (again.truth == first.truth).all()


def test_sides_are_multiples_of_16(ramps):
    (pair,) = roadscene_pairs(ramps, 100, limit=1)
    assert pair.infrared.shape == (48, 96)


def test_missing_list_says_what_to_write(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"test\.txt: .* one a line"):
        next(roadscene_pairs(tmp_path, 208))


def test_flow_is_the_deformation(data_root):
    root = data_root / "registration"
    for pair in registration_pairs(root, 256):
        size = pair.infrared.shape
        aligned = cv2.imread(str(root / f"RoadScene/ir/{pair.name}.png"), cv2.IMREAD_GRAYSCALE)
        aligned = cv2.resize(aligned, size[::-1], interpolation=cv2.INTER_AREA).astype(float)
        places = pair.truth.astype(np.float32)
        warped = cv2.remap(aligned, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
        before = np.abs(aligned - pair.infrared).mean()
        after = np.abs(warped - pair.infrared).mean()
        assert before > 15 and after < 3


def test_a_homography_follows_the_flow_roughly(data_root):
    (pair,) = registration_pairs(data_root / "registration", 256, limit=1)
    rows, columns = np.mgrid[0 : pair.infrared.shape[0] : 8, 0 : pair.infrared.shape[1] : 8]
    points = np.stack([columns.ravel(), rows.ravel()], 1)
    found = estimate_homography(points, project(points, pair.truth))
    assert 0.1 < corner_error(found, pair.truth, pair.infrared.shape) < 6


def test_what_is_not_there_is_named(tmp_path, ramps):
    with pytest.raises(FileNotFoundError, match="ir_warp"):
        list(registration_pairs(tmp_path, 256))
    (ramps / "crop_LR_visible" / "b.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"crop_LR_visible.b\.\*"):
        list(roadscene_pairs(ramps, 208))
    (ramps / "test.txt").write_text("a\n")
    deep = Image.fromarray(np.full((96, 208), 20000, np.uint16))
    deep.save(ramps / "crop_LR_visible" / "a.jpg", format="PNG")
    with pytest.raises(UnreadableImageError, match=r"visible.a\.jpg: mode I;16, more than 8 bits"):
        list(roadscene_pairs(ramps, 208, limit=1))
    Image.new("RGB", (50, 40)).save(ramps / "crop_LR_visible" / "a.jpg")
    with pytest.raises(UnreadableImageError, match=r"infrared.a\.jpg: 208 x 96 .*a\.jpg 50 x 40"):
        list(roadscene_pairs(ramps, 208, limit=1))
