import numpy as np
import pytest
import torch

from mmspec.evaluation.matching import project
from mmspec.matching.views import random_homography, seen_through
from mmspec.registry import TRANSFORMS

CHANNELS = ("infrared", "red", "green", "blue")
COLUMNS = np.tile(np.arange(208, dtype=np.uint8), (96, 1))
ROWS = np.tile(np.arange(96, dtype=np.uint8)[:, None], (1, 208))


def view(image, channels=CHANNELS, index=0, **kwargs):
    step = TRANSFORMS.build(dict(type="mmspec.ViewInfrared", **kwargs))
    return step(dict(img=image, channels=channels, sample_idx=index))


def test_truth_is_where_the_pixels_come_from():
    """The gray level of a pixel tells its column, then its row: x and y cannot be confused."""
    points = np.stack([COLUMNS.ravel(), ROWS.ravel()], 1)
    for axis, ramp in enumerate((COLUMNS, ROWS)):
        image = np.repeat(ramp[..., None], 4, axis=2)
        found = view(image, seed=0)
        assert found["img"].shape == image.shape and (image[..., 0] == ramp).all()
        assert (found["img"][..., 1:] == image[..., 1:]).all()
        wanted = project(points, found["truth"].numpy())[:, axis].reshape(ramp.shape)
        assert np.abs(found["img"][..., 0] - wanted).max() <= 1
        assert np.abs(found["img"][..., 0].astype(float) - ramp).max() > 5


def test_views_of_a_seed_belong_to_samples():
    image = np.repeat(COLUMNS[..., None], 4, axis=2)
    one, again, other = (view(image, index=i, seed=0)["truth"] for i in (1, 1, 2))
    assert torch.equal(one, again) and not torch.allclose(one, other)


def test_no_shift_changes_nothing():
    truth = random_homography((96, 208), np.random.default_rng(0), max_shift=0)
    assert truth == pytest.approx(np.eye(3), abs=1e-6)
    assert (seen_through(COLUMNS, truth, COLUMNS.shape) == COLUMNS).all()


def test_crops_of_a_pair_and_their_truth():
    """The visible crop tells which place each of its pixels had, the infrared one as well."""
    np.random.seed(0)
    step = TRANSFORMS.build(dict(type="mmspec.CropViews", size=(48, 64)))
    rows, columns = np.mgrid[:48, :64]
    points = np.stack([columns.ravel(), rows.ravel()], 1)
    corners, overlaps = set(), []
    for _ in range(10):
        image = np.stack([COLUMNS, COLUMNS, ROWS, ROWS], axis=2)
        found = step(dict(img=image, channels=CHANNELS))
        assert found["img"].shape == (48, 64, 4) and found["img_shape"] == (48, 64)
        x, y = found["img"][0, 0, [1, 2]].astype(int)
        assert (found["img"][..., 1] == COLUMNS[:48, x : x + 64]).all()
        assert (found["img"][..., 2] == ROWS[y : y + 48, :64]).all()
        places = project(points, found["truth"].numpy())
        wanted = (places[:, 0] + x).reshape(48, 64)
        assert np.abs(found["img"][..., 0] - wanted).max() <= 1
        inside = (places >= 0).all(1) & (places <= (63, 47)).all(1)
        corners.add((x, y))
        overlaps.append(inside.mean())
    # At places of their own: crops differ, and overlap in part or, in this wide image, not at all.
    assert len(corners) > 5 and min(overlaps) < 0.3 < max(overlaps)
    # Rows, too: an image whose infrared channel tells them.
    image = np.stack([ROWS, COLUMNS, ROWS, ROWS], axis=2)
    found = step(dict(img=image, channels=CHANNELS))
    wanted = project(points, found["truth"].numpy())[:, 1] + int(found["img"][0, 0, 2])
    assert np.abs(found["img"][..., 0] - wanted.reshape(48, 64)).max() <= 1
    np.random.seed(1)
    drawn, anew = (step(dict(img=image, channels=CHANNELS))["truth"] for _ in range(2))
    np.random.seed(1)
    assert torch.equal(step(dict(img=image, channels=CHANNELS))["truth"], drawn)
    assert not torch.allclose(drawn, anew)


def test_what_cannot_be_viewed_is_named():
    for channels in (("infrared",) * 3, ("blue", "green", "red"), CHANNELS[::-1]):
        with pytest.raises(ValueError, match="are no pair"):
            view(np.zeros((32, 32, len(channels)), np.uint8), channels)
    crop = TRANSFORMS.build(dict(type="mmspec.CropViews", size=(48, 64)))
    with pytest.raises(ValueError, match=r"a\.jpg is 64 x 40 pixels here, less than .* 64 x 48"):
        crop(dict(img=np.zeros((40, 64, 4), np.uint8), channels=CHANNELS, img_path="a.jpg"))
    with pytest.raises(ValueError, match="width"):
        TRANSFORMS.build(dict(type="mmspec.ScaleToWidth", width=8))
