"""What decoders are to predict: gradients, features of teachers, and several targets at once."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models.selfsup import HOGGenerator
from torch import nn

from mmspec.masking import PatchMask
from mmspec.models.backbones import ConvViT
from mmspec.models.heads import ReconstructionHead
from mmspec.models.maskers import InformationMasker
from mmspec.models.necks import InfMAEDecoder
from mmspec.models.selfsup import InfMAE
from mmspec.models.targets import (
    HOGTarget,
    LogRatioTarget,
    MovingAverageTarget,
    PixelTarget,
    TeacherTarget,
)
from mmspec.pairs import PAIR
from mmspec.visualization.reconstruction import reconstruction_sheet
from mmspec.visualization.samples import draw_reconstruction

ARCH = dict(embed_dims=(8, 12, 16), depths=(1, 1, 1), num_heads=2, mlp_ratios=(2, 2, 2))
MEAN, STD = (108.375,) * 3, (51.0,) * 3
ALL = slice(0, 3)
WEIGHTED = dict(type="Xavier", layer="Linear")
PAIRS = dict(
    type="mmspec.RGBTDataPreprocessor",
    mean_infrared=(100.0,) * 3,
    std_infrared=(50.0,) * 3,
    mean_visible=(90.0, 100, 110),
    std_visible=(40.0, 50, 60),
)


def model(targets, out_dims, preprocessor=None, **masking) -> InfMAE:
    torch.manual_seed(0)
    net = InfMAE(
        backbone=ConvViT(ARCH, pretraining=True),
        neck=InfMAEDecoder(in_dims=16, dims=8, depth=1, num_heads=2, out_dims=out_dims),
        head=ReconstructionHead(targets=targets),
        masker=InformationMasker(**masking),
        data_preprocessor=preprocessor or dict(mean=MEAN, std=STD, to_rgb=False),
    )
    net.init_weights()
    return net


def teacher(**kwargs) -> dict:
    return dict(type="mmspec.ConvViT", arch=ARCH, out_indices=(0, 1, 2), **kwargs)


# Histograms of oriented gradients


@pytest.fixture
def gray() -> torch.Tensor:
    torch.manual_seed(1)
    return F.interpolate(torch.rand(2, 1, 40, 56), (160, 224), mode="bicubic").expand(-1, 3, -1, -1)


def test_histograms_are_those_of_mmpretrains_maskfeat(gray):
    square = F.pad(gray, (0, 0, 0, 64), mode="reflect")
    expected = HOGGenerator(nbins=9, pool=8, gaussian_window=16)(square)
    assert torch.equal(HOGTarget()(square, ALL), expected)
    # Mirrored at its border, as the generator does it, a part of a square is itself.
    assert torch.equal(HOGTarget()(gray, ALL), expected[:, : 10 * 14])
    turned = HOGTarget()(gray.transpose(2, 3), ALL)
    square = HOGGenerator()(square.transpose(2, 3)).view(2, 14, 14, 108)
    assert torch.equal(turned, square[:, :, :10].flatten(1, 2))


def test_histograms_know_no_gain_no_offset_and_no_polarity(gray):
    expected = HOGTarget()(gray, ALL)
    for other in (3 * gray + 0.5, 1 - gray):
        assert (HOGTarget()(other, ALL) - expected).abs().mean() < 1e-4
    assert torch.equal(HOGTarget()(gray[:, :1], ALL), expected)  # one channel is three equal ones


def test_histograms_are_exact_under_autocast(gray):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = HOGTarget()(gray, ALL)
    assert torch.equal(found, HOGTarget()(gray, ALL))


# Log ratios


def ratios(image: torch.Tensor, sizes=(4, 8)) -> torch.Tensor:
    """(size, direction, rows of cells, columns of cells) of one image (H, W)."""
    target = LogRatioTarget(sizes=sizes, floor=1e-7)
    patches = target(image[None, None], ALL)[0]
    rows, columns = (side // 16 for side in image.shape)
    cells = patches.view(rows, columns, len(sizes), 2, 4, 4).permute(2, 3, 0, 4, 1, 5)
    return cells.reshape(len(sizes), 2, 4 * rows, 4 * columns)


def test_an_edge_is_the_logarithm_of_its_ratio():
    image = torch.full((32, 48), 10.0)
    image[:, 18:] = 20  # through the centre of the fifth column of cells
    found = ratios(image)
    expected = torch.zeros(2, 2, 8, 12)
    expected[0, 0, :, 4] = math.log(2)
    # Of windows of 8 pixels also one pixel cell, four pixels, to each side.
    expected[1, 0, :, 3:6] = torch.tensor([math.log(1.5), math.log(2), math.log(20 / 15)])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    turned = ratios(image.T.contiguous())
    torch.testing.assert_close(turned[:, 1], expected[:, 0].transpose(1, 2), atol=1e-4, rtol=0)


def test_a_gain_cancels_and_an_offset_weakens():
    torch.manual_seed(0)
    images = 50 + 200 * torch.rand(2, 1, 64, 48)
    target = LogRatioTarget()
    expected = target(images, ALL)
    assert expected.shape == (2, 12, 96)
    torch.testing.assert_close(target(3.7 * images, ALL), expected, atol=1e-5, rtol=1e-4)
    assert target(images + 300, ALL).std() < 0.6 * expected.std()
    step = torch.full((32, 32), 10.0)
    step[:, 18:] = 20
    assert ratios(step + 10)[0, 0, 0, 4].item() == pytest.approx(math.log(1.5), abs=1e-4)


def test_ratios_are_of_gray_levels_as_they_were():
    levels = torch.randint(0, 256, (2, 3, 32, 32)).float()
    target = LogRatioTarget()
    expected = target(levels, ALL)
    target.attach(None, model(None, None).data_preprocessor)
    torch.testing.assert_close(target((levels - 108.375) / 51, ALL), expected, atol=1e-4, rtol=1e-4)
    pairs = model(None, None, PAIRS).data_preprocessor
    target.attach(None, pairs)
    both = (levels.repeat(1, 2, 1, 1) - pairs.mean) / pairs.std
    for side in (slice(0, 3), slice(3, 6)):
        torch.testing.assert_close(target(both, side), expected, atol=1e-4, rtol=1e-4)


def test_black_has_ratios_of_nothing():
    assert torch.equal(LogRatioTarget()(torch.zeros(1, 1, 32, 32), ALL), torch.zeros(1, 4, 96))


# An average of the encoder


def test_the_average_starts_as_the_encoder_and_follows_it():
    net = model(dict(type="mmspec.MovingAverageTarget", decay=0.75), 16)
    target = net.head.targets[0]
    names = [name for name, _ in net.backbone.named_parameters()]
    starts = {name: p.detach().clone() for name, p in net.backbone.named_parameters()}
    images = torch.randn(2, 3, 32, 48)
    net.train()
    net(images, None, mode="loss")
    own = dict(target.teacher.named_parameters())
    assert all(torch.equal(own[name], starts[name]) for name in names)
    with torch.no_grad():
        for p in net.backbone.parameters():
            p.add_(1.0)
    net(images, None, mode="loss")
    for name in names:
        torch.testing.assert_close(own[name], starts[name] + 0.25)
    net(images, None, mode="loss")
    for name in names:
        torch.testing.assert_close(own[name], starts[name] + 0.75 * 0.25 + 0.25)
    net.eval()
    net(images, None, mode="loss")
    net.predict(images, None)
    assert target.steps == 3 and not target.teacher.training
    for name in names:
        torch.testing.assert_close(own[name], starts[name] + 0.4375)


def test_the_average_is_saved_once_resumed_and_never_trained():
    net = model(dict(type="mmspec.MovingAverageTarget"), 16)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    images = torch.randn(2, 3, 32, 48)
    for _ in range(2):
        net(images, None, mode="loss")["loss"].backward()
        optimizer.step()
    values = sum(p.numel() for p in net.backbone.parameters())
    saved = sum(v.numel() for k, v in net.state_dict().items() if k.startswith("head."))
    assert saved == values + 1
    assert all(p.grad is None for p in net.head.parameters())
    again = model(dict(type="mmspec.MovingAverageTarget"), 16)
    again.load_state_dict(net.state_dict())
    for one in (net, again):
        one(images, None, mode="loss")
    torch.testing.assert_close(again.head.state_dict(), net.head.state_dict())
    assert again.head.targets[0].steps == 3


def test_features_are_the_normalised_map_of_the_whole_image():
    net = model(dict(type="mmspec.MovingAverageTarget"), 16)
    images = torch.randn(2, 3, 32, 48)
    net.head.follow(net.backbone)
    found = net.head.target(images)
    expected = net.backbone.eval()(images)[-1].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, F.layer_norm(expected, (16,)))
    torch.testing.assert_close(found.mean(-1), torch.zeros(2, 6), atol=1e-5, rtol=0)
    prediction = torch.randn(2, 6, 16)
    mask = torch.tensor([[1, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0]]).bool()
    loss = net.head.loss(prediction, images, mask)
    difference = (prediction - found).abs()[mask]
    expected = torch.where(difference < 1, difference**2 / 2, difference - 0.5).mean()
    torch.testing.assert_close(loss, expected)
    net.head.targets[0].loss = "cosine"
    cosine = (prediction * found).sum(-1) / prediction.norm(dim=-1) / found.norm(dim=-1)
    torch.testing.assert_close(net.head.loss(prediction, images, mask), (1 - cosine)[mask].mean())


# A frozen teacher


def test_a_frozen_teacher_is_no_part_of_the_model_but_goes_where_it_goes():
    target = TeacherTarget(teacher(init_cfg=WEIGHTED))
    frozen = target._teacher[0]
    assert not list(target.parameters()) and not target.state_dict()
    target.train()
    assert not frozen.training and not any(p.requires_grad for p in frozen.parameters())
    images = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    assert target.double()(images, ALL).shape == (1, 4, 16)
    assert {p.dtype for p in frozen.parameters()} == {torch.float64}


def test_a_teacher_is_read_from_a_checkpoint(tmp_path):
    net = model(None, None)
    file = str(tmp_path / "epoch_1.pth")
    torch.save(dict(state_dict=net.state_dict()), file)
    with pytest.raises(Exception, match="num_heads"):
        TeacherTarget(file)  # of no named size
    config = teacher(init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=file))
    target = TeacherTarget(config)
    images = torch.randn(1, 3, 32, 48)
    expected = net.backbone.eval()(images)[-1].flatten(2).transpose(1, 2)
    torch.testing.assert_close(target(images, ALL), F.layer_norm(expected, (16,)))


def test_a_checkpoint_of_a_named_size_is_named_alone(tmp_path):
    net = ConvViT("tiny", pretraining=True)
    file = str(tmp_path / "tiny.pth")
    torch.save({f"backbone.{k}": v for k, v in net.state_dict().items()}, file)
    images = torch.randn(1, 3, 32, 48)
    found = TeacherTarget(file)(images, ALL)  # of F3; F4 has an untrained convolution
    expected = net.eval()(images)[2].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, F.layer_norm(expected, (224,)))


def test_a_teacher_sees_images_normalised_as_it_knows_them():
    target = TeacherTarget(teacher(init_cfg=WEIGHTED), mean=(1.0, 2, 3), std=(4.0, 5, 6))
    target.attach(None, model(None, None).data_preprocessor)
    seen = []
    target._teacher[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    levels = torch.rand(1, 3, 32, 32) * 255
    target((levels - 108.375) / 51, ALL)
    expected = (levels - torch.tensor([1.0, 2, 3])[:, None, None]) / torch.tensor([4.0, 5, 6])[
        :, None, None
    ]
    torch.testing.assert_close(seen[0], expected, atol=1e-4, rtol=1e-4)


def test_any_backbone_of_mmpretrain_teaches_on_the_patch_grid():
    resnet = dict(
        type="mmpretrain.ResNet", depth=18, base_channels=4, stem_channels=4,
        out_indices=(1, 3), init_cfg=dict(type="Kaiming", layer="Conv2d"),
    )  # fmt: skip
    images = torch.randn(2, 3, 96, 64)
    for index, channels in ((0, 8), (1, 32)):
        target = TeacherTarget(resnet, index=index)
        maps = target._teacher[0](images)[index]
        expected = F.interpolate(maps, (6, 4), mode="bilinear", antialias=True)
        found = target(images, ALL)
        assert found.shape == (2, 24, channels)
        expected = F.layer_norm(expected.flatten(2).transpose(1, 2), (channels,))
        torch.testing.assert_close(found, expected)


def test_of_pairs_the_student_sees_infrared_and_the_teacher_visible():
    named = dict(type="mmspec.TeacherTarget", teacher=teacher(init_cfg=WEIGHTED))
    net = model(dict(named, modality="visible"), 16, PAIRS).eval()
    pairs = torch.randn(2, 6, 32, 48)
    others = torch.cat([pairs[:, :3], torch.randn(2, 3, 32, 48)], 1)
    results = [net.reconstruct(one) for one in (pairs, others)]
    assert torch.equal(results[0].mask.ids_keep, results[1].mask.ids_keep)
    seen = [net._predict(one, results[0].mask) for one in (pairs, others)]
    assert torch.equal(*seen)
    assert not torch.equal(results[0].loss, results[1].loss)
    alone = TeacherTarget(teacher(init_cfg=WEIGHTED))
    alone._teacher = net.head.targets[0]._teacher
    assert torch.equal(net.head.target(pairs), alone(pairs[:, 3:], ALL))
    with pytest.raises(ValueError, match="pairs have 6 channels, got 3"):
        net.head.target(pairs[:, :3])
    assert [f.shape[1] for f in net.extract_feat(pairs)] == [8, 12, 16]
    sample = net.predict(pairs, None)[0]
    sample.set_metainfo(dict(channels=PAIR))
    drawn = draw_reconstruction(torch.zeros(4, 32, 48, dtype=torch.uint8), sample)
    assert drawn.shape[1] < 3 * 48  # the infrared image and its visible patches


# The head


SEVERAL = [
    dict(type="mmspec.PixelTarget", norm_pix=True, weight=0.5),
    dict(type="mmspec.HOGTarget", weight=2.0),
]


def test_errors_of_several_targets_are_added_by_weight():
    head = ReconstructionHead(targets=SEVERAL)
    images, mask = torch.randn(2, 3, 32, 48), torch.rand(2, 6) < 0.5
    mask[0, 0] = True
    prediction = torch.randn(2, 6, 768 + 108)
    pixels = ReconstructionHead(norm_pix=True).loss(prediction[..., :768], images, mask)
    hog = ReconstructionHead(targets=SEVERAL[1]).loss(prediction[..., 768:], images, mask)
    torch.testing.assert_close(head.loss(prediction, images, mask), 0.5 * pixels + hog)
    raw = HOGTarget()
    error = (prediction[..., 768:] - raw(images, ALL)).square().mean(-1)
    torch.testing.assert_close(hog, 2 * error[mask].mean())
    assert head.loss(head.target(images), images, mask) == 0
    shown = head.to_pixels(head.target(images), images)
    torch.testing.assert_close(shown, images, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("targets", "width"),
    [
        (dict(type="mmspec.HOGTarget"), 108),
        (dict(type="mmspec.LogRatioTarget"), 96),
        (dict(type="mmspec.MovingAverageTarget", loss="cosine"), 16),
        (SEVERAL, 876),
    ],
)
def test_a_model_of_any_target_trains_predicts_and_draws(targets, width):
    net = model(targets, width)
    images = torch.randn(2, 3, 32, 48)
    net(images, None, mode="loss")["loss"].backward()
    learning = {n: p for n, p in net.named_parameters() if p.requires_grad}
    assert [n for n, p in learning.items() if p.grad is None] == []
    net.eval()
    sample = net.predict(images, None)[0]
    assert sample.patch_mask.shape == (2, 3) and sample.reconstruction_loss.isfinite()
    result = net.reconstruct(images)
    loss = net(images, None, mode="loss")["loss"]
    assert result.loss.mean().item() == pytest.approx(loss.item(), rel=1e-5)
    sheet = reconstruction_sheet(result)
    pixels = targets is SEVERAL
    assert ("reconstruction" in sample) == pixels == (result.prediction is not None)
    assert (sheet.shape[1] > 4 * 48) == pixels
    if not pixels:
        with pytest.raises(ValueError, match="no pixels are predicted"):
            net.head.to_pixels(torch.zeros(2, 6, width), images)


def test_complementary_masks_share_one_target():
    """By the teacher's one look at an image, exact against a step by each mask."""
    net = model(dict(type="mmspec.MovingAverageTarget"), 16, ranks="all", stride=3)
    looks = []
    net.head.targets[0].teacher.register_forward_hook(lambda *_: looks.append(1))
    images = torch.randn(2, 3, 48, 48)
    mask = net.patch_mask(images, None)
    together = net.loss(images, None)["loss"]
    assert len(looks) == 1
    alone = []
    for k in range(3):
        one = PatchMask.from_keep(mask.ids_keep[k::3], mask.grid)
        alone.append(net.head.loss(net._predict(images, one), images, one.mask))
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_wrong_targets_are_named():
    with pytest.raises(ValueError, match=r"predicts 768 values .* have 108: .*out_dims=108"):
        model(dict(type="mmspec.HOGTarget"), None)(torch.zeros(1, 3, 32, 32), None, mode="loss")
    with pytest.raises(ValueError, match="norm_pix=True beside targets"):
        ReconstructionHead(norm_pix=True, targets=dict(type="mmspec.HOGTarget"))
    with pytest.raises(ValueError, match="once and first"):
        ReconstructionHead(targets=SEVERAL[::-1])
    with pytest.raises(ValueError, match="once and first"):
        ReconstructionHead(targets=[])
    with pytest.raises(ValueError, match="has no weights"):
        TeacherTarget(teacher())
    with pytest.raises(ValueError, match="both or neither"):
        TeacherTarget(teacher(init_cfg=WEIGHTED), mean=MEAN)
    with pytest.raises(ValueError, match="modality='thermal': infrared, visible"):
        TeacherTarget(teacher(init_cfg=WEIGHTED), modality="thermal")
    with pytest.raises(ValueError, match="loss='l1': smooth-l1, cosine"):
        MovingAverageTarget(loss="l1")
    with pytest.raises(ValueError, match="decay=1"):
        MovingAverageTarget(decay=1)
    with pytest.raises(ValueError, match="out_type='featmap'"):
        TeacherTarget(
            dict(type="mmpretrain.VisionTransformer", arch=dict(
                embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16,
            ), img_size=32, init_cfg=WEIGHTED)
        )(torch.zeros(1, 3, 32, 32), ALL)  # fmt: skip
    for options in (dict(cell=3), dict(sizes=(3,)), dict(floor=0)):
        with pytest.raises(ValueError, match=next(iter(options))):
            LogRatioTarget(**options)
    assert isinstance(ReconstructionHead().targets, nn.ModuleList)
    assert isinstance(ReconstructionHead().targets[0], PixelTarget)
