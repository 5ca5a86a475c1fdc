"""Tiles of large images, and one result from theirs."""

import pytest
import torch
from mmengine.structures import InstanceData

from mmspec.apis import InputError
from mmspec.apis.tiles import blended, merged_instances, tile_windows


def test_tiles_cover_the_image_with_one_size():
    windows = tile_windows((100, 250), (64, 96), 16)
    assert {(below - top, right - left) for top, left, below, right in windows} == {(64, 96)}
    seen = torch.zeros(100, 250)
    for top, left, below, right in windows:
        seen[top:below, left:right] += 1
    assert seen.min() == 1
    assert len(set(windows)) == len(windows) == 2 * 3
    assert tile_windows((50, 60), (64, 96), 16) == [(0, 0, 50, 60)]


@pytest.mark.parametrize(("tile", "overlap"), [((64, 64), 64), ((64, 32), 40), ((64, 64), -1)])
def test_tiles_that_cannot_be(tile, overlap):
    with pytest.raises(InputError, match="0 <= overlap < tile"):
        tile_windows((100, 100), tile, overlap)


def test_maps_are_blended():
    windows = tile_windows((64, 100), (64, 64), 28)
    whole = torch.rand(2, 64, 100)
    parts = [whole[:, top:below, left:right] for top, left, below, right in windows]
    assert torch.allclose(blended(parts, windows, (64, 100)), whole, atol=1e-6)
    steps = blended([torch.zeros(1, 64, 64), torch.ones(1, 64, 64)], windows, (64, 100))[0, 32]
    assert (steps.diff() >= 0).all() and steps[0] == 0 and steps[-1] == 1
    assert steps.diff().max() < 0.2


def found(*boxes, score=0.9, label=0, size=(64, 64)) -> InstanceData:
    count = len(boxes)
    masks = torch.zeros(count, *size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = True
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        scores=torch.full((count,), score),
        labels=torch.full((count,), label),
        masks=masks,
    )


def test_an_object_in_two_tiles_is_one():
    windows = tile_windows((64, 100), (64, 64), 28)
    # At x 40 to 60 of the image, seen by both; and one that each tile has for itself.
    merged = merged_instances(
        [found((40, 10, 60, 20), (2, 2, 9, 9)), found((4, 10, 24, 20), (50, 2, 60, 9), score=0.8)],
        windows,
        (64, 100),
    )
    assert merged.bboxes.tolist() == [[40, 10, 60, 20], [2, 2, 9, 9], [86, 2, 96, 9]]
    assert merged.masks.shape == (3, 64, 100)
    assert merged.masks[2].nonzero().min(0).values.tolist() == [2, 86]


def test_the_part_of_an_object_at_a_cut_goes_to_the_whole():
    windows = tile_windows((64, 100), (64, 64), 28)
    parts = [found((56, 10, 64, 20), score=0.95), found((20, 10, 56, 20))]
    merged = merged_instances(parts, windows, (64, 100))
    assert merged.bboxes.tolist() == [[56, 10, 92, 20]]
    # Of another class, and where nothing is cut, it is an object of its own.
    parts[0].labels += 1
    assert len(merged_instances(parts, windows, (64, 100))) == 2
    inside = [found((40, 10, 48, 20), score=0.95), found((0, 10, 36, 20))]
    assert len(merged_instances(inside, windows, (64, 100))) == 2


def test_a_doubtful_box_around_an_object_does_not_delete_it():
    windows = tile_windows((64, 100), (64, 64), 28)
    parts = [found((56, 10, 64, 20), score=0.95), found((18, 5, 60, 40), score=0.06)]
    assert 0.95 in merged_instances(parts, windows, (64, 100)).scores.numpy().round(2)
