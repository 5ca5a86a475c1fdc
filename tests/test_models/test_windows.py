"""Attention in windows: exact against global attention, crops and mmpretrain's ViTSAM."""

import pytest
import torch
import torch.nn.functional as F

from mmspec.masking import PatchMask, random_keep
from mmspec.models.backbones import ConvViT
from mmspec.models.layers.attention import Attention
from mmspec.models.layers.windows import from_windows, to_windows

ARCH = dict(embed_dims=(8, 12, 16), depths=(1, 1, 3), num_heads=2, mlp_ratios=(4, 3, 2))


def encoder(**kwargs) -> ConvViT:
    """Weights that depend on names alone, relative positions away from zero."""
    torch.manual_seed(0)
    plain = ConvViT(ARCH, **(kwargs | dict(use_rel_pos=False)))
    model = ConvViT(ARCH, **kwargs)
    model.load_state_dict(plain.state_dict(), strict=False)
    for name, parameter in model.named_parameters():
        if "rel_pos" in name:
            torch.nn.init.normal_(parameter)
    return model.eval()


@pytest.mark.parametrize("grid", [(6, 8), (5, 7), (3, 20), (1, 1), (8, 4), (9, 2)])
@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_windows_come_back_as_the_grid(grid, size):
    rows, columns = grid
    x = torch.randn(2, rows * columns, 3)
    windows, (height, width) = to_windows(x, grid, size)
    assert (height, width) == (min(size, rows), min(size, columns))
    across = -(-columns // width)
    assert windows.shape == (2 * -(-rows // height) * across, height * width, 3)
    assert torch.equal(from_windows(windows, grid, (height, width)), x)
    # The second image's last window: the bottom right corner, filled up by zeros.
    corner = x[1].view(rows, columns, 3)[(rows - 1) // height * height :]
    corner = corner[:, (columns - 1) // width * width :]
    corner = F.pad(corner, (0, 0, 0, width - corner.shape[1], 0, height - corner.shape[0]))
    assert torch.equal(windows[-1], corner.flatten(0, 1))


@pytest.mark.parametrize("rel_pos", [False, True])
def test_windows_equal_attention_over_each_crop(rel_pos):
    torch.manual_seed(0)
    windowed = Attention(16, 2, rel_pos_grid=4 if rel_pos else None, window_size=4)
    alone = Attention(16, 2, rel_pos_grid=4 if rel_pos else None)
    if rel_pos:
        torch.nn.init.normal_(windowed.rel_pos_h)
        torch.nn.init.normal_(windowed.rel_pos_w)
    alone.load_state_dict(windowed.state_dict())
    image = torch.randn(2, 8, 12, 16)
    together = windowed(image.flatten(1, 2), (8, 12)).unflatten(1, (8, 12))
    for row in (0, 4):
        for column in (0, 4, 8):
            crop = (slice(None), slice(row, row + 4), slice(column, column + 4))
            expected = alone(image[crop].flatten(1, 2), (4, 4)).unflatten(1, (4, 4))
            assert torch.allclose(together[crop], expected, atol=1e-6)


@pytest.mark.parametrize("grid", [(10, 17), (14, 7), (8, 9)])
def test_windows_are_those_of_vitdet(grid):
    """mmpretrain's ViTSAM as the reference: zeros fill up; relative positions of an unscaled q."""
    from mmpretrain.models.backbones import vit_sam

    torch.manual_seed(0)
    ours = Attention(32, 4, rel_pos_grid=5, window_size=7)
    theirs = vit_sam.Attention(32, 4, use_rel_pos=True, input_size=(7, 7))
    torch.nn.init.normal_(ours.rel_pos_h)
    torch.nn.init.normal_(ours.rel_pos_w)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, grid[0] * grid[1], 32)
    windows, padded = vit_sam.window_partition(x.unflatten(1, grid), 7)
    expected = vit_sam.window_unpartition(theirs(windows), 7, padded, grid).flatten(1, 2)
    assert torch.allclose(ours(x, grid), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 96), (50, 90)])
def test_a_window_over_the_whole_grid_is_global(size):
    image = torch.randn(2, 3, *size)
    for f, g in zip(encoder(window_size=6)(image), encoder()(image)):
        assert torch.equal(f, g)
    assert not torch.allclose(encoder(window_size=3)(image)[2], encoder()(image)[2], atol=1e-3)


@pytest.mark.parametrize("size", [(224, 224), (200, 331), (37, 50), (16, 16), (16, 500)])
@pytest.mark.parametrize("rel_pos", [False, True])
def test_any_size(size, rel_pos):
    with torch.no_grad():
        maps = encoder(window_size=4, use_rel_pos=rel_pos)(torch.randn(1, 3, *size))
    expected = [tuple(-(-side // stride) for side in size) for stride in (4, 8, 16, 32)]
    assert [tuple(f.shape[2:]) for f in maps] == expected
    assert all(torch.isfinite(f).all() for f in maps)


def test_global_blocks_carry_what_windows_keep():
    image = torch.randn(1, 3, 96, 96)
    changed = image.clone()
    changed[..., 80:, 80:] += 1  # stages 1 and 2 carry it 24 pixels, into no other window
    differs = {}
    for second_block in (3, 0):
        model = encoder(window_size=3)
        model.stages[2][1].attn.window_size = second_block
        change = (model(image)[2] - model(changed)[2]).abs().amax(1)[0]
        differs[second_block] = change[:3, :3].max() > 0
    assert differs == {3: False, 0: True}


def test_every_third_block_is_global_by_default():
    with torch.device("meta"):
        base = ConvViT("base", window_size=14, use_rel_pos=True, pretrain_grid=16)
    sizes = [block.attn.window_size for block in base.stages[2]]
    assert [i for i, size in enumerate(sizes) if size == 0] == [1, 4, 7, 10]
    assert set(sizes) == {0, 14}
    tables = [block.attn.rel_pos_w.shape[0] for block in base.stages[2]]
    assert tables == [31 if size == 0 else 27 for size in sizes]


def test_positions_of_a_small_window_are_the_middle_of_the_table():
    """Two tokens are as far apart in a small image as in a large one."""
    torch.manual_seed(0)
    attention = Attention(16, 2, rel_pos_grid=5, window_size=5)
    torch.nn.init.normal_(attention.rel_pos_h)
    torch.nn.init.normal_(attention.rel_pos_w)
    q = torch.randn(1, 2, 25, 8)
    whole = attention._relative_bias(q, (5, 5)).view(1, 2, 5, 5, 5, 5)
    part = attention._relative_bias(q.view(1, 2, 5, 5, 8)[:, :, :3, :4].flatten(2, 3), (3, 4))
    expected = whole[:, :, :3, :4, :3, :4].flatten(4).flatten(2, 3)
    assert torch.allclose(part, expected, atol=1e-6)


def test_one_checkpoint_serves_the_masked_and_the_windowed_forward():
    windowed = encoder(pretraining=True, window_size=2)
    plain = encoder(pretraining=True)
    windowed.load_state_dict(plain.state_dict(), strict=True)
    images = torch.randn(2, 3, 64, 96)
    mask = PatchMask.from_keep(random_keep(2, 24, 6), (4, 6))
    assert torch.equal(windowed(images, mask), plain(images, mask))
    assert not torch.allclose(windowed(images)[2], plain(images)[2], atol=1e-3)


def test_relative_positions_refuse_a_mask():
    model = encoder(pretraining=True, use_rel_pos=True)
    mask = PatchMask.from_keep(torch.tensor([[0]]), (2, 2))
    with pytest.raises(RuntimeError, match="use_rel_pos=False"):
        model(torch.zeros(1, 3, 32, 32), mask)


@pytest.mark.parametrize("rel_pos", [False, True])
def test_checkpointing_changes_neither_output_nor_gradient(rel_pos):
    image = torch.randn(1, 3, 70, 100)
    results = []
    for with_cp in (False, True):
        model = encoder(window_size=3, use_rel_pos=rel_pos, with_cp=with_cp)
        maps = model(image)
        sum(f.square().sum() for f in maps).backward()
        assert [n for n, p in model.named_parameters() if p.grad is None] == []
        results.append([*maps, *(p.grad for p in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results))


@pytest.fixture
def fresh_compiler():
    """What other tests have compiled must not make sizes symbolic here, nor here for them."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_windows_compile_as_one_graph(fresh_compiler):
    model = encoder(window_size=3, use_rel_pos=True)
    image = torch.randn(1, 3, 70, 100)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        for ours, plain in zip(compiled(image), model(image)):
            assert torch.allclose(ours, plain, atol=1e-5)


def test_a_negative_window_is_named():
    with pytest.raises(ValueError, match="window_size=-1"):
        ConvViT(ARCH, window_size=-1)
