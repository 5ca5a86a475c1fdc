import pytest
import torch

from mmspec.masking import random_keep, select_by_rank, visible_count


def test_every_fourth_rank_of_descending_scores():
    scores = torch.tensor([[3.0, 7, 1, 0, 6, 2, 5, 4]])
    assert select_by_rank(scores, 4).tolist() == [[1, 0]]  # ranks 0 and 4: scores 7 and 3
    assert select_by_rank(scores, 4, descending=False).tolist() == [[3, 7]]  # 0 and 4


@pytest.mark.parametrize("stride", [1, 2, 4, 7, 14])
def test_the_papers_strides_on_a_14x14_grid(stride):
    scores = torch.arange(196.0, 0, -1)[None]
    assert select_by_rank(scores, stride).tolist() == [list(range(0, 196, stride))]


def test_a_stride_that_does_not_divide_spreads_over_all_ranks():
    scores = torch.arange(11.0, 0, -1)[None]
    assert select_by_rank(scores, 3).tolist() == [[0, 3, 7]]
    assert select_by_rank(scores, 2).tolist() == [[0, 2, 4, 6, 8]]


def test_ties_keep_the_order_of_the_grid():
    assert select_by_rank(torch.zeros(1, 8), 4).tolist() == [[0, 4]]
    assert select_by_rank(torch.zeros(1, 8), 4, descending=False).tolist() == [[0, 4]]


@pytest.mark.parametrize(
    ("num_patches", "ratio", "expected"), [(196, 0.75, 49), (196, 0.9, 19), (3, 0.99, 1)]
)
def test_visible_count(num_patches, ratio, expected):
    assert visible_count(num_patches, ratio) == expected


def test_wrong_arguments_are_named():
    for stride in (0, 9):
        with pytest.raises(ValueError, match=f"stride={stride} is outside 1..8"):
            select_by_rank(torch.zeros(1, 8), stride)
    with pytest.raises(ValueError, match="ratio=1.0"):
        visible_count(8, 1.0)
    with pytest.raises(ValueError, match="keep=9 is outside 1..8"):
        random_keep(1, 8, 9)


def test_random_keep_draws_distinct_patches_by_torchs_generator():
    draw = []
    for _ in range(2):
        torch.manual_seed(1)
        draw.append(random_keep(3, 20, 5))
    assert torch.equal(*draw)
    assert all(len(set(row)) == 5 and max(row) < 20 for row in draw[0].tolist())
    assert len({tuple(row) for row in draw[0].tolist()}) == 3


@pytest.mark.parametrize(("num_patches", "stride"), [(196, 4), (196, 14), (11, 3), (11, 2), (8, 8)])
def test_masks_of_all_phases_have_no_patch_in_common(num_patches, stride):
    scores = torch.rand(3, num_patches, generator=torch.Generator().manual_seed(0))
    masks = select_by_rank(scores, stride, phases=torch.arange(stride))
    keep = num_patches // stride
    assert masks.shape == (3, stride, keep)
    assert torch.equal(masks[:, 0], select_by_rank(scores, stride))
    for row in masks.flatten(1).tolist():
        assert len(set(row)) == stride * keep


def test_a_phase_moves_every_rank_on():
    scores = torch.arange(8.0, 0, -1).expand(2, -1)
    phases = torch.tensor([[0], [3]])  # of each image its own
    assert select_by_rank(scores, 4, phases=phases).tolist() == [[[0, 4]], [[3, 7]]]
