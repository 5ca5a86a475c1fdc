"""The decoder of small targets: shapes, gradients, supervision and what it can express."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmspec.models.backbones import ConvViT
from mmspec.models.heads import SmallTargetHead
from mmspec.models.heads.small_target import PRIOR
from mmspec.registry import MODELS

REPO = Path(__file__).resolve().parents[2]
WIDTHS = (8, 12, 16)
SIZES = ((8, 12), (4, 6), (2, 3))
LOSS = dict(type="mmspec.SoftIoULoss")
# Those of the configs: SoftIoU alone ends at no target.
LOSSES = Config.fromfile(REPO / "configs/_base_/models/unet_convvit-base.py").losses


def head_of(**settings) -> SmallTargetHead:
    torch.manual_seed(0)
    settings = dict(channels=16, norm_cfg=dict(type="BN"), loss_decode=LOSS) | settings
    head = SmallTargetHead(**dict(in_channels=WIDTHS) | settings)
    head.init_weights()
    return head


def maps_of(widths=WIDTHS, sizes=SIZES) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(2, width, *size) for width, size in zip(widths, sizes)]


def samples_of(*labels: torch.Tensor) -> list[SegDataSample]:
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


def two_targets() -> list[SegDataSample]:
    labels = torch.zeros(2, 32, 48, dtype=torch.long)
    labels[0, 3:5, 7:9] = 1
    labels[1, 20, 30] = 1
    labels[1, :, 40:] = 255
    return samples_of(*labels)


@pytest.mark.parametrize(("upscale", "size"), [(1, (8, 12)), (2, (16, 24)), (4, (32, 48))])
def test_logits_are_upscale_times_as_fine_as_the_finest_map(upscale, size):
    head = head_of(upscale=upscale)
    assert head(maps_of()).shape == (2, 1, *size)
    assert head.conv_seg.in_channels == 16 // upscale
    # Of one sign, the features would let the logits leave the bias to one side alone.
    assert [layer.with_activation for layer in head.unfold[1::2]] == [[], [False], [True, False]][
        upscale // 2
    ]


def test_any_number_of_maps_of_any_size_and_order_of_a_backbone():
    # Sides that are not twice one another, as of an image of 30 x 45.
    sizes = ((8, 12), (4, 6), (2, 3), (1, 2))
    maps = maps_of((4, 8, 12, 16), sizes)
    assert head_of(in_channels=(4, 8, 12, 16))(maps).shape == (2, 1, 32, 48)
    chosen = head_of(in_channels=(8, 16), in_index=(1, 3))
    assert chosen(maps).shape == (2, 1, 16, 24)
    assert torch.equal(chosen([None, maps[1], None, maps[3]]), chosen(maps))
    odd = maps_of(sizes=((7, 11), (4, 6), (2, 3)))
    assert head_of()(odd).shape == (2, 1, 28, 44)


def test_every_map_reaches_the_logits():
    maps = [x.requires_grad_() for x in maps_of()]
    head_of().eval()(maps).square().sum().backward()
    assert all(x.grad.abs().sum() > 0 for x in maps)


def test_an_untrained_head_predicts_few_targets():
    head = head_of(deep_supervision=1.0)
    assert head(maps_of()).sigmoid().mean().item() == pytest.approx(PRIOR, rel=0.2)
    assert all(conv.weight.std() < 0.02 for conv in (head.conv_seg, *head.deep_seg))
    two = head_of(out_channels=2)(maps_of()).softmax(1)
    assert two.shape == (2, 2, 32, 48)
    assert two.mean((0, 2, 3)).tolist() == pytest.approx([0.5, 0.5], abs=0.1)


def test_one_loss_without_deep_supervision_and_one_a_map_with_it():
    plain, deep = head_of(), head_of(deep_supervision=0.5)
    assert len(plain.deep_seg) == 0
    assert set(plain.loss(maps_of(), two_targets(), {})) == {"loss_soft_iou"}
    losses = deep.loss(maps_of(), two_targets(), {})
    assert list(losses) == ["loss_soft_iou", *(f"loss_soft_iou.deep{i}" for i in range(3))]
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in deep.parameters())
    # Prediction does not use what was added.
    state = deep.state_dict()
    plain.load_state_dict({k: v for k, v in state.items() if not k.startswith("deep_seg")})
    assert torch.equal(plain.eval()(maps_of()), deep.eval()(maps_of()))


def test_deep_supervision_is_by_cells_that_hold_a_target():
    head = head_of(deep_supervision=0.5)
    with torch.no_grad():
        for conv in head.deep_seg:
            conv.weight.zero_()
            conv.bias.zero_()  # a probability of one half everywhere
    labels = torch.full((2, 32, 48), 255)
    labels[:, :16, :] = 0
    labels[:, 3:5, 15:17] = 1  # 4 pixels in two cells at 1/16, at 1/8 and four at 1/4
    losses = head.loss(maps_of(), samples_of(*labels), {})
    # Cells that count, and those with a target.
    for number, (counted, target) in enumerate([(3, 2), (12, 2), (48, 4)]):
        both = target / 2
        expected = 1 - (both + 1) / (counted / 2 + target - both + 1)
        found = losses[f"loss_soft_iou.deep{number}"].item()
        assert found == pytest.approx(0.5 * expected, rel=1e-5)


def test_a_single_pixel_can_be_told_from_its_neighbours():
    """What a map at 1/4 says by channels comes out at full resolution."""
    torch.manual_seed(0)
    images = torch.zeros(16, 1, 16, 16)
    labels = torch.zeros(16, 16, 16, dtype=torch.long)
    for i in range(16):
        row, column = 4 + i // 4, 8 + i % 4
        images[i, 0, row, column] = labels[i, row, column] = 1
    # At 1/4 a cell's 16 pixels are 16 channels.
    fine = F.pixel_unshuffle(images, 4)
    maps = [fine, F.avg_pool2d(fine, 2)]
    head = head_of(in_channels=(16, 16), channels=32, loss_decode=LOSSES)
    optimizer = torch.optim.Adam(head.parameters(), lr=5e-3)
    for _ in range(80):
        optimizer.zero_grad()
        sum(head.loss(maps, samples_of(*labels), {}).values()).backward()
        optimizer.step()
    predicted = head.eval()(maps)[:, 0].sigmoid() > 0.5
    assert torch.equal(predicted, labels == 1)


def test_losses_of_mmseg_and_ours_together():
    losses = [
        LOSS,
        dict(type="mmspec.SLSLoss", warmup=0),
        dict(type="mmseg.CrossEntropyLoss", use_sigmoid=True, avg_non_ignore=True),
    ]
    found = head_of(loss_decode=losses).loss(maps_of(), two_targets(), {})
    assert set(found) == {"loss_soft_iou", "loss_sls", "loss_ce"}
    assert all(value.isfinite() for value in found.values())


def test_mmsegs_dice_needs_two_channels():
    dice = dict(type="mmseg.DiceLoss", use_sigmoid=False, ignore_index=0)
    with pytest.raises(ValueError, match="out_channels=2 and DiceLoss"):
        head_of(loss_decode=[LOSS, dice])
    head = head_of(loss_decode=dice, out_channels=2)
    truth = torch.zeros(1, 8, 8, dtype=torch.long)
    truth[0, 2:4, 2:4] = 1
    logits = torch.stack([1 - truth, truth], dim=1) * 40.0
    right, wrong = (head.loss_by_feat(x, samples_of(*truth)) for x in (logits, -logits))
    assert right["loss_dice"].item() == pytest.approx(0, abs=1e-3)
    assert wrong["loss_dice"].item() == pytest.approx(1, abs=1e-3)


def test_in_mmsegs_segmentor_on_the_encoder():
    arch = dict(embed_dims=(8, 16, 32), depths=(1, 1, 1), num_heads=2, mlp_ratios=(2, 2, 2))
    model = MODELS.build(
        ConfigDict(
            type="mmseg.EncoderDecoder",
            backbone=dict(type="mmspec.ConvViT", arch=arch, out_indices=(0, 1, 2)),
            decode_head=dict(
                type="mmspec.SmallTargetHead", in_channels=[8, 16, 32], channels=8, loss_decode=LOSS
            ),
            test_cfg=dict(mode="whole"),
        )
    ).eval()
    assert isinstance(model.backbone, ConvViT)
    assert model.decode_head.threshold == 0.5
    with torch.no_grad():
        (result, _) = model(torch.randn(2, 3, 50, 70), mode="predict")
    assert result.seg_logits.data.shape == (1, 50, 70)
    # Probabilities, as the metric expects them.
    assert result.seg_logits.data.min() > 0 and result.seg_logits.data.max() < 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(upscale=3), "upscale=3, channels=16"),
        (dict(channels=6, upscale=4), "upscale=4, channels=6"),
        (dict(deep_supervision=-1), "deep_supervision=-1"),
        (dict(in_index=(0, 1)), r"in_index=\(0, 1\)"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        head_of(**settings)
