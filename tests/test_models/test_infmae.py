import numpy as np
import pytest
import torch
from mmpretrain.models.utils import SelfSupDataPreprocessor
from mmpretrain.structures import DataSample

from mmspec.masking import PatchMask
from mmspec.models.backbones import ConvViT, MaskedSwin, MaskedViT
from mmspec.models.heads import ReconstructionHead
from mmspec.models.layers.patches import patchify, unpatchify
from mmspec.models.maskers import InformationMasker
from mmspec.models.necks import InfMAEDecoder
from mmspec.models.selfsup import InfMAE

ARCH = dict(embed_dims=(8, 12, 16), depths=(1, 1, 1), num_heads=2, mlp_ratios=(2, 2, 2))
MEAN, STD = (108.375,) * 3, (51.0,) * 3


def model(masker=None, norm_pix=False) -> InfMAE:
    torch.manual_seed(0)
    return InfMAE(
        backbone=ConvViT(ARCH, pretraining=True, out_indices=(0, 1, 2)),
        neck=InfMAEDecoder(in_dims=16, dims=8, depth=1, num_heads=2),
        head=ReconstructionHead(norm_pix=norm_pix),
        masker=masker,
        data_preprocessor=dict(mean=MEAN, std=STD, to_rgb=False),
    )


def samples(*ids_keep) -> list[DataSample]:
    result = []
    for ids in ids_keep:
        result.append(DataSample())
        result[-1].set_field(np.array(ids), "ids_keep")
    return result


@pytest.fixture
def batch() -> dict:
    gray = torch.randint(0, 256, (2, 1, 32, 48), dtype=torch.uint8)
    return dict(inputs=gray, data_samples=samples([1, 4], [0, 5]))


def test_one_gray_channel_becomes_three_equal_normalised_ones(batch):
    data = model().data_preprocessor(batch, True)
    assert isinstance(model().data_preprocessor, SelfSupDataPreprocessor)
    assert data["inputs"].shape == (2, 3, 32, 48)
    expected = (batch["inputs"].float() - 108.375) / 51
    assert torch.allclose(data["inputs"], expected.expand(-1, 3, -1, -1))


def test_pre_training_on_one_channel_loses_what_three_equal_ones_do(batch):
    """With weights made for one channel, on either side of the network."""
    three, one = model(), model()
    one = InfMAE(
        backbone=ConvViT(ARCH, in_channels=1, pretraining=True),
        neck=InfMAEDecoder(in_dims=16, dims=8, depth=1, num_heads=2, out_channels=1),
        head=ReconstructionHead(),
        data_preprocessor=dict(mean=MEAN[:1], std=STD[:1], to_rgb=False),
    )
    state = three.state_dict()
    first, last = "backbone.embeds.0.proj.weight", "neck.pred."
    # One channel out of three stands for all, if all were predicted alike.
    channels = {k: v.unflatten(0, (-1, 3))[:, :1] for k, v in state.items() if k.startswith(last)}
    for key, value in channels.items():
        state[key] = value.repeat_interleave(3, 1).flatten(0, 1)
    three.load_state_dict(state)
    small = {key: value.flatten(0, 1) for key, value in channels.items()}
    one.load_state_dict(state | small | {first: state[first].sum(1, keepdim=True)})
    losses, shown = [], []
    for net in (one, three):
        data = net.data_preprocessor(batch, True)
        assert data["inputs"].shape[1] == net.backbone.embeds[0].proj.in_channels
        losses.append(net(**data, mode="loss")["loss"])
        shown.append(net(**data, mode="predict")[1].reconstruction)
    torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-5)
    assert shown[0].shape == (1, 32, 48)
    torch.testing.assert_close(shown[0].expand(3, -1, -1), shown[1], atol=1e-3, rtol=0)


def test_loss_looks_at_masked_patches_only():
    net = model()
    images = torch.randn(2, 3, 32, 48)
    losses = []
    for patch in (1, 2):  # in image 0, patch 1 is visible, patch 2 masked
        changed = images.clone()
        changed[0, :, :16, patch * 16 : patch * 16 + 16] += 1
        prediction = torch.zeros(2, 6, 768)
        mask = net.patch_mask(images, samples([1, 4], [0, 5]))
        losses.append(net.head.loss(prediction, changed, mask.mask))
    reference = net.head.loss(prediction, images, mask.mask)
    assert losses[0] == reference
    assert losses[1] != reference


def test_training_step_reaches_every_parameter(batch):
    net = model()
    net(**net.data_preprocessor(batch, True), mode="loss")["loss"].backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_a_few_steps_fit_one_batch(batch):
    net = model()
    batch["inputs"] = torch.arange(48, dtype=torch.uint8).mul(5).expand(2, 1, 32, 48).clone()
    data = net.data_preprocessor(batch, True)
    optimizer = torch.optim.AdamW(net.parameters(), 5e-3)
    losses = []
    for _ in range(40):
        loss = net(**data, mode="loss")["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("norm_pix", [False, True])
def test_reconstruct_gives_gray_levels_and_keeps_visible_patches(batch, norm_pix):
    net = model(norm_pix=norm_pix).eval()
    data = net.data_preprocessor(batch, False)
    result = net.reconstruct(**data)
    gray = batch["inputs"].float().expand(-1, 3, -1, -1)
    assert torch.allclose(result.image, gray, atol=1e-3)
    visible = result.mask.upsample(16)
    assert torch.allclose(torch.where(visible, result.composite, gray), gray, atol=1e-3)
    assert torch.equal(result.composite[~visible.expand_as(gray)],
                       result.prediction[~visible.expand_as(gray)])  # fmt: skip
    assert torch.allclose(result.visible[~visible.expand_as(gray)], torch.tensor(108.375))
    assert result.prediction.min() >= 0 and result.prediction.max() <= 255
    loss = net(**data, mode="loss")["loss"]
    assert result.loss.mean().item() == pytest.approx(loss.item(), rel=1e-5)


def test_perfect_prediction_is_the_image():
    for norm_pix in (False, True):
        head = ReconstructionHead(norm_pix=norm_pix)
        images = torch.randn(2, 3, 32, 48)
        target = head.target(images)
        assert torch.allclose(head.to_pixels(target, images), images, atol=1e-5)
        assert head.loss(target, images, torch.ones(2, 6)) == 0
    assert torch.equal(unpatchify(patchify(images, 16), (2, 3), 16), images)


def test_normalised_target_has_mean_0_and_variance_1():
    target = ReconstructionHead(norm_pix=True).target(torch.randn(1, 3, 16, 16) * 7 + 3)
    assert target.mean().abs() < 1e-5
    assert target.var().item() == pytest.approx(1, abs=1e-4)


def test_predict_fills_the_samples(batch):
    net = model().eval()
    data = net.data_preprocessor(batch, False)
    first = net(**data, mode="predict")[0]
    assert first.reconstruction.shape == (3, 32, 48)
    assert first.patch_mask.tolist() == [[True, False, True], [True, False, True]]
    assert first.reconstruction_loss.item() > 0


def test_extract_feat_sees_the_whole_image():
    maps = model().eval()(torch.randn(1, 3, 40, 56))
    assert [tuple(f.shape) for f in maps] == [(1, 8, 10, 14), (1, 12, 5, 7), (1, 16, 3, 4)]


def test_no_mask_is_an_error_that_says_what_to_add():
    with pytest.raises(ValueError, match="InformationAwareMask"):
        model()(torch.zeros(1, 3, 32, 32), [DataSample()], mode="loss")
    with pytest.raises(ValueError, match="InformationAwareMask"):
        model()(torch.zeros(1, 3, 32, 32), None, mode="loss")


@pytest.mark.parametrize("ranks", ["first", "drawn", "top"])
@pytest.mark.parametrize(
    "score", ["intensity", "variance", "deviation", "projection", "white", "green"]
)
def test_in_model_masker_serves_every_score(score, ranks):
    net = model(InformationMasker(score, stride=3, ranks=ranks))
    images = torch.randn(2, 3, 48, 48)
    assert net.masker(images).num_visible == 3
    assert net(images, None, mode="loss")["loss"].isfinite()


@pytest.mark.parametrize("score", ["intensity", "variance", "deviation"])
def test_in_model_masker_and_transform_agree(score):
    from mmspec.datasets.transforms import InformationAwareMask

    gray = torch.randint(0, 256, (2, 1, 64, 48), dtype=torch.uint8)
    normalised = (gray.float() - 108.375) / 51
    in_model = InformationMasker(score)(normalised.expand(-1, 3, -1, -1))
    transform = InformationAwareMask(score=score)
    for image, ids_keep in zip(gray, in_model.ids_keep):
        assert transform(dict(img=image[0].numpy()))["ids_keep"].tolist() == ids_keep.tolist()


def test_wrong_scores_are_named():
    with pytest.raises(ValueError, match="score='heat'"):
        InformationMasker("heat")
    with pytest.raises(ValueError, match="mmspec.InformationAwareMask"):
        InformationMasker("entropy")


def test_nothing_masked_is_an_error_not_a_nan():
    with pytest.raises(ValueError, match="nothing is masked"):
        model(InformationMasker(stride=1))(torch.zeros(1, 3, 32, 32), None, mode="loss")


def test_autocast_masks_alike_and_keeps_the_residual_stream_in_float32():
    net = model(InformationMasker("projection"))
    images = torch.randn(4, 3, 128, 128)
    exact = net.masker(images)
    seen = []
    for block in net.neck.blocks:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    for block in net.backbone.stages[2]:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(net.masker(images).ids_keep, exact.ids_keep)
        net(images, None, mode="loss")["loss"].backward()
    assert seen == [torch.float32] * 2


def gradients(net: InfMAE) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in net.named_parameters()}
    net.zero_grad()
    return found


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_a_step_of_complementary_masks_is_the_mean_of_a_step_by_each(stride, norm_pix):
    net = model(InformationMasker(stride=stride, ranks="all"), norm_pix).double()
    images = torch.randn(2, 3, 48, 80, dtype=torch.float64)  # 15 patches: 2 and 4 do not divide
    mask = net.patch_mask(images, None)
    together = net.loss(images, None)["loss"]
    together.backward()
    expected = gradients(net)
    net.masker = None
    total = 0.0
    for k in range(stride):
        one = net.loss(images, samples(*mask.ids_keep[k::stride].numpy()))["loss"]
        (one / stride).backward()
        total += one.detach() / stride
    torch.testing.assert_close(total, together.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(net), expected, rtol=1e-9, atol=1e-12)


def test_complementary_masks_in_the_samples_reconstruct_by_the_first(batch):
    net = model().eval()
    both = dict(batch, data_samples=samples([[1, 4], [0, 2]], [[0, 5], [3, 4]]))
    results = []
    for given in (batch, both):
        data = net.data_preprocessor(given, False)
        results.append(net.reconstruct(**data))
    assert torch.equal(results[0].composite, results[1].composite)
    predicted = net(**data, mode="predict")
    assert predicted[0].patch_mask.tolist() == [[True, False, True], [True, False, True]]


def test_masked_vit_encodes_visible_patches_as_if_the_others_were_absent():
    torch.manual_seed(0)
    arch = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
    vit = MaskedViT(arch=arch, img_size=64, patch_size=16)
    vit.init_weights()
    vit.eval()
    assert not vit.pos_embed.requires_grad
    images = torch.randn(2, 3, 64, 64)
    mask = PatchMask.from_keep(torch.arange(16).expand(2, -1), (4, 4))
    everything = vit(images)[0].flatten(2).transpose(1, 2)
    assert torch.allclose(vit(images, mask), everything, atol=1e-5)
    some = PatchMask.from_keep(torch.tensor([[3, 9], [0, 15]]), (4, 4))
    changed = torch.where(some.upsample(16), images, images + 5)
    assert torch.allclose(vit(images, some), vit(changed, some), atol=1e-6)
    larger = PatchMask.from_keep(torch.arange(24).expand(2, -1), (4, 6))
    images = torch.randn(2, 3, 64, 96)
    everything = vit(images)[0].flatten(2).transpose(1, 2)
    assert torch.allclose(vit(images, larger), everything, atol=1e-5)


def test_masked_vit_starts_as_mae():
    """Xavier patch embedding (also channels-last) and maps, class token normal with 0.02."""
    torch.manual_seed(0)
    arch = dict(embed_dims=64, num_layers=1, num_heads=2, feedforward_channels=128)
    vit = MaskedViT(arch=arch, img_size=64).to(memory_format=torch.channels_last)
    with torch.no_grad():
        vit.patch_embed.projection.weight.zero_()
    vit.init_weights()
    assert vit.patch_embed.projection.weight.std().item() == pytest.approx(
        (2 / 832) ** 0.5, rel=0.02
    )
    assert vit.layers[0].attn.qkv.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.03)
    assert vit.cls_token.std().item() == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize("indices", [(0,), (0, 1), (1, 2), (2,)])
@pytest.mark.parametrize("final_norm", [True, False])
def test_a_vit_without_its_last_maps_has_no_parameter_without_a_gradient(indices, final_norm):
    torch.manual_seed(0)
    arch = dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=32)
    whole = MaskedViT(arch=arch, img_size=32, out_indices=[0, 1, 2], final_norm=final_norm)
    vit = MaskedViT(arch=arch, img_size=32, out_indices=indices, final_norm=final_norm)
    vit.init_weights()
    whole.load_state_dict(vit.state_dict(), strict=False)
    image = torch.randn(1, 3, 32, 48)
    maps = vit(image)
    for f, i in zip(maps, indices, strict=True):
        assert torch.equal(f, whole(image)[i])
    sum(f.square().sum() for f in maps).backward()
    assert [n for n, p in vit.named_parameters() if p.requires_grad and p.grad is None] == []
    if indices[-1] != 2 or not final_norm:
        with pytest.raises(RuntimeError, match="final_norm=True"):
            vit(image, PatchMask.from_keep(torch.tensor([[0, 3]]), (2, 3)))


def test_a_norm_before_the_layers_is_in_both_forwards():
    torch.manual_seed(0)
    arch = dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32)
    vit = MaskedViT(arch=arch, img_size=32, pre_norm=True)
    vit.init_weights()
    torch.nn.init.normal_(vit.pre_norm.weight)
    image = torch.randn(1, 3, 32, 32)
    (dense,) = vit(image)
    everything = vit(image, PatchMask.from_keep(torch.arange(4)[None], (2, 2)))
    torch.testing.assert_close(everything, dense.flatten(2).transpose(1, 2))


@pytest.mark.parametrize("indices", [(0,), (0, 1), (1, 2)])
def test_a_swin_without_its_last_maps_has_no_parameter_without_a_gradient(indices):
    torch.manual_seed(0)
    arch = dict(embed_dims=8, depths=[1, 1, 1], num_heads=[1, 1, 2])
    settings = dict(arch=arch, img_size=64, drop_path_rate=0.0)
    whole = MaskedSwin(**settings, out_indices=(0, 1, 2))
    swin = MaskedSwin(**settings, out_indices=indices)
    swin.init_weights()
    whole.load_state_dict(swin.state_dict(), strict=False)
    image = torch.randn(1, 3, 64, 64)
    maps = swin(image)
    for f, i in zip(maps, indices, strict=True):
        assert torch.equal(f, whole(image)[i])
    sum(f.square().sum() for f in maps).backward()
    assert [n for n, p in swin.named_parameters() if p.grad is None] == []
    assert {swin.get_layer_depth(n)[1] for n, _ in swin.named_parameters()} == {indices[-1] + 3}


def test_a_swin_for_pre_training_needs_its_last_stage():
    arch = dict(embed_dims=8, depths=[1, 1], num_heads=[1, 1])
    with pytest.raises(ValueError, match=r"out_indices=\(0,\)"):
        MaskedSwin(arch=arch, pretraining=True, out_indices=(0,))
