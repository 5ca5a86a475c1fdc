import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS

from mmspec.masking import PatchMask
from mmspec.models import input_check
from mmspec.models.backbones import ConvViT, MaskedViT
from mmspec.models.heads import ReconstructionHead
from mmspec.models.layers.patches import patchify, unpatchify
from mmspec.models.maskers import RandomPairMasker
from mmspec.models.necks import DualModalityDecoder
from mmspec.models.selfsup import MSpecGene

VIT = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
CONVVIT = dict(embed_dims=(8, 12, 16), depths=(1, 1, 1), num_heads=2, mlp_ratios=(2, 2, 2))
ENCODERS = {
    "vit": lambda: MaskedViT(VIT, img_size=64),
    "convvit": lambda: ConvViT(CONVVIT, pretraining=True),
}


def build(encoder: str = "vit", norm_pix: bool = True, mask_ratio: float = 0.75) -> MSpecGene:
    torch.manual_seed(0)
    model = MSpecGene(
        backbone=ENCODERS[encoder](),
        neck=DualModalityDecoder(in_dims=16, dims=8, depth=1, num_heads=2),
        head=ReconstructionHead(norm_pix=norm_pix),
        masker=RandomPairMasker(mask_ratio),
        data_preprocessor=dict(mean_infrared=(100,) * 3, std_infrared=(50,) * 3),
    )
    for parameter in model.neck.parameters():  # no zeros, behind which a mistake would hide
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def masks(infrared: list[int], visible: list[int], batch: int = 2, grid=(4, 4)):
    return tuple(
        PatchMask.from_keep(torch.tensor([list(ids)] * batch), grid) for ids in (infrared, visible)
    )


@pytest.fixture
def pairs() -> torch.Tensor:
    return torch.randn(2, 6, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_pixels_that_were_not_normalised_are_told_in_pre_training(encoder, pairs, monkeypatch):
    told = []
    monkeypatch.setattr(input_check, "print_log", lambda text, **_: told.append(text))
    build(encoder)(pairs + 500, mode="loss")
    assert len(told) == 1 and "as if they were not normalised" in told[0]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_step_gives_two_losses_and_reaches_every_parameter(encoder, pairs):
    model = build(encoder)
    losses = model(pairs, mode="loss")
    assert set(losses) == {"loss_infrared", "loss_visible"}
    total, log = model.parse_losses(losses)
    assert total == losses["loss_infrared"] + losses["loss_visible"]
    total.backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("encoder", ENCODERS)
def test_both_modalities_are_one_call_of_the_encoder(encoder, pairs, monkeypatch):
    model = build(encoder).eval()
    sizes, original = [], model.backbone.visible_tokens
    monkeypatch.setattr(
        model.backbone,
        "visible_tokens",
        lambda x, mask, tokens: (
            sizes.append((len(x), mask.num_visible)),
            original(x, mask, tokens),
        )[1],
    )
    together = model.reconstruct(pairs, masks=masks([0, 5, 9], [3, 1, 7]))
    assert sizes == [(4, 3)]
    sizes.clear()
    other = model.reconstruct(pairs, masks=masks([0, 5, 9], [3, 1, 7, 2]))
    assert sizes == [(2, 3), (2, 4)]
    assert not torch.allclose(together.visible.prediction, other.visible.prediction)
    images, tokens = (
        torch.cat(pairs.chunk(2, 1)),
        model.backbone.patch_tokens(torch.cat(pairs.chunk(2, 1))),
    )
    with torch.no_grad():
        once = model._encode(images, tokens, masks([0, 5], [3, 1]))
        for side, (image, of_side, mask) in enumerate(
            zip(images.chunk(2), tokens.chunk(2), masks([0, 5], [3, 1]))
        ):
            assert torch.allclose(once[side], original(image, mask, of_side), atol=1e-6)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_masker_sees_detached_patch_tokens_of_infrared_then_visible(encoder, pairs):
    model, seen = build(encoder), []
    masker = model.masker.forward
    model.masker.forward = lambda a, b: (seen.extend([a, b]), masker(a, b))[1]
    model(pairs, mode="loss")
    expected = [model.backbone.patch_tokens(side) for side in pairs.chunk(2, 1)]
    for tokens, of_side in zip(seen, expected):
        assert not tokens.requires_grad
        assert torch.allclose(tokens, of_side, atol=1e-6)


def test_convvits_patch_tokens_are_pixels_and_positions():
    backbone = ENCODERS["convvit"]()
    image = torch.randn(1, 3, 32, 48)
    flat = torch.zeros_like(image)
    difference = backbone.patch_tokens(image) - backbone.patch_tokens(flat)
    assert difference.shape == (1, 6, 768)
    patch = image[0, :, 16:32, 16:32].flatten()  # second row, second column: patch 4
    assert torch.allclose(difference[0, 4], patch, atol=1e-5)
    assert backbone.patch_tokens(flat).var(-1).min() > 0.1


@pytest.mark.parametrize("encoder", ENCODERS)
def test_features_of_one_modality_or_two(encoder, pairs):
    model = build(encoder).eval()
    infrared, visible = model(pairs)
    for maps, side in zip((infrared, visible), pairs.chunk(2, 1)):
        alone = model.extract_feat(side)
        assert len(maps) == len(alone)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(maps, alone))
    with pytest.raises(ValueError, match="6 channels"):
        model(torch.zeros(1, 4, 64, 64))


def test_each_decoder_attends_to_the_other_modality_as_it_was():
    model = build()
    neck, (infrared, visible) = model.neck, masks([0, 5], [3, 1])
    tokens = torch.randn(2, 3, 16), torch.randn(2, 3, 16)
    with torch.no_grad():
        first, second = neck(tokens, (infrared, visible))
        x = neck.infrared.sequence(tokens[0], infrared)
        y = neck.visible.sequence(tokens[1], visible)
        assert torch.allclose(second, neck.visible.predict(neck.visible.cross(y, x), 16))
        changed, _ = neck((tokens[0], tokens[1] + 1), (infrared, visible))
    assert first.shape == (2, 16, 768) and not torch.allclose(changed, first)


def test_decoders_compile_as_one_graph():
    torch._dynamo.reset()
    neck, sides = build().neck.eval(), masks([0, 5], [3, 1])
    tokens = torch.randn(2, 3, 16), torch.randn(2, 3, 16)
    compiled = torch.compile(neck, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        for ours, plain in zip(compiled(tokens, sides), neck(tokens, sides)):
            assert torch.allclose(ours, plain, atol=1e-5)
    torch._dynamo.reset()


def test_cross_attention_is_mmpretrains():
    from mmpretrain.models.utils import CrossMultiheadAttention

    attention = build().neck.infrared.cross.attn
    x, context = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    theirs = CrossMultiheadAttention.forward(attention, x, context, context)
    assert torch.allclose(attention(x, context), theirs, atol=1e-6)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("hidden", ["infrared", "visible"])
def test_a_hidden_modality_comes_from_the_other_alone(encoder, hidden, pairs):
    model = build(encoder).eval()
    result = model.reconstruct(pairs, hidden=hidden)
    side = getattr(result, hidden)
    assert side.mask.num_visible == 0 and side.mask.mask.all()
    other = result.visible if hidden == "infrared" else result.infrared
    assert other.mask.num_visible == 16 and torch.equal(other.loss, torch.zeros(2))
    # Pixels that keep the mean and variance of every patch may not show in the prediction.
    patches = patchify(pairs[:, :3] if hidden == "infrared" else pairs[:, 3:], 16)
    mixed = unpatchify(patches.flip(1, 2), (4, 4), 16)
    changed = torch.cat([mixed, pairs[:, 3:]] if hidden == "infrared" else [pairs[:, :3], mixed], 1)
    again = getattr(model.reconstruct(changed, hidden=hidden), hidden)
    assert torch.allclose(again.prediction, side.prediction, atol=0.05)
    assert not torch.allclose(again.image, side.image, atol=1)
    crossed = getattr(model.cross_reconstruct(pairs), hidden)
    assert torch.equal(crossed.prediction, side.prediction)


def test_reconstruct_shows_each_modality_in_its_own_gray_levels(pairs):
    model = build().eval()
    result = model.reconstruct(pairs, masks=masks([0, 5, 9], [3, 1, 7]))
    assert torch.allclose(result.infrared.image, (pairs[:, :3] * 50 + 100).clamp(0, 255))
    std, mean = torch.tensor([58.395, 57.12, 57.375]), torch.tensor([123.675, 116.28, 103.53])
    visible = pairs[:, 3:] * std.view(3, 1, 1) + mean.view(3, 1, 1)
    assert torch.allclose(result.visible.image, visible.clamp(0, 255), atol=1e-4)
    assert result.infrared.mask.mask.sum() == 2 * 13
    with pytest.raises(ValueError, match="hidden='rgb'"):
        model.reconstruct(pairs, hidden="rgb")


def test_predict_fills_the_samples(pairs):
    model = build().eval()
    torch.manual_seed(0)
    sample = model(pairs, mode="predict")[0]
    assert sample.reconstruction_infrared.shape == (3, 64, 64)
    assert sample.patch_mask_visible.shape == (4, 4) and sample.patch_mask_visible.sum() == 12
    torch.manual_seed(0)
    result = model.reconstruct(pairs)
    assert sample.reconstruction_loss == result.infrared.loss[0] + result.visible.loss[0]


def test_random_masks_are_disjoint():
    tokens = torch.zeros(64, 20, 4)
    infrared, visible = RandomPairMasker(0.5)(tokens, tokens)
    assert (infrared.mask ^ visible.mask).all()
    tokens = torch.zeros(2, 196, 4)
    assert [mask.num_visible for mask in RandomPairMasker()(tokens, tokens)] == [19, 19]
    with pytest.raises(ValueError, match=r"mask_ratio=0.4: disjoint visible sets need at least"):
        RandomPairMasker(0.4)


def test_nothing_masked_is_an_error(pairs):
    model = build()
    model.masker.forward = lambda *_: masks(range(16), range(16))
    with pytest.raises(ValueError, match="nothing is masked of the infrared image"):
        model(pairs, mode="loss")


def test_any_grid(pairs):
    losses = build()(torch.randn(2, 6, 48, 96), mode="loss")
    assert all(loss.isfinite() for loss in losses.values())


def test_a_few_steps_fit_one_batch():
    model = build("vit", norm_pix=False)
    torch.manual_seed(1)
    model.neck.init_weights()
    ramp = torch.linspace(-1, 1, 64).expand(2, 6, 64, 64).clone()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 2e-2)
    history = []
    for _ in range(80):
        losses = model(ramp, mode="loss")
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append([loss.item() for loss in losses.values()])
    assert all(last < 0.3 * first for first, last in zip(history[0], history[-1])), history


def test_residual_stream_stays_in_float32_under_autocast(pairs):
    model, seen = build(), []
    for decoder in (model.neck.infrared, model.neck.visible):
        decoder.cross.register_forward_pre_hook(lambda _, x: seen.append(x[0].dtype))
        decoder.blocks[0].register_forward_pre_hook(lambda _, x: seen.append(x[0].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sum(model(pairs, mode="loss").values()).backward()
    assert seen == [torch.float32] * 4


def test_one_line_changes_the_encoder(pairs):
    cfg = ConfigDict(
        type="mmspec.MSpecGene",
        backbone=dict(type="mmspec.MaskedViT", arch=VIT, img_size=64),
        neck=dict(type="mmspec.DualModalityDecoder", in_dims=16, dims=8, depth=1, num_heads=2),
        head=dict(type="mmspec.ReconstructionHead", norm_pix=True),
        masker=dict(type="mmspec.CMSSMasking"),
    )
    for _ in range(2):
        model = MODELS.build(cfg)
        losses = model(pairs.repeat(1, 1, 2, 2), mode="loss")
        assert {"loss_infrared", "loss_visible", "cmss_visible", "cmss_all"} == set(losses)
        cfg.backbone = dict(type="mmspec.ConvViT", arch=CONVVIT, pretraining=True)
