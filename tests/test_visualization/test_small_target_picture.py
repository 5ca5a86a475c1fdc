"""Pictures of hits, misses and false alarms."""

import numpy as np
import pytest
from PIL import Image

from mmspec.evaluation.small_target import roc_curve, score_histogram
from mmspec.visualization.curves import save_roc_curve
from mmspec.visualization.small_target import (
    BOTH,
    FALSE_ALARM,
    HIT,
    MISS,
    PANEL,
    small_target_picture,
)

SIZE = (120, 160)
HEAD, GAP = 22, 4
PANEL_HEIGHT = round(PANEL * SIZE[0] / SIZE[1])


def scene(truth=(), predicted=()):
    masks = np.zeros((2, *SIZE), np.uint8)
    for mask, boxes in zip(masks, (truth, predicted)):
        for row, column, height, width in boxes:
            mask[row : row + height, column : column + width] = 1
    image = np.random.default_rng(0).integers(60, 90, SIZE).astype(np.uint8)
    return image, masks[0], masks[1] * 0.9


def panel(picture, row, column):
    top, left = HEAD + GAP + row * (PANEL_HEIGHT + GAP), GAP + column * (PANEL + GAP)
    return picture[top : top + PANEL_HEIGHT, left : left + PANEL]


def rows_of(picture):
    return (picture.shape[0] - HEAD - 20 - GAP) // (PANEL_HEIGHT + GAP)


def colours(pixels):
    return {tuple(c) for c in np.unique(pixels.reshape(-1, 3), axis=0).tolist()}


def test_hit_miss_and_false_alarm_in_their_colours():
    image, truth, score = scene(
        truth=[(20, 20, 2, 2), (60, 100, 3, 3)], predicted=[(20, 20, 2, 3), (90, 30, 4, 4)]
    )
    picture = small_target_picture(image, truth, score)
    assert picture.dtype == np.uint8 and picture.shape[1] == 4 * (PANEL + GAP) + GAP
    assert rows_of(picture) == 4
    result = colours(panel(picture, 0, 3))
    assert {HIT, MISS, FALSE_ALARM} <= result and BOTH not in result
    assert {HIT, MISS} <= colours(panel(picture, 0, 1))
    # The windows: the miss, the hit, the false alarm.
    for row, colour in ((1, MISS), (2, HIT), (3, FALSE_ALARM)):
        assert colours(panel(picture, row, 3)) & {HIT, MISS, FALSE_ALARM} == {colour}
        centre = panel(picture, row, 3)[PANEL_HEIGHT // 2, PANEL // 2]
        assert tuple(centre.tolist()) == colour


def test_a_miss_under_a_false_alarm_is_seen():
    image, truth, score = scene(truth=[(40, 40, 2, 2)], predicted=[(38, 38, 4, 20)])
    picture = small_target_picture(image, truth, score)
    assert {FALSE_ALARM, BOTH} <= colours(panel(picture, 1, 3))
    assert BOTH in colours(picture[-20:])  # named in the legend
    assert BOTH not in colours(small_target_picture(*scene(truth=[(40, 40, 2, 2)]))[-20:])


@pytest.mark.parametrize("corner", [(0, 0), (117, 157)])
def test_windows_stay_inside(corner):
    image, truth, score = scene(truth=[(*corner, 3, 3)], predicted=[(*corner, 3, 3)])
    picture = small_target_picture(image, truth, score)
    assert rows_of(picture) == 2
    assert HIT in colours(panel(picture, 1, 3))


def test_three_windows_at_most_and_neighbours_share_one():
    many = [(10, 20 * i, 2, 2) for i in range(8)]
    assert rows_of(small_target_picture(*scene(truth=many))) == 4
    near = [(50, 50, 2, 2), (56, 58, 2, 2)]
    assert rows_of(small_target_picture(*scene(truth=near))) == 2


def test_nothing_there_and_nothing_found():
    picture = small_target_picture(*scene())
    assert rows_of(picture) == 1
    assert not {HIT, MISS, FALSE_ALARM} & colours(panel(picture, 0, 3))


def test_ignored_pixels_are_neither():
    image, truth, score = scene(predicted=[(20, 20, 4, 4)])
    truth[15:30, 15:30] = 255
    picture = small_target_picture(image, truth, score)
    assert FALSE_ALARM not in colours(panel(picture, 0, 3))
    assert (90, 90, 90) in colours(panel(picture, 0, 1))


def test_a_large_target_fits_into_its_window():
    image, truth, score = scene(truth=[(30, 40, 60, 70)], predicted=[(30, 40, 60, 70)])
    zoomed = panel(small_target_picture(image, truth, score), 1, 3)
    green = (zoomed == HIT).all(axis=-1)
    assert green.any() and not green[0].any() and not green[:, 0].any()


def test_colour_images_are_shown_as_they_are():
    _, truth, score = scene()
    colour = np.full((*SIZE, 3), (10, 200, 30), np.uint8)
    picture = small_target_picture(colour, truth, score)
    assert colours(panel(picture, 0, 0)) == {(10, 200, 30)}


def test_roc_curve_as_a_file(tmp_path):
    rng = np.random.default_rng(0)
    target = rng.random(2000) < 0.05
    curve = roc_curve(score_histogram(np.clip(rng.random(2000) * 0.6 + 0.3 * target, 0, 1), target))
    save_roc_curve(curve, tmp_path / "roc.png")
    with Image.open(tmp_path / "roc.png") as picture:
        assert picture.size == (960, 432)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20
