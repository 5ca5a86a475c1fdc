import pytest
import torch

from mmspec.masking import information_keep, random_keep, select_by_rank, visible_count


def test_every_fourth_rank_of_descending_scores():
    scores = torch.tensor([[3.0, 7, 1, 0, 6, 2, 5, 4]])
    assert select_by_rank(scores, 2).tolist() == [[1, 0]]  # ranks 0 and 4: scores 7 and 3
    assert select_by_rank(scores, 2, phase=3).tolist() == [[7, 3]]  # ranks 3 and 7: 4 and 0
    assert select_by_rank(scores, 2, "ascending").tolist() == [[3, 7]]  # 0 and 4


@pytest.mark.parametrize("stride", [1, 2, 4, 7, 14])
def test_the_papers_strides_on_a_14x14_grid(stride):
    scores = torch.arange(196.0, 0, -1)[None]
    for phase in range(stride):
        expected = list(range(phase, 196, stride))
        assert information_keep(scores, stride, phase=phase).tolist() == [expected]


def test_any_ratio_spreads_over_all_ranks():
    scores = torch.arange(10.0, 0, -1)[None]
    assert information_keep(scores, None, ratio=0.6).tolist() == [[0, 2, 5, 7]]
    assert information_keep(scores, None, ratio=0.0).tolist() == [list(range(10))]


def test_ties_keep_the_order_of_the_grid():
    assert information_keep(torch.zeros(1, 8), 4).tolist() == [[0, 4]]
    assert information_keep(torch.zeros(1, 8), 4, order="ascending").tolist() == [[0, 4]]


def test_random_phase_differs_by_image_and_stays_in_range():
    torch.manual_seed(0)
    scores = torch.arange(196.0, 0, -1).expand(64, -1)
    keep = information_keep(scores, 4, phase="random")
    assert set(keep[:, 0].tolist()) == {0, 1, 2, 3}
    assert torch.equal(keep, keep[:, :1] + torch.arange(0, 196, 4))


@pytest.mark.parametrize(
    ("num_patches", "stride", "ratio", "expected"),
    [(196, 4, None, 49), (197, 4, None, 49), (196, None, 0.75, 49), (196, None, 0.9, 19),
     (3, None, 0.99, 1)],
)  # fmt: skip
def test_visible_count(num_patches, stride, ratio, expected):
    assert visible_count(num_patches, stride, ratio) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(stride=None), "either stride or ratio"),
        (dict(stride=4, ratio=0.5), "either stride or ratio"),
        (dict(stride=0), "stride=0"),
        (dict(stride=9), "stride=9"),
        (dict(stride=None, ratio=1.0), "ratio=1.0"),
        (dict(order="up"), "order='up'"),
        (dict(phase=4), "phase=4"),
        (dict(phase="any"), "phase='any'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        information_keep(torch.zeros(1, 8), **arguments)


def test_random_keep_draws_distinct_patches_by_generator():
    draw = [random_keep(3, 20, 5, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*draw)
    assert all(len(set(row)) == 5 and max(row) < 20 for row in draw[0].tolist())
    assert len({tuple(row) for row in draw[0].tolist()}) == 3
