"""Losses of small targets: values and gradients done by hand."""

import math
from functools import partial

import pytest
import torch

from mmspec.models.losses import SLSLoss, SoftIoULoss
from mmspec.registry import MODELS

BOTH = [SoftIoULoss, partial(SLSLoss, warmup=0)]
EMPTY = torch.zeros(1, 4, 4, dtype=torch.long)


def logits_of(probability):
    return torch.logit(torch.as_tensor(probability, dtype=torch.float64)).float()[None, None]


def one_target(row=0, column=0):
    target = EMPTY.clone()
    target[0, row, column] = 1
    return target


def test_soft_iou_by_hand():
    # Four pixels: sum p = 0.5 + 0.25 + 0.25 + 0.5, sum g = 2, sum pg = 0.75.
    pred = logits_of([[0.5, 0.25], [0.25, 0.5]])
    target = torch.tensor([[[1, 1], [0, 0]]])
    expected = 1 - (0.75 + 1) / (1.5 + 2 - 0.75 + 1)
    assert SoftIoULoss()(pred, target).item() == pytest.approx(expected)
    assert SoftIoULoss(loss_weight=3)(pred, target).item() == pytest.approx(3 * expected)


def test_soft_iou_gradient_by_hand():
    pred = logits_of([[0.5, 0.25]]).requires_grad_()
    SoftIoULoss()(pred, torch.tensor([[[1, 0]]])).backward()
    # L = 1 - (a + 1) / (b + 2), with a and b the probabilities on and off the target.
    a, b = 0.5, 0.25
    on, off = -1 / (b + 2) * a * (1 - a), (a + 1) / (b + 2) ** 2 * b * (1 - b)
    assert pred.grad.flatten().tolist() == pytest.approx([on, off])


def test_mean_over_images_not_pixels():
    pred = torch.cat([logits_of([[0.5, 0.25]]), logits_of([[0.9, 0.8]])])
    target = torch.tensor([[[1, 0]], [[0, 1]]])
    for loss in (SoftIoULoss(), SLSLoss(warmup=0)):
        alone = [loss(pred[i : i + 1], target[i : i + 1]) for i in range(2)]
        assert loss(pred, target).item() == pytest.approx(sum(alone).item() / 2)


def test_over_the_batch_every_pixel_counts_alike():
    pred = torch.cat([logits_of([[0.5, 0.25]]), logits_of([[0.9, 0.8]])])
    target = torch.tensor([[[1, 0]], [[0, 255]]])
    expected = 1 - (0.5 + 1) / (0.5 + 0.25 + 0.9 + 1 - 0.5 + 1)
    assert SoftIoULoss(over="batch")(pred, target).item() == pytest.approx(expected)
    # SLS begins as that, and an option that swaps the two keeps ``over``.
    assert SLSLoss(over="batch")(pred, target).item() == pytest.approx(expected)
    for loss in (SoftIoULoss, SLSLoss):
        with pytest.raises(ValueError, match="over must be 'image' or 'batch', got 'pixel'"):
            loss(over="pixel")


def test_sls_by_hand():
    # One target pixel at (0, 3), all probability, a half, at (3, 0).
    probability = torch.full((4, 4), 0.0)
    probability[3, 0] = 0.5
    pred = torch.full((1, 1, 4, 4), -100.0)
    pred[0, 0, 3, 0] = 0
    p, g = 0.5, 1.0
    variance = ((p - g) / 2) ** 2
    weight = (p + variance + 1) / (g + variance + 1)
    iou = (0 + 1) / (p + g - 0 + 1)
    # Centres (0.5, 3.5) and (3.5, 0.5): as far from the corner, angles mirrored.
    angle = math.atan2(3.5, 0.5) - math.atan2(0.5, 3.5)
    expected = 1 - weight * iou + 4 / math.pi**2 * angle**2
    assert SLSLoss(warmup=0)(pred, one_target(0, 3)).item() == pytest.approx(expected, rel=1e-5)


def test_sls_distance_by_hand():
    # Prediction and target of one pixel on the diagonal: angles agree, distances are as 1 to 7.
    pred = torch.full((1, 1, 4, 4), -100.0)
    pred[0, 0, 0, 0] = 100
    expected = (1 - 1 * 1 / 3) + (1 - 1 / 7)
    assert SLSLoss(warmup=0)(pred, one_target(3, 3)).item() == pytest.approx(expected, rel=1e-5)


def test_sls_pulls_the_prediction_towards_the_target():
    probability = torch.full((8, 8), 0.05)
    pred = torch.logit(probability)[None, None].requires_grad_()
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[0, 6, 6] = 1
    SLSLoss(warmup=0)(pred, target).backward()
    gradient = pred.grad[0, 0]
    assert gradient[6, 6] < 0 < gradient[0, 0]
    # Of two background pixels the one nearer to the target is pushed down less.
    assert gradient[5, 6] < gradient[0, 0]


def test_sls_begins_after_its_warm_up_also_in_a_resumed_run():
    pred = torch.randn(2, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    target = (torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(1)) < 0.2).long()
    plain, full = SoftIoULoss()(pred, target), SLSLoss(warmup=0)(pred, target)
    first, resumed = SLSLoss(warmup=3), SLSLoss(warmup=3)
    assert [first(pred, target) for _ in range(2)] == [plain, plain]
    first.eval()(pred, target)  # outside training calls do not count
    resumed.load_state_dict(first.state_dict())
    assert [resumed(pred, target) for _ in range(3)] == [plain, full, full]


@pytest.mark.parametrize("loss", BOTH)
def test_a_perfect_prediction_costs_nothing(loss):
    for target in (one_target(1, 2), EMPTY):
        pred = torch.where(target[:, None] == 1, 100.0, -100.0)
        assert loss()(pred, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", BOTH)
def test_empty_truth_pushes_scores_down(loss):
    pred = torch.zeros(1, 1, 4, 4, requires_grad=True)
    loss()(pred, EMPTY).backward()
    assert (pred.grad > 0).all()


@pytest.mark.parametrize("loss", BOTH)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("level", [-200.0, -20.0, 0.0, 20.0, 200.0])
def test_finite_on_large_images_of_any_type(loss, dtype, level):
    pred = torch.full((2, 1, 512, 512), level, dtype=dtype, requires_grad=True)
    target = torch.zeros(2, 512, 512, dtype=torch.long)
    target[0, 100:104, 200:203] = 1  # the other image is empty
    value = loss()(pred, target)
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite()
    assert pred.grad.isfinite().all()


@pytest.mark.parametrize("loss", BOTH)
def test_ignored_pixels_change_nothing(loss):
    torch.manual_seed(0)
    target = torch.zeros(1, 6, 6, dtype=torch.long)
    target[0, 1, 2] = 1
    target[0, 3:, :] = 255
    values, gradients = [], []
    for level in (-5.0, 7.0):
        pred = torch.randn(1, 1, 6, 6, generator=torch.Generator().manual_seed(1))
        pred[:, :, 3:] = level
        pred.requires_grad_()
        value = loss()(pred, target)
        value.backward()
        values.append(value.item())
        gradients.append(pred.grad)
    assert values[0] == values[1]
    assert torch.equal(*gradients) and (gradients[0][:, :, 3:] == 0).all()
    everywhere = loss()(pred, torch.full_like(target, 255))
    assert everywhere.item() == 0


@pytest.mark.parametrize("loss", BOTH)
def test_two_channels_are_a_softmax(loss):
    pred = torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    target = (torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(1)) < 0.2).long()
    one = torch.logit(pred.softmax(1)[:, 1:])
    assert loss()(pred, target).item() == pytest.approx(loss()(one, target).item(), rel=1e-5)


@pytest.mark.parametrize("loss", BOTH)
def test_weights_of_a_pixel_sampler(loss):
    pred = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    target, weight = one_target(1, 1), torch.ones(1, 4, 4)
    weight[:, 2:] = 0
    ignored = target.clone()
    ignored[:, 2:] = 255
    assert loss()(pred, target, weight=weight).item() == loss()(pred, ignored).item()


@pytest.mark.parametrize("loss", BOTH)
@pytest.mark.parametrize("share", [0.5, 2.0])
def test_a_perfect_prediction_costs_nothing_at_any_weight(loss, share):
    target = one_target(1, 2)
    pred = torch.where(target[:, None] == 1, 100.0, -100.0)
    weight = torch.full((1, 4, 4), share)
    assert loss()(pred, target, weight=weight).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", BOTH)
def test_other_heads_are_refused(loss):
    with pytest.raises(ValueError, match=r"logits of 3 channels; give a head out_channels=1"):
        loss()(torch.zeros(1, 3, 4, 4), EMPTY)


def test_in_a_head_of_mmseg_beside_its_own_losses():
    pytest.importorskip("mmseg.models")
    from mmengine.registry import DefaultScope
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    config = dict(
        type="mmseg.FCNHead", in_channels=4, channels=4, in_index=0, num_convs=1,
        concat_input=False, num_classes=2, out_channels=1, threshold=0.5, align_corners=False,
        loss_decode=[
            dict(type="CrossEntropyLoss", use_sigmoid=True),
            dict(type="mmspec.SoftIoULoss", loss_weight=2.0),
            dict(type="mmspec.SLSLoss"),
        ],
    )  # fmt: skip
    with DefaultScope.overwrite_default_scope("mmseg"):
        head = MODELS.build(config)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=one_target(1, 1))) for _ in range(2)]
    losses = head.loss_by_feat(torch.randn(2, 1, 2, 2, requires_grad=True), samples)
    assert {"loss_ce", "loss_soft_iou", "loss_sls"} <= set(losses)
    sum(value for name, value in losses.items() if name.startswith("loss")).backward()
