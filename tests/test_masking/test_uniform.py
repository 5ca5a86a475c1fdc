"""Uniform sampling with secondary masking, and the encoder that works on the compact image."""

import pytest
import torch

from mmspec.masking import UniformMask, uniform_mask
from mmspec.models.backbones import MaskedSwin
from mmspec.models.backbones.masked_swin import compact_image
from mmspec.models.maskers import UniformMasker
from mmspec.models.selfsup import InfMAE

ARCH = dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 2, 3, 4])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("grid", [(14, 14), (4, 6), (2, 2)])
def test_one_patch_in_every_window(grid):
    rows, columns = grid
    ids = uniform_mask(64, grid).ids_keep
    assert ids.shape == (64, rows * columns // 4)
    window = torch.stack([ids // columns // 2, ids % columns // 2], dim=-1)
    expected = torch.cartesian_prod(torch.arange(rows // 2), torch.arange(columns // 2))
    assert torch.equal(window, expected.expand_as(window))
    # Each of the four places of a window is drawn about as often as the others.
    place = ids // columns % 2 * 2 + ids % columns % 2
    share = place.flatten().bincount(minlength=4) / place.numel()
    assert share.min() > 0.1 and share.max() < 0.4


def test_windows_are_drawn_on_their_own():
    ids = uniform_mask(256, (4, 4)).ids_keep
    place = ids // 4 % 2 * 2 + ids % 4 % 2
    assert len(place.unique(dim=0)) > 100


def test_the_same_seed_gives_the_same_masks():
    draws = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        draws.append(uniform_mask(3, (8, 8)))
    assert torch.equal(draws[0].ids_keep, draws[1].ids_keep)
    assert torch.equal(draws[0].secondary, draws[1].secondary)
    assert not torch.equal(draws[0].ids_keep, draws[2].ids_keep)


@pytest.mark.parametrize("grid", [(13, 14), (14, 13)])
def test_odd_grids_are_refused(grid):
    with pytest.raises(ValueError, match=f"{grid[0]}x{grid[1]} patches has an odd side"):
        uniform_mask(1, grid)


@pytest.mark.parametrize(
    ("grid", "ratio", "hidden"), [((14, 14), 0.25, 12), ((4, 8), 0.0, 0), ((4, 4), 0.5, 2)]
)
def test_secondary_mask_hides_an_exact_share(grid, ratio, hidden):
    mask = uniform_mask(5, grid, ratio).secondary
    assert mask.shape == (5, grid[0] * grid[1] // 4)
    assert mask.sum(1).tolist() == [hidden] * 5


def test_secondary_ratio_must_leave_something():
    with pytest.raises(ValueError, match=r"ratio=1.0 is outside \[0, 1\)"):
        uniform_mask(1, (4, 4), 1.0)


def test_hidden_patches_count_as_masked():
    ids = torch.tensor([[1, 2, 12, 15]])
    secondary = torch.tensor([[False, True, False, False]])
    mask = UniformMask.from_sampled(ids, secondary, (4, 4))
    visible = (~mask.mask[0]).nonzero().flatten().tolist()
    assert visible == [1, 12, 15]
    assert mask.compact_grid == (2, 2)
    # Tokens of all sampled patches, hidden ones too, go back to their places.
    canvas = mask.scatter(torch.arange(1.0, 5).view(1, 4, 1))[0, :, 0]
    assert {i: v for i, v in enumerate(canvas.tolist()) if v} == {1: 1, 2: 2, 12: 3, 15: 4}


def test_masker_gives_what_the_paper_says():
    mask = UniformMasker(secondary_ratio=0.25)(torch.zeros(2, 3, 224, 224))
    assert mask.grid == (14, 14)
    assert mask.num_visible == 49
    assert mask.mask.sum(1).tolist() == [147 + 12] * 2


def test_compact_image_holds_the_sampled_patches():
    numbers = torch.arange(16.0).view(1, 1, 4, 4)
    images = numbers.repeat_interleave(16, 2).repeat_interleave(16, 3)
    images = images + torch.rand(16, 16, generator=generator()).mul(0.5).repeat(4, 4)
    ids = torch.tensor([[5, 2, 8, 15]])
    mask = UniformMask.from_sampled(ids, torch.zeros(1, 4, dtype=torch.bool), (4, 4))
    compact = compact_image(images, mask)
    assert compact.shape == (1, 1, 32, 32)
    for window, patch in enumerate(ids[0].tolist()):
        row, column = patch // 4 * 16, patch % 4 * 16
        i, j = window // 2 * 16, window % 2 * 16
        expected = images[..., row : row + 16, column : column + 16]
        assert torch.equal(compact[..., i : i + 16, j : j + 16], expected)


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_one_token_a_sampled_patch(size):
    encoder = MaskedSwin(ARCH, pretraining=True, token_dims=20)
    images = torch.randn(2, 3, *size, generator=generator())
    mask = UniformMasker()(images)
    assert encoder(images, mask).shape == (2, size[0] * size[1] // 1024, 20)


def test_neither_unsampled_nor_hidden_pixels_are_seen():
    encoder = MaskedSwin(ARCH, pretraining=True, token_dims=20, drop_path_rate=0.0)
    images = torch.randn(1, 3, 64, 64, generator=generator())
    mask = UniformMasker(secondary_ratio=0.5)(images)
    with torch.no_grad():
        tokens = encoder(images, mask)
        unseen = mask.mask.view(1, 1, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
        changed = encoder(torch.where(unseen, torch.randn(images.shape), images), mask)
        seen = encoder(torch.where(unseen, images, images + 1), mask)
    assert torch.equal(tokens, changed)
    assert not torch.allclose(tokens, seen)


def test_a_step_teaches_encoder_mask_token_and_decoder():
    model = InfMAE(
        backbone=dict(
            type="mmspec.MaskedSwin",
            arch=ARCH,
            pretraining=True,
            token_dims=20,
            drop_path_rate=0.0,
        ),
        masker=dict(type="mmspec.UniformMasker"),
        neck=dict(type="mmspec.InfMAEDecoder", in_dims=20, dims=32, depth=1, num_heads=2),
        head=dict(type="mmspec.ReconstructionHead"),
    )
    images = torch.randn(2, 3, 128, 128, generator=generator())
    model.loss(images, [])["loss"].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    result = model.reconstruct(images)
    hidden = result.mask.mask.sum().item()
    assert hidden == 2 * (48 + 4)


def test_fine_tuning_encoder_has_no_parts_of_pretraining():
    encoder = MaskedSwin(ARCH, out_indices=(0, 1, 2, 3))
    encoder.init_weights()
    names = {name.split(".")[0] for name, _ in encoder.named_parameters()}
    assert names == {"patch_embed", "stages", "norm0", "norm1", "norm2", "norm3"}
    maps = encoder(torch.randn(1, 3, 60, 90))
    assert [tuple(m.shape) for m in maps] == [
        (1, 12, 15, 23),
        (1, 24, 8, 12),
        (1, 48, 4, 6),
        (1, 96, 2, 3),
    ]
    with pytest.raises(RuntimeError, match="pretraining=True"):
        encoder(torch.randn(1, 3, 64, 64), UniformMasker()(torch.zeros(1, 3, 64, 64)))


def test_pretrained_weights_reach_the_fine_tuned_encoder(tmp_path):
    pretrained = MaskedSwin(ARCH, pretraining=True)
    path = tmp_path / "epoch_1.pth"
    state = {f"backbone.{name}": value for name, value in pretrained.state_dict().items()}
    torch.save(dict(state_dict=state), path)
    encoder = MaskedSwin(
        ARCH,
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=str(path)),
    )
    encoder.init_weights()
    own = encoder.state_dict()
    for name, value in pretrained.state_dict().items():
        if not name.startswith(("mask_token", "expand.")):
            assert torch.equal(own[name], value), name
