"""Adapters in frozen encoders."""

import copy

import pytest
import torch

from mmspec.masking import PatchMask
from mmspec.models.backbones import ConvViT, MaskedViT

CONV_VIT = dict(embed_dims=(8, 12, 16), depths=(1, 1, 2), num_heads=2, mlp_ratios=(2, 2, 2))
VIT = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)


def encoder(kind: str, **kwargs):
    torch.manual_seed(0)
    if kind == "ConvViT":
        return ConvViT(CONV_VIT, **kwargs)
    return MaskedViT(arch=VIT, img_size=64, **kwargs)


FROZEN = dict(ConvViT=3, MaskedViT=2)


@pytest.mark.parametrize("kind", FROZEN)
def test_fresh_adapters_change_nothing_and_alone_learn(kind, tmp_path):
    plain = encoder(kind)
    file = str(tmp_path / "encoder.pth")
    torch.save({f"backbone.{k}": v for k, v in plain.state_dict().items()}, file)
    start = dict(type="mmspec.PretrainedEncoder", checkpoint=file)
    net = encoder(kind, adapter_dims=4, frozen_stages=FROZEN[kind], init_cfg=start)
    net.init_weights()
    state = {name: v.clone() for name, v in net.state_dict().items()}
    added = {name for name in state if name not in plain.state_dict()}
    assert added and all("adapter" in name for name in added)
    images = torch.randn(2, 3, 64, 64)
    net.train()
    plain.eval()  # mmpretrain's gives no module back
    before = net(images)
    if kind == "MaskedViT":
        for found, expected in zip(before, plain(images)):
            torch.testing.assert_close(found, expected)
    else:  # F4's convolution is new at fine-tuning
        for found, expected in zip(before[:3], plain(images)[:3]):
            torch.testing.assert_close(found, expected)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], 1e-2)
    for _ in range(2):  # the first step moves W2 from zero, by which W1 and the scale learn
        optimizer.zero_grad()
        sum(f.square().sum() for f in net(images)).backward()
        optimizer.step()
    moved = {name for name, v in net.state_dict().items() if not torch.equal(v, state[name])}
    learning = {name for name, p in net.named_parameters() if p.requires_grad}
    assert all("adapter" in name or "downsample" in name for name in learning)
    assert added <= learning
    assert moved == learning


@pytest.mark.parametrize("kind", FROZEN)
def test_random_encoders_with_adapters_start_as_without(kind):
    net = encoder(kind, adapter_dims=4)
    net.init_weights()
    added = [m for name, m in net.named_modules() if name.endswith(".adapter")]
    assert len(added) == (4 if kind == "ConvViT" else 2)
    assert not any(m(torch.randn(3, m.up.out_features)).any() for m in added)


def test_an_adapter_scales_what_it_adds_by_patch():
    net = encoder("ConvViT", adapter_dims=4)
    mlp = net.stages[2][0].mlp
    adapter = mlp.adapter
    with torch.no_grad():
        for p in adapter.parameters():
            p.normal_()
    x = torch.randn(2, 5, 16)
    added = mlp(x) - type(mlp).forward(mlp, x)
    scale = x @ adapter.scale.weight.T + adapter.scale.bias
    expected = scale * adapter.up(adapter.down(x).relu())
    torch.testing.assert_close(added, expected, atol=1e-5, rtol=1e-5)
    assert scale.shape == (2, 5, 1)


def test_a_copy_has_adapters_of_its_own():
    net = encoder("MaskedViT", adapter_dims=4)
    net.eval()
    twin = copy.deepcopy(net)
    images = torch.randn(1, 3, 64, 64)
    expected = net(images)[0]
    with torch.no_grad():
        twin.layers[0].ffn.adapter.up.bias.add_(1.0)
    assert torch.equal(net(images)[0], expected)
    assert not torch.equal(twin(images)[0], expected)


def test_adapters_serve_pre_training_too():
    net = encoder("ConvViT", adapter_dims=4, frozen_stages=3, pretraining=True)
    mask = PatchMask.from_keep(torch.tensor([[3, 9], [0, 15]]), (4, 4))
    for _ in range(2):
        net(torch.randn(2, 3, 64, 64), mask).square().sum().backward()
        with torch.no_grad():
            for p in net.parameters():
                if p.grad is not None:
                    p.sub_(p.grad)
    names = {name for name, p in net.named_parameters() if p.grad is not None}
    assert {name.split(".")[0] for name in names} == {"stages", "fuse"}
    assert all("adapter" in name or name.startswith("fuse") for name in names)
    assert sum("adapter.down.weight" in name for name in names) == 4


@pytest.mark.parametrize("kind", FROZEN)
def test_layer_decay_counts_an_adapter_with_its_block(kind):
    net = encoder(kind, adapter_dims=4)
    blocks = "stages.2" if kind == "ConvViT" else "layers"
    mlp = "mlp" if kind == "ConvViT" else "ffn"
    depths = [
        net.get_layer_depth(f"{blocks}.1.{part}") for part in (f"{mlp}.adapter.up.weight", "x")
    ]
    assert depths[0] == depths[1]


def test_a_negative_width_is_named():
    with pytest.raises(ValueError, match="adapter_dims=-1"):
        encoder("ConvViT", adapter_dims=-1)
