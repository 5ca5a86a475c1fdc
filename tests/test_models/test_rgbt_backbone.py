"""An encoder over two modalities: pairing, fusion, missing modalities, weights, layer decay."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmspec.models.backbones import ConvViT, RGBTBackbone
from mmspec.registry import MODELS

VIT = dict(embed_dims=32, num_layers=3, num_heads=2, feedforward_channels=32)
ENCODERS = {
    "ConvViT": dict(
        type="mmspec.ConvViT",
        arch=dict(embed_dims=(8, 16, 32), depths=(1, 1, 2), num_heads=2, mlp_ratios=(2, 2, 2)),
    ),
    "MaskedViT": dict(type="mmspec.MaskedViT", arch=VIT, out_indices=(0, 2), patch_size=16),
    "ViT": dict(
        type="mmpretrain.VisionTransformer",
        arch=VIT,
        img_size=64,
        patch_size=16,
        out_type="featmap",
    ),
    "ViTSAM": dict(
        type="mmpretrain.ViTSAM",
        arch=VIT | dict(global_attn_indexes=[1]),
        img_size=64,
        window_size=3,
        out_channels=0,
    ),
    "mmpretrain ResNet": dict(
        type="mmpretrain.ResNet", depth=50, base_channels=8, out_indices=(0, 1, 2, 3)
    ),
    "mmdet ResNet": dict(type="mmdet.ResNet", depth=50, base_channels=8),
    "mmseg ResNet": dict(type="mmseg.ResNetV1c", depth=50, base_channels=8),
}


@MODELS.register_module()
class WeightedFusion(nn.Module):
    """Twice the infrared map plus the visible one: tells the two apart."""

    def __init__(self, in_channels: int, weight: float) -> None:
        super().__init__()
        self.out_channels = in_channels
        self.weight = weight

    def forward(self, infrared, visible):
        return self.weight * infrared + visible


def build(encoder: str = "ConvViT", **settings) -> RGBTBackbone:
    torch.manual_seed(0)
    if "ResNet" in encoder:
        pytest.importorskip("mmdet")
        pytest.importorskip("mmseg")
    model = RGBTBackbone(ENCODERS[encoder], **settings)
    model.init_weights()
    # Fresh relative positions and residual scales are zero, and would hide a mistake.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return model.eval()


def pairs(batch: int = 3, size: tuple[int, int] = (48, 80)) -> torch.Tensor:
    return torch.randn(batch, 6, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_image_is_fused_with_its_own_partner(encoder, shared):
    model = build(encoder, shared=shared)
    x = pairs(3)
    with torch.no_grad():
        maps = model(x)
        encoders = list(model.encoders.values())
        for i in range(3):
            infrared, visible = encoders[0](x[i : i + 1, :3]), encoders[-1](x[i : i + 1, 3:])
            assert len(maps) == len(infrared)
            for fused, t, v in zip(maps, infrared, visible):
                torch.testing.assert_close(
                    fused[i : i + 1], torch.cat([t, v], 1), rtol=1e-4, atol=1e-4
                )
    assert model.out_channels == tuple(m.shape[1] for m in maps)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_pair_learns_from_itself_alone(encoder):
    x = pairs(3).requires_grad_()
    sum(m[1].square().sum() for m in build(encoder)(x)).backward()
    assert x.grad[1, :3].abs().sum() > 0 and x.grad[1, 3:].abs().sum() > 0
    assert x.grad[[0, 2]].abs().sum() == 0


def test_gradients_of_shared_weights_are_those_of_both_modalities():
    model = build("ViTSAM")
    encoder, x = model.encoders["both"], pairs(2)
    (fused,) = model(x)
    weights = torch.randn_like(fused)
    wanted = []
    for i in range(2):
        maps = torch.cat([encoder(x[i : i + 1, :3])[0], encoder(x[i : i + 1, 3:])[0]], 1)
        wanted.append((maps * weights[i]).sum())
    wanted = torch.autograd.grad(sum(wanted), encoder.parameters(), allow_unused=True)
    got = torch.autograd.grad((fused * weights).sum(), encoder.parameters(), allow_unused=True)
    for a, b in zip(got, wanted):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ("concat", lambda t, v: torch.cat([t, v], 1)),
        ("sum", lambda t, v: t + v),
        ("max", torch.maximum),
        (dict(type="mmspec.WeightedFusion", weight=2.0), lambda t, v: 2 * t + v),
    ],
)
def test_fusions(fusion, expected):
    model = build(fusion=fusion)
    x = pairs(2)
    with torch.no_grad():
        infrared, visible = (model.encoders["both"](half) for half in (x[:, :3], x[:, 3:]))
        for fused, t, v in zip(model(x), infrared, visible, strict=True):
            torch.testing.assert_close(fused, expected(t, v), rtol=1e-4, atol=1e-4)
    assert model.out_channels == tuple(
        (2 if fusion == "concat" else 1) * dims for dims in (8, 16, 32, 32)
    )


def test_gate_starts_at_one_half_and_learns():
    torch.manual_seed(0)
    model = RGBTBackbone(ENCODERS["ConvViT"], fusion="gated")
    model.init_weights()
    x = pairs(2)
    infrared, visible = (model.encoders["both"](half) for half in (x[:, :3], x[:, 3:]))
    maps = model.train()(x)
    for fused, t, v in zip(maps, infrared, visible):
        torch.testing.assert_close(fused, (t + v) / 2, rtol=1e-4, atol=1e-4)
    sum((m * torch.randn_like(m)).sum() for m in maps).backward()
    assert all(f.gate.weight.grad.abs().sum() > 0 for f in model.fusions)
    with torch.no_grad():
        model.fusions[0].gate.bias.fill_(100)  # wide open for the infrared map
    torch.testing.assert_close(model(x)[0], infrared[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fusion", ["concat", "sum", "max", "gated"])
@pytest.mark.parametrize("shared", [True, False])
def test_the_present_modality_stands_in_for_the_absent_one(fusion, shared):
    model = build(fusion=fusion, shared=shared)
    x = pairs(3)
    with torch.no_grad():
        model.modality = "infrared"
        first = model(x[:1, :3])
        model.modality = "visible"
        second = model(x[1:2, 3:])
        third = model(x[2:])
        x[0, 3:] = 0  # another one is absent in each image
        x[1, :3] = 0
        for maps, expected in zip(model(x), zip(first, second, third)):
            torch.testing.assert_close(maps, torch.cat(expected), rtol=1e-4, atol=1e-4)
        if fusion == "concat":
            for fused, own in zip(first, next(iter(model.encoders.values()))(x[:1, :3])):
                torch.testing.assert_close(fused, torch.cat([own, own], 1))


def test_absent_modality_gets_no_gradient():
    x = pairs(2)
    x[0, 3:] = 0
    x.requires_grad_()
    sum(m.square().sum() for m in build()(x)).backward()
    assert x.grad[0, 3:].abs().sum() == 0
    assert all(x.grad[i, side].abs().sum() > 0 for i in (0, 1) for side in (slice(3),))
    assert x.grad[1, 3:].abs().sum() > 0


def test_one_infrared_channel_counts_as_three():
    model = build()
    x = pairs(2)
    x[:, 1:3] = x[:, :1]
    with torch.no_grad():
        for six, four in zip(model(x), model(x[:, 2:])):
            assert torch.equal(six, four)


def test_separate_encoders_need_to_know_the_modality():
    model = build(shared=False)
    with pytest.raises(ValueError, match="give modality='infrared' or 'visible'"):
        model(torch.zeros(1, 3, 32, 32))
    image = pairs(1)[:, 3:]
    for modality in ("visible", "infrared"):
        model.modality = modality
        with torch.no_grad():
            expected = model.encoders[modality](image)
            for fused, own in zip(model(image), expected):
                assert torch.equal(fused, torch.cat([own, own], 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(fusion="product"), "fusion='product': 'concat', 'sum', 'max', 'gated'"),
        (dict(modality="thermal"), "modality='thermal': 'infrared' or 'visible'"),
        (dict(backbone=ENCODERS["ViT"] | dict(out_type="cls_token")), "out_type='featmap'"),
    ],
)
def test_what_cannot_be_is_said(settings, message):
    with pytest.raises(ValueError, match=message):
        RGBTBackbone(**{"backbone": ENCODERS["ConvViT"], **settings})


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 5, 32, 32\): 6 channels"):
        build()(torch.zeros(1, 5, 32, 32))


def test_construction_leaves_a_training_module():
    model = RGBTBackbone(ENCODERS["mmpretrain ResNet"])
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("shared", [True, False])
def test_starts_from_a_checkpoint_in_the_inner_config(shared, tmp_path):
    torch.manual_seed(1)
    encoder = ConvViT(ENCODERS["ConvViT"]["arch"], pretraining=True)
    encoder.init_weights()
    state = {f"backbone.{key}": value for key, value in encoder.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / "epoch_1.pth")
    init_cfg = dict(type="mmspec.PretrainedEncoder", checkpoint=str(tmp_path / "epoch_1.pth"))
    model = RGBTBackbone(ENCODERS["ConvViT"] | dict(init_cfg=init_cfg), shared=shared)
    model.init_weights()
    assert len(model.encoders) == (1 if shared else 2)
    for inner in model.encoders.values():
        for key, value in inner.state_dict().items():
            if not key.startswith("downsample"):
                assert torch.equal(value, state[f"backbone.{key}"]), key


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("encoder", ["ConvViT", "ViTSAM", "MaskedViT", "mmpretrain ResNet"])
def test_layer_decay_is_that_of_the_encoder(encoder, shared):
    class Model(nn.Module):
        def __init__(self, backbone):
            super().__init__()
            self.backbone = backbone
            self.head = nn.Linear(2, 2)

    def rates(model):
        cfg = dict(
            optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.05),
            constructor="mmspec.LayerDecayOptimWrapperConstructor",
            paramwise_cfg=dict(layer_decay_rate=0.5),
        )
        groups = build_optim_wrapper(model, cfg).optimizer.param_groups
        names = {id(p): name for name, p in model.named_parameters()}
        return {names[id(p)]: group["lr"] for group in groups for p in group["params"]}

    plain = rates(Model(MODELS.build(ENCODERS[encoder])))
    fused = rates(Model(RGBTBackbone(ENCODERS[encoder], fusion="gated", shared=shared)))
    assert len(set(plain.values())) >= 4
    for name, rate in fused.items():
        own = name.removeprefix("backbone.")
        if own.startswith("encoders."):
            assert rate == plain["backbone." + own.split(".", 2)[2]], name
        else:
            assert rate == 1.0, name


def test_layer_decay_with_an_encoder_that_tells_no_layers():
    pytest.importorskip("mmdet")
    model = nn.Module()
    model.backbone = RGBTBackbone(ENCODERS["mmdet ResNet"])
    cfg = dict(
        optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.1),
        constructor="mmspec.LayerDecayOptimWrapperConstructor",
        paramwise_cfg=dict(layer_decay_rate=0.5),
    )
    with pytest.raises(TypeError, match="ResNet in RGBTBackbone has no get_layer_depth"):
        build_optim_wrapper(model, cfg)
