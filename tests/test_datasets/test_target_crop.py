"""Crops that hold a whole target half of the time."""

import numpy as np
import pytest

from mmspec.datasets.transforms import TargetCrop
from mmspec.registry import TRANSFORMS

SIZE = (100, 160)


def sample(*boxes, size=SIZE, channels=None):
    """Targets of boxes (row, column, height, width), numbered in ``ids``; pixels are positions."""
    labels = np.zeros(size, np.uint8)
    ids = np.zeros(size, np.uint8)
    for number, (row, column, height, width) in enumerate(boxes, 1):
        labels[row : row + height, column : column + width] = 1
        ids[row : row + height, column : column + width] = number
    img = np.arange(size[0] * size[1], dtype=np.uint16).reshape(size)
    if channels:
        img = np.repeat(img[..., None], channels, axis=2)
    return dict(img=img, gt_seg_map=labels, ids=ids, seg_fields=["gt_seg_map", "ids"])


def corner(results):
    """Row and column of the first pixel."""
    return divmod(int(results["img"].reshape(-1)[0]), SIZE[1])


@pytest.fixture(autouse=True)
def _seed():
    np.random.seed(3)


def test_image_and_labels_are_cut_alike():
    crop = TRANSFORMS.build(dict(type="mmspec.TargetCrop", crop_size=(32, 48)))
    for channels in (None, 1, 3):
        plain = sample((10, 20, 3, 4), channels=channels)
        results = crop(sample((10, 20, 3, 4), channels=channels))
        row, column = corner(results)
        window = (slice(row, row + 32), slice(column, column + 48))
        for key in ("img", "gt_seg_map", "ids"):
            np.testing.assert_array_equal(results[key], plain[key][window])
            assert results[key].flags.c_contiguous
        assert results["img_shape"] == (32, 48)


def test_every_crop_round_a_target_holds_the_whole_of_one_and_all_are_chosen():
    boxes = [(0, 0, 3, 3), (50, 80, 6, 2), (97, 155, 3, 5)]
    seen = set()
    for _ in range(60):
        results = TargetCrop(24, prob=1)(sample(*boxes))
        whole = [
            number
            for number, (_, _, height, width) in enumerate(boxes, 1)
            if (results["ids"] == number).sum() == height * width
        ]
        assert whole
        seen |= set(whole)
    assert seen == {1, 2, 3}


def test_all_places_that_hold_the_target_are_drawn():
    rows, columns = zip(
        *(corner(TargetCrop((8, 6), prob=1)(sample((50, 80, 5, 3)))) for _ in range(300))
    )
    assert set(rows) == {47, 48, 49, 50}
    assert set(columns) == {77, 78, 79, 80}


def test_a_target_larger_than_the_crop():
    for _ in range(40):
        results = TargetCrop(8, prob=1)(sample((20, 30, 20, 2)))
        row, column = corner(results)
        assert 20 <= row <= 32 and 24 <= column <= 30
        assert results["gt_seg_map"].sum() == 16


def test_half_of_the_crops_are_round_a_target():
    # Of plain crops of 10 from 100 x 160 about one in 240 holds the pixel.
    held = [TargetCrop(10)(sample((50, 80, 1, 1)))["gt_seg_map"].any() for _ in range(1000)]
    assert 440 < sum(held) < 560


def test_without_targets_any_place_is_drawn():
    corners = [corner(TargetCrop(90, prob=1)(sample())) for _ in range(200)]
    rows, columns = zip(*corners)
    assert set(rows) == set(range(11)) and min(columns) < 10 and max(columns) > 60


def test_ignored_pixels_are_no_target():
    plain = sample()
    plain["gt_seg_map"][40:60, 40:60] = 255
    corners = {corner(TargetCrop(10, prob=1)(dict(plain))) for _ in range(50)}
    assert len(corners) > 40


def test_a_smaller_image_is_padded_and_not_labelled_there():
    results = TargetCrop((120, 150))(sample((10, 20, 2, 2)))
    assert results["img"].shape == results["gt_seg_map"].shape == (120, 150)
    assert (results["img"][100:] == int(np.arange(16000).mean())).all()
    assert (results["gt_seg_map"][100:] == 255).all() and (results["ids"][100:] == 255).all()
    assert (results["gt_seg_map"][:100] == 1).sum() == 4
    _, column = corner(results)
    assert 0 <= column <= 10
    colour = sample(size=(4, 4), channels=3)
    colour["img"][..., 1] += 100
    padded = TargetCrop(6)(colour)["img"]
    assert padded[5, 5].tolist() == [7, 107, 7]


def test_seeded_by_numpy():
    corners = []
    for _ in range(2):
        np.random.seed(5)
        corners.append([corner(TargetCrop(20)(sample((50, 80, 2, 2)))) for _ in range(10)])
    assert corners[0] == corners[1] and len(set(corners[0])) > 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(crop_size=0), "crop_size must be"),
        (dict(crop_size=(3, 4, 5)), "crop_size must be"),
        (dict(crop_size=8, prob=1.5), "prob=1.5 and clutter=0.0 must be in"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        TargetCrop(**options)


def test_a_label_of_another_size_is_named():
    wrong = sample() | dict(gt_seg_map=np.zeros((9, 9), np.uint8), img_path="a/3.png")
    with pytest.raises(ValueError, match=r"a/3\.png: img is \(100, 160\), gt_seg_map \(9, 9\)"):
        TargetCrop(4)(wrong)


def test_crops_round_clutter_hold_a_bright_speck_that_is_no_target():
    results = sample((50, 80, 4, 4))
    results["img"] = np.full(SIZE, 100, np.float32)
    results["img"][50:54, 80:84] = 255  # the target, the brightest of all
    results["img"][20:23, 30:33] = 180
    results["img"][80:82, 140:142] = 160
    specks = {(21, 31): 0, (81, 141): 0}
    for dtype in (np.uint8, np.uint16, np.float32):
        plain = dict(results, img=results["img"].astype(dtype))
        for _ in range(20):
            cut = TargetCrop(24, prob=0, clutter=1)({**plain, "seg_fields": ["gt_seg_map"]})
            assert not cut["gt_seg_map"].any()  # the others are 20 pixels away and more
            held = [(cut["img"] == level).any() for level in (180, 160)]
            assert sum(held) == 1
            specks[list(specks)[held.index(True)]] += 1
    assert min(specks.values()) > 10


def test_an_image_without_clutter_is_cropped_anywhere():
    plain = dict(img=np.full(SIZE, 7, np.uint8), gt_seg_map=np.zeros(SIZE, np.uint8), seg_fields=[])
    assert TargetCrop(24, prob=0, clutter=1)(plain)["img"].shape == (24, 24)


def test_shares_beyond_all_crops_are_refused():
    with pytest.raises(ValueError, match=r"prob=0.7 and clutter=0.5 must be in \[0, 1\]"):
        TargetCrop(24, prob=0.7, clutter=0.5)
