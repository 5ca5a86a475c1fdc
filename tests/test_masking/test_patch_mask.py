import pytest
import torch

from mmspec.masking import PatchMask


@pytest.fixture
def mask() -> PatchMask:
    ids_keep = torch.tensor([[4, 0], [5, 2]])
    return PatchMask.from_keep(ids_keep, (2, 3))


def test_mask_is_true_where_masked(mask):
    assert mask.mask.tolist() == [
        [False, True, True, True, False, True],
        [True, True, False, True, True, False],
    ]
    assert (mask.num_visible, mask.num_patches) == (2, 6)


def test_ids_restore_undoes_visible_then_masked_order(mask):
    patches = torch.arange(12).view(2, 6)
    visible = patches.gather(1, mask.ids_keep)
    masked = patches[mask.mask].view(2, 4)
    assert torch.equal(torch.cat([visible, masked], 1).gather(1, mask.ids_restore), patches)


def test_gather_then_scatter_keeps_visible_and_fills_masked(mask):
    patches = torch.arange(1.0, 25.0).view(2, 6, 2)
    visible = mask.gather(patches)
    assert torch.equal(visible[0, 0], patches[0, 4])
    assert torch.equal(visible[1, 1], patches[1, 2])
    expected = patches.masked_fill(mask.mask[..., None], 0)
    assert torch.equal(mask.scatter(visible), expected)
    token = torch.tensor([[[-1.0, -2.0]]])
    expected = torch.where(mask.mask[..., None], token, patches)
    assert torch.equal(mask.scatter(visible, token), expected)


def test_gradients_reach_tokens_and_fill(mask):
    visible = torch.randn(2, 2, 3, requires_grad=True)
    token = torch.zeros(1, 1, 3, requires_grad=True)
    mask.scatter(visible, token).sum().backward()
    assert torch.equal(visible.grad, torch.ones(2, 2, 3))
    assert torch.equal(token.grad, torch.full((1, 1, 3), 8.0))


def test_gather_takes_any_trailing_shape(mask):
    assert mask.gather(torch.zeros(2, 6, 4, 4, 5)).shape == (2, 2, 4, 4, 5)


def test_upsample_repeats_patches(mask):
    fine = mask.upsample(2)
    assert fine.shape == (2, 1, 4, 6)
    assert torch.equal(fine[0, 0, ::2, ::2].flatten(), ~mask.mask[0])
    assert torch.equal(fine[:, :, ::2], fine[:, :, 1::2])
    assert torch.equal(fine[..., ::2], fine[..., 1::2])


@pytest.mark.parametrize(
    ("ids_keep", "message"),
    [
        (torch.zeros(2, 3), "int64"),
        (torch.zeros(6, dtype=torch.int64), "batch, visible"),
        (torch.zeros(1, 7, dtype=torch.int64), "7 visible patches do not fit"),
        (torch.zeros(1, 0, dtype=torch.int64), "0 visible patches do not fit"),
    ],
)
def test_wrong_ids_are_refused(ids_keep, message):
    with pytest.raises(ValueError, match=message):
        PatchMask.from_keep(ids_keep, (2, 3))


def test_several_masks_of_an_image_stand_in_a_row():
    ids_keep = torch.tensor([[[4, 0], [1, 5]], [[5, 2], [0, 3]]])
    both = PatchMask.from_keep(ids_keep, (2, 3))
    assert torch.equal(both.ids_keep, ids_keep.flatten(0, 1))
    images = torch.arange(2)[:, None]
    assert both.repeat(images)[:, 0].tolist() == [0, 0, 1, 1]
    assert both.first_of(2).ids_keep.tolist() == [[4, 0], [5, 2]]
    assert both.first_of(4) is both and both.repeat(both.mask) is both.mask
