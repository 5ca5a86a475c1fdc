import sys
from pathlib import Path

import pytest
import torch

from mmspec.masking import PatchMask, random_keep
from mmspec.models.backbones import ConvViT
from mmspec.models.layers.position import sincos_positions

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "analysis_tools"))
from as_released import dense_masked_forward

ARCH = dict(embed_dims=(8, 12, 16), depths=(2, 2, 2), num_heads=2, mlp_ratios=(4, 3, 2))


def small(**kwargs) -> ConvViT:
    torch.manual_seed(0)
    encoder = ConvViT(ARCH, **kwargs)
    # Biases and norms away from their neutral start, so that a wrong one shows.
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return encoder


@pytest.mark.parametrize("size", [(224, 224), (64, 96), (480, 640), (37, 50), (16, 16), (200, 331)])
def test_dense_maps_have_the_strides_of_a_pyramid(size):
    with torch.no_grad():
        maps = small()(torch.randn(1, 3, *size))
    height, width = size
    expected = [
        (channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip((8, 12, 16, 16), (4, 8, 16, 32))
    ]
    assert [tuple(f.shape[1:]) for f in maps] == expected


def test_out_indices_and_channels():
    encoder = small(out_indices=(1, 3))
    assert encoder.out_channels == (12, 16)
    assert [f.shape[1] for f in encoder(torch.randn(1, 3, 32, 32))] == [12, 16]


def test_padding_does_not_touch_what_it_cannot_reach():
    """A map's top left corner is the same whether the image ends early or is padded by hand."""
    encoder = small().eval()
    image = torch.randn(1, 3, 40, 50)
    padded = torch.nn.functional.pad(image, (0, 14, 0, 8))
    for f, g in zip(encoder(image), encoder(padded)):
        assert torch.equal(f, g[..., : f.shape[-2], : f.shape[-1]])


@pytest.mark.parametrize(("size", "keep"), [((64, 64), 4), ((48, 80), 5), ((32, 96), 12)])
def test_visible_computation_equals_the_dense_masked_one(size, keep):
    encoder = small(pretraining=True, out_indices=(0, 1, 2))
    images = torch.randn(2, 3, *size)
    grid = (size[0] // 16, size[1] // 16)
    mask = PatchMask.from_keep(random_keep(2, grid[0] * grid[1], keep), grid)
    results = []
    for forward in (encoder, lambda x, m: dense_masked_forward(encoder, x, m)):
        encoder.zero_grad()
        x = images.clone().requires_grad_()
        # Without oneDNN: torch 2.1's gives the dense form's images and weights wrong gradients
        # (far from those in float64), the visible form right ones.
        with torch.backends.mkldnn.flags(enabled=False):
            tokens = forward(x, mask)
            (tokens * torch.linspace(-1, 1, tokens.numel()).view_as(tokens)).sum().backward()
        results.append([tokens.detach(), x.grad, *(p.grad.clone() for p in encoder.parameters())])
    with torch.backends.mkldnn.flags(enabled=True):
        encoder.zero_grad()
        x = images.clone().requires_grad_()
        tokens = encoder(x, mask)
        (tokens * torch.linspace(-1, 1, tokens.numel()).view_as(tokens)).sum().backward()
        assert torch.allclose(x.grad, results[1][1], atol=1e-5, rtol=1e-5)
    names = ["tokens", "images", *(name for name, _ in encoder.named_parameters())]
    for name, visible, dense in zip(names, *results):
        assert torch.allclose(visible, dense, atol=1e-5, rtol=1e-5), name
    assert results[0][1].abs().sum() > 0


def test_all_visible_in_grid_order_equals_the_dense_stages():
    encoder = small(pretraining=True, out_indices=(2,), final_norm=True)
    images = torch.randn(1, 3, 32, 48)
    mask = PatchMask.from_keep(torch.arange(6)[None], (2, 3))
    for conv in encoder.fuse:
        torch.nn.init.zeros_(conv.weight)
        torch.nn.init.zeros_(conv.bias)
    dense = encoder(images)[0].flatten(2).transpose(1, 2)
    assert torch.allclose(encoder(images, mask), dense, atol=1e-5)


def test_masked_patches_do_not_leak():
    encoder = small(pretraining=True, out_indices=(2,))
    images = torch.randn(1, 3, 48, 48)
    mask = PatchMask.from_keep(torch.tensor([[0, 4, 5]]), (3, 3))
    changed = images.clone()
    changed[..., :16, 16:32] += 100  # patch 1, masked
    assert torch.equal(encoder(images, mask), encoder(changed, mask))
    changed[..., :16, :16] += 1  # patch 0, visible
    assert not torch.allclose(encoder(images, mask), encoder(changed, mask))


def test_every_parameter_of_pretraining_gets_a_gradient():
    encoder = small(pretraining=True, out_indices=(0, 1, 2))
    mask = PatchMask.from_keep(random_keep(1, 4, 2), (2, 2))
    encoder(torch.randn(1, 3, 32, 32), mask).square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None] == []


def test_every_parameter_of_a_backbone_gets_a_gradient():
    encoder = small(final_norm=True, use_rel_pos=True)
    sum(f.square().sum() for f in encoder(torch.randn(1, 3, 32, 48))).backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("indices", [(0,), (1,), (2,), (3,), (0, 1), (0, 2), (1, 3), (0, 1, 2)])
@pytest.mark.parametrize("frozen", [-1, 1, 3])
def test_some_of_the_maps_need_no_parameter_without_a_gradient(indices, frozen):
    encoder = small(out_indices=indices, frozen_stages=frozen, use_rel_pos=True).train()
    encoder.init_weights()
    image = torch.randn(1, 3, 48, 80)
    maps = encoder(image)
    if any(f.requires_grad for f in maps):
        sum(f.square().sum() for f in maps).backward()
    learning = {n: p for n, p in encoder.named_parameters() if p.requires_grad}
    assert [n for n, p in learning.items() if p.grad is None] == []
    depths = [encoder.get_layer_depth(n) for n, _ in encoder.named_parameters()]
    assert len({total for _, total in depths}) == 1
    whole = small(use_rel_pos=True)
    whole.load_state_dict(encoder.state_dict(), strict=False)
    for f, g in zip(maps, [whole(image)[i] for i in indices], strict=True):
        assert torch.allclose(f, g, atol=1e-5)


def test_options_of_maps_that_are_not_built_are_refused():
    with pytest.raises(ValueError, match=r"out_indices=\(0, 1\) leaves out F3"):
        ConvViT(ARCH, out_indices=(0, 1), final_norm=True)
    with pytest.raises(ValueError, match=r"out_indices=\(\)"):
        ConvViT(ARCH, out_indices=())


def test_relative_positions_start_neutral_and_serve_any_grid():
    plain, relative = small().eval(), ConvViT(ARCH, use_rel_pos=True).eval()
    missing = relative.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing and all("rel_pos" in name for name in missing)
    image = torch.randn(1, 3, 64, 96)
    for f, g in zip(plain(image), relative(image)):
        assert torch.allclose(f, g, atol=1e-5)
    for block in relative.stages[2]:
        torch.nn.init.normal_(block.attn.rel_pos_h)
    assert not torch.allclose(plain(image)[2], relative(image)[2], atol=1e-3)


def test_relative_bias_is_that_of_the_definition():
    """MViTv2, equation 4: q . (r_h[i - i'] + r_w[j - j'])."""
    block = ConvViT(ARCH, use_rel_pos=True, pretrain_grid=3).stages[2][0].attn
    torch.nn.init.normal_(block.rel_pos_h)
    torch.nn.init.normal_(block.rel_pos_w)
    q = torch.randn(1, 2, 9, 8)
    bias = block._relative_bias(q, (3, 3))
    for a in range(9):
        for b in range(9):
            r_h = block.rel_pos_h[a // 3 - b // 3 + 2]
            r_w = block.rel_pos_w[a % 3 - b % 3 + 2]
            assert torch.allclose(bias[:, :, a, b], (q[:, :, a] * (r_h + r_w)).sum(-1), atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_checkpointing_changes_nothing_but_memory(masked):
    mask = PatchMask.from_keep(random_keep(1, 8, 3), (2, 4)) if masked else None
    image = torch.randn(1, 3, 32, 64)
    gradients = []
    for with_cp in (False, True):
        encoder = small(pretraining=True, out_indices=(0, 1, 2), with_cp=with_cp)
        out = encoder(image, mask)
        (out if masked else sum(f.sum() for f in out)).sum().backward()
        gradients.append([p.grad for p in encoder.parameters() if p.grad is not None])
    assert len(gradients[0]) > 50
    assert all(torch.equal(a, b) for a, b in zip(*gradients))


@pytest.mark.parametrize("frozen", [-1, 0, 1, 2, 3])
def test_frozen_stages_keep_still_and_in_eval(frozen):
    encoder = small(frozen_stages=frozen, drop_path_rate=0.5, final_norm=True).train()
    trainable = {n.split(".")[0] + "." + n.split(".")[1] for n, p in encoder.named_parameters()
                 if p.requires_grad}  # fmt: skip
    for i in range(3):
        still = i < frozen
        assert (f"stages.{i}" not in trainable) == still
        assert (f"embeds.{i}" not in trainable) == still
        assert encoder.stages[i].training != still
    assert ("token_proj.weight" not in trainable) == (frozen == 3)
    assert "downsample.weight" in trainable


def test_drop_path_grows_linearly_and_acts_in_training_only():
    encoder = small(drop_path_rate=0.5)
    rates = [block.drop_path.drop_prob for stage in encoder.stages for block in stage]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    image = torch.randn(2, 3, 32, 32)
    assert torch.equal(encoder.eval()(image)[2], encoder(image)[2])
    assert not torch.equal(encoder.train()(image)[2], encoder(image)[2])


def test_layer_depth_for_layer_wise_decay():
    encoder = small(use_rel_pos=True)
    depth = {n: encoder.get_layer_depth(f"backbone.{n}", "backbone.") for n, _ in
             encoder.named_parameters()}  # fmt: skip
    assert {d[1] for d in depth.values()} == {4}
    assert depth["embeds.2.proj.weight"][0] == 0
    assert depth["stages.1.1.mlp.fc1.weight"][0] == 0
    assert depth["token_proj.weight"][0] == 0
    assert depth["stages.2.0.attn.qkv.weight"][0] == 1
    assert depth["stages.2.1.attn.rel_pos_h"][0] == 2
    assert depth["downsample.weight"][0] == 3
    assert encoder.get_layer_depth("head.weight", "backbone.") == (3, 4)


def test_positions_follow_the_image_not_the_grid():
    base = sincos_positions((14, 14), 32, 14)
    assert torch.allclose(base[15, :8], torch.sin(torch.tensor(10000.0) ** -(torch.arange(8) / 8)))
    assert torch.allclose(base[1, :16], base[14, 16:])  # column 1 of row 0, row 1 of column 0
    # Twice as fine: patch centres lie a quarter of a base patch left and right of the base's.
    fine = sincos_positions((28, 28), 32, 14)[:, 0].view(28, 28)[0]
    assert fine[6].item() == pytest.approx(torch.tensor(2.75).sin().item(), abs=1e-6)
    assert sincos_positions((30, 40), 32, 14).shape == (1200, 32)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (dict(arch="huge"), "arch='huge'"),
        (dict(arch=dict(embed_dims=(8, 8, 8))), r"missing \['depths'"),
        (dict(arch={**ARCH, "window": 7}), r"unknown \['window'\]"),
        (dict(arch={**ARCH, "depths": (1, 2)}), "depths"),
        (dict(arch={**ARCH, "num_heads": 3}), "num_heads=3"),
        (dict(arch=ARCH, out_indices=(0, 4)), "out_indices"),
        (dict(arch=ARCH, out_indices=(2, 1)), "out_indices"),
        (dict(arch=ARCH, frozen_stages=4), "frozen_stages=4"),
        (dict(arch=ARCH, pretraining=True, out_indices=(0, 3)), "pretraining=True has no F4"),
    ],
)
def test_wrong_settings_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ConvViT(**kwargs)


def test_wrong_masks_are_named():
    mask = PatchMask.from_keep(torch.tensor([[0]]), (2, 2))
    with pytest.raises(RuntimeError, match="pretraining=True"):
        small()(torch.zeros(1, 3, 32, 32), mask)
    encoder = small(pretraining=True, out_indices=(2,))
    with pytest.raises(ValueError, match="mask for \\(2, 2\\)"):
        encoder(torch.zeros(1, 3, 32, 48), mask)
    with pytest.raises(ValueError, match="30x32"):
        encoder(torch.zeros(1, 3, 30, 32), mask)


def test_bfloat16_autocast():
    encoder = small(pretraining=True, out_indices=(0, 1, 2))
    mask = PatchMask.from_keep(random_keep(1, 8, 3), (2, 4))
    image = torch.randn(1, 3, 32, 64)
    exact = encoder(image, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = encoder(image, mask)
    assert torch.allclose(exact, rough.float(), atol=0.1)
    rough.sum().backward()


@pytest.mark.parametrize(("arch", "millions"), [("tiny", 4.3), ("small", 22.2), ("base", 88.8)])
def test_sizes_of_named_archs(arch, millions):
    with torch.device("meta"):
        encoder = ConvViT(arch, pretraining=True, out_indices=(0, 1, 2))
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("masked", [False, True])
def test_compiles_as_one_graph(masked):
    encoder = small(pretraining=True, out_indices=(0, 1, 2)).eval()
    mask = (PatchMask.from_keep(random_keep(1, 8, 3), (2, 4)),) if masked else ()
    image = torch.randn(1, 3, 32, 64)
    compiled = torch.compile(encoder, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        for ours, plain in zip(compiled(image, *mask), encoder(image, *mask)):
            assert torch.allclose(ours, plain, atol=1e-5)


def test_empty_images_have_moderate_gradients_from_random_weights():
    """Zeros, as beside a padded image: each norm of a zero token multiplies by 1 / sqrt(eps)."""
    torch.manual_seed(0)
    encoder = small()
    encoder.init_weights()
    sum(f.square().mean() for f in encoder(torch.zeros(1, 3, 64, 64))).backward()
    norms = torch.stack([p.grad.norm() for p in encoder.parameters() if p.grad is not None])
    assert norms.max() < 100


#: Of the definition: PyTorch's default is uniform within 1 / sqrt(inputs), Xavier's within
#: sqrt(6 / (inputs + outputs)); a uniform value has 1 / sqrt(3) of its bound as deviation.
XAVIER = ("embeds.2.proj", "token_proj", "stages.2.", "downsample")


@pytest.mark.parametrize("arch", ["tiny", "base"])
@pytest.mark.parametrize("pretraining", [True, False])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_initial_weights_are_those_of_the_released_network(arch, pretraining, memory_format):
    torch.manual_seed(0)
    encoder = ConvViT(arch, pretraining=pretraining).to(memory_format=memory_format)
    with torch.no_grad():  # what is drawn by init_weights does not depend on what was there
        for name in ("embeds.2.proj", "token_proj", *([] if pretraining else ["downsample"])):
            encoder.get_submodule(name).weight.zero_()
    encoder.init_weights()
    for name, weight in encoder.named_parameters():
        if weight.dim() == 1:
            continue
        inputs, outputs = weight[0].numel(), weight.shape[0]
        bound = (6 / (inputs + outputs) if name.startswith(XAVIER) else 1 / inputs) ** 0.5
        rel = 4 / weight.numel() ** 0.5
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=rel), name
        assert 0.95 * bound < weight.abs().max().item() <= bound, name
        bias = encoder.get_parameter(name.replace("weight", "bias"))
        if name.startswith(XAVIER) and weight.dim() == 2:
            assert not bias.any(), name
        else:  # of convolutions: as PyTorch draws them
            assert 0.8 / inputs**0.5 < bias.abs().max().item() <= 1 / inputs**0.5, name
    if arch == "base":
        stage = encoder.stages[0][0]
        assert stage.dwconv.weight.std().item() == pytest.approx(0.1155, abs=0.002)
        assert stage.proj_in.weight.std().item() == pytest.approx(0.0361, abs=0.001)
