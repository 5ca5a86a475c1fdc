"""NMS, RoIAlign and RoIPool through mmcv's functions, against torchvision and slow references."""

import math
import sys

import numpy as np
import pytest
import torch
import torchvision

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")
pytestmark = pytest.mark.stack

stand_in_only = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="this mmcv has compiled operators"
)


def random_boxes(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Overlapping boxes on whole pixels (exact in float32) and distinct scores."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 40, (count, 2), generator=generator)
    sizes = torch.randint(1, 30, (count, 2), generator=generator)
    scores = (torch.randperm(count, generator=generator) + 1) / (count + 1)
    return torch.cat([corners, corners + sizes], dim=1).float(), scores


def slow_nms(boxes, scores, threshold: float, offset: int = 0) -> list[int]:
    """Greedy suppression, one pair at a time, as the definition reads."""
    boxes = np.asarray(boxes, dtype=np.float32)

    def area(box):
        return max(box[2] - box[0] + offset, 0) * max(box[3] - box[1] + offset, 0)

    def iou(a, b):
        shared = area([*np.maximum(a[:2], b[:2]), *np.minimum(a[2:], b[2:])])
        return shared / (area(a) + area(b) - shared)

    kept = []
    for i in np.argsort(-np.asarray(scores)):
        if all(iou(boxes[i], boxes[j]) <= np.float32(threshold) for j in kept):
            kept.append(int(i))
    return kept


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_nms_equals_the_slow_definition(threshold, offset):
    boxes, scores = random_boxes(120)
    dets, kept = mmcv_ops.nms(boxes, scores, threshold, offset=offset)
    assert kept.tolist() == slow_nms(boxes, scores, threshold, offset)
    assert 1 < len(kept) < 120
    assert torch.equal(dets, torch.cat([boxes, scores[:, None]], dim=1)[kept])


def test_nms_equals_torchvision():
    boxes, scores = random_boxes(300, seed=1)
    _, kept = mmcv_ops.nms(boxes, scores, 0.5)
    assert torch.equal(kept, torchvision.ops.nms(boxes, scores, 0.5))


def test_nms_offset_decides_about_one_pixel_boxes():
    # Pixels 0..1 and 1..2: one of three columns is shared when corners are pixel indices, none when
    # they are edges.
    boxes = torch.tensor([[0.0, 0, 1, 0], [1, 0, 2, 0]])
    scores = torch.tensor([0.9, 0.8])
    assert mmcv_ops.nms(boxes, scores, 0.3, offset=0)[1].tolist() == [0, 1]
    assert mmcv_ops.nms(boxes, scores, 0.3, offset=1)[1].tolist() == [0]


def test_nms_keeps_a_pair_at_exactly_the_threshold():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 3]])
    scores = torch.tensor([0.9, 0.8])
    assert mmcv_ops.nms(boxes, scores, 0.3)[1].tolist() == [0, 1]
    assert mmcv_ops.nms(boxes, scores, 0.29)[1].tolist() == [0]


def test_nms_score_threshold_and_max_num():
    boxes, scores = random_boxes(80, seed=2)
    candidates = (scores > 0.4).nonzero().flatten()
    expected = [candidates[i].item() for i in slow_nms(boxes[candidates], scores[candidates], 0.5)]
    _, kept = mmcv_ops.nms(boxes, scores, 0.5, score_threshold=0.4, max_num=3)
    assert kept.tolist() == expected[:3]


def test_nms_of_no_boxes():
    dets, kept = mmcv_ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.int64


def test_nms_of_arrays():
    boxes, scores = random_boxes(50)
    dets, kept = mmcv_ops.nms(boxes.numpy(), scores.numpy(), 0.5)
    assert isinstance(dets, np.ndarray)
    assert kept.tolist() == slow_nms(boxes, scores, 0.5)


@stand_in_only
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_nms_of_half_precision(dtype):
    boxes, scores = random_boxes(50)  # whole pixels up to 70: exact in either half precision
    _, kept = mmcv_ops.nms(boxes.to(dtype), scores, 0.5)
    assert kept.tolist() == slow_nms(boxes, scores, 0.5)


@pytest.mark.parametrize("split_thr", [10000, 10])
def test_batched_nms_suppresses_within_a_class_only(split_thr):
    boxes, scores = random_boxes(90, seed=3)
    labels = torch.arange(90) % 3
    dets, kept = mmcv_ops.batched_nms(
        boxes, scores, labels, dict(type="nms", iou_threshold=0.4, split_thr=split_thr)
    )
    expected = []
    for label in range(3):
        members = (labels == label).nonzero().flatten()
        expected += [members[i].item() for i in slow_nms(boxes[members], scores[members], 0.4)]
    expected.sort(key=lambda i: -scores[i])
    assert kept.tolist() == expected
    assert torch.equal(dets, torch.cat([boxes, scores[:, None]], dim=1)[kept])


def test_batched_nms_class_agnostic():
    boxes, scores = random_boxes(90, seed=3)
    labels = torch.arange(90) % 3
    config = dict(type="nms", iou_threshold=0.4, class_agnostic=True)
    _, kept = mmcv_ops.batched_nms(boxes, scores, labels, config)
    assert kept.tolist() == slow_nms(boxes, scores, 0.4)


ROIS = torch.tensor(
    [
        [0, 4.0, 6.0, 40.0, 30.0],
        [1, 0.0, 0.0, 63.0, 47.0],
        [1, 10.3, 5.7, 12.1, 44.9],
        [0, -9.0, -5.0, 20.0, 90.0],  # partly outside the image
        [1, 30.0, 20.0, 30.0, 20.0],  # no area
    ]
)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2])
@pytest.mark.parametrize(("size", "scale"), [(7, 0.25), ((3, 5), 0.5), (1, 1 / 16)])
def test_roi_align_equals_torchvision(size, scale, sampling_ratio, aligned):
    ours = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    theirs = ours.clone().requires_grad_()
    ours.requires_grad_()

    pooled = mmcv_ops.RoIAlign(size, scale, sampling_ratio, aligned=aligned)(ours, ROIS)
    expected = torchvision.ops.roi_align(theirs, ROIS, size, scale, sampling_ratio, aligned)
    torch.testing.assert_close(pooled, expected, rtol=1e-6, atol=1e-6)

    weight = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(1))
    (pooled * weight).sum().backward()
    (expected * weight).sum().backward()
    assert ours.grad.abs().sum() > 0
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("aligned", "shift"), [(True, 0.5), (False, 0.0)])
def test_roi_align_of_a_ramp_gives_the_bin_centres(aligned, shift):
    ramp = torch.arange(32.0).expand(1, 1, 24, 32) + 100 * torch.arange(24.0)[:, None]
    rois = torch.tensor([[0, 8.0, 12.0, 40.0, 28.0]])  # at scale 1/2: x 4..20, y 6..14
    pooled = mmcv_ops.roi_align(ramp, rois, (2, 4), 0.5, 2, "avg", aligned)
    x = torch.tensor([6.0, 10, 14, 18]) - shift
    y = torch.tensor([8.0, 12]) - shift
    torch.testing.assert_close(pooled[0, 0], x + 100 * y[:, None], rtol=0, atol=1e-3)


def test_roi_align_of_no_rois():
    features = torch.randn(2, 3, 8, 8, requires_grad=True)
    pooled = mmcv_ops.RoIAlign(7, 0.25)(features, torch.zeros(0, 5))
    assert pooled.shape == (0, 3, 7, 7)
    pooled.sum().backward()
    assert torch.equal(features.grad, torch.zeros(2, 3, 8, 8))


def test_roi_align_gradient_is_the_derivative():
    features = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 1.0, 2.0, 9.0, 8.0], [0, 3.0, 0.0, 11.0, 5.0]], dtype=torch.float64)
    layer = mmcv_ops.RoIAlign((2, 3), 0.5)
    assert torch.autograd.gradcheck(lambda x: layer(x, rois), features)


def test_roi_align_takes_a_gradient_that_is_not_contiguous():
    features = torch.randn(1, 2, 8, 8, requires_grad=True)
    layer, rois = mmcv_ops.RoIAlign((2, 3)), torch.tensor([[0, 1.0, 1.0, 7.0, 6.0]])
    weight = torch.randn(1, 3, 2, 2)
    (transposed,) = torch.autograd.grad(
        (layer(features, rois).permute(0, 3, 2, 1) * weight).sum(), features
    )
    (plain,) = torch.autograd.grad(
        (layer(features, rois) * weight.permute(0, 3, 2, 1)).sum(), features
    )
    assert torch.equal(transposed, plain)


@stand_in_only
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_roi_align_of_half_precision(dtype):
    features = torch.randn(2, 3, 12, 16).to(dtype).requires_grad_()
    rois = ROIS.to(dtype)
    layer = mmcv_ops.RoIAlign(3, 0.25)
    pooled = layer(features, rois)
    pooled.sum().backward()
    assert pooled.dtype == features.grad.dtype == dtype

    single = features.detach().float().requires_grad_()
    expected = layer(single, rois.float())
    expected.sum().backward()
    assert torch.equal(pooled, expected.to(dtype))
    assert torch.equal(features.grad, single.grad.to(dtype))


@stand_in_only
def test_roi_align_under_autocast():
    convolution = torch.nn.Conv2d(3, 4, 3, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = convolution(torch.randn(2, 3, 12, 16))
        pooled = mmcv_ops.RoIAlign(3, 0.25)(features, ROIS.type_as(features))
    assert pooled.dtype == torch.bfloat16
    pooled.float().sum().backward()
    assert convolution.weight.grad.abs().sum() > 0
    assert torch.isfinite(convolution.weight.grad).all()


@stand_in_only
def test_max_pooling_says_what_to_do():
    features, rois = torch.randn(2, 3, 12, 16), ROIS
    with pytest.raises(NotImplementedError, match=r"roi_align_forward.*pool_mode='avg'"):
        mmcv_ops.RoIAlign(3, 0.25, pool_mode="max")(features, rois)


def slow_roi_pool(features, rois, size, scale) -> torch.Tensor:
    """The greatest of the pixels that each bin touches, one bin at a time."""
    output = torch.zeros(len(rois), features.shape[1], *size)
    for k, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        left, right, top, bottom = x1 * scale, (x2 + 1) * scale, y1 * scale, (y2 + 1) * scale
        for i, j in np.ndindex(size):
            low_y, high_y = (top + (i + end) * (bottom - top) / size[0] for end in (0, 1))
            low_x, high_x = (left + (j + end) * (right - left) / size[1] for end in (0, 1))
            rows = slice(max(math.floor(low_y), 0), max(math.ceil(high_y), 0))
            columns = slice(max(math.floor(low_x), 0), max(math.ceil(high_x), 0))
            pixels = features[int(image), :, rows, columns].flatten(1)
            if pixels.numel() and right > left and bottom > top:
                output[k, :, i, j] = pixels.amax(dim=1)
    return output


POOLED_ROIS = torch.tensor(
    [
        [0, 4.0, 6.0, 40.0, 30.0],
        [1, 0.0, 0.0, 63.0, 47.0],
        [1, 10.3, 5.7, 12.1, 44.9],
        [0, -9.0, -5.0, 20.0, 90.0],  # partly outside the image
        [1, 30.0, 20.0, 30.0, 20.0],  # one pixel
        [0, 30.0, 20.0, 10.0, 25.0],  # turned round
        [0, 100.0, 20.0, 110.0, 25.0],  # outside
    ]
)


@pytest.mark.parametrize(("size", "scale"), [((7, 7), 0.25), ((3, 5), 0.5), ((1, 1), 1 / 16)])
def test_roi_pool_is_its_definition(size, scale):
    features = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    expected = slow_roi_pool(features, POOLED_ROIS, size, scale)
    assert torch.equal(mmcv_ops.RoIPool(size, scale)(features, POOLED_ROIS), expected)


def test_roi_pool_on_whole_pixels_is_that_of_torchvision():
    ours = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    rois = torch.tensor([[0, 2.0, 1.0, 9.0, 10.0], [1, 0.0, 0.0, 15.0, 11.0], [1, 3, 4, 3, 4]])
    pooled = mmcv_ops.roi_pool(ours, rois, (3, 4))
    expected = torchvision.ops.roi_pool(theirs, rois, (3, 4))
    assert torch.equal(pooled, expected)
    weight = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(1))
    (pooled * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_roi_pool_by_hand():
    features = torch.arange(16.0).view(1, 1, 4, 4)
    rois = torch.tensor([[0, 0.0, 0.0, 3.0, 1.0]])
    assert mmcv_ops.roi_pool(features, rois, (1, 2)).tolist() == [[[[5, 7]]]]


def test_roi_pool_gradient_is_the_derivative():
    features = torch.randn(2, 2, 12, 16, dtype=torch.float64, requires_grad=True)
    layer, rois = mmcv_ops.RoIPool((2, 3), 0.25), POOLED_ROIS[:4].double()
    assert torch.autograd.gradcheck(lambda x: layer(x, rois), features)


def test_roi_pool_of_no_rois():
    features = torch.randn(2, 3, 8, 8, requires_grad=True)
    pooled = mmcv_ops.RoIPool(7, 0.25)(features, torch.zeros(0, 5))
    assert pooled.shape == (0, 3, 7, 7)
    pooled.sum().backward()
    assert not features.grad.any()


@stand_in_only
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_roi_pool_of_half_precision(dtype):
    features = torch.randn(2, 3, 12, 16).to(dtype).requires_grad_()
    rois = POOLED_ROIS.to(dtype)
    pooled = mmcv_ops.RoIPool((2, 3), 0.25)(features, rois)
    assert torch.equal(pooled, slow_roi_pool(features.detach(), rois, (2, 3), 0.25).to(dtype))
    pooled.sum().backward()
    assert features.grad.dtype == dtype
    assert features.grad.sum() == (pooled != 0).sum()


@stand_in_only
def test_any_other_operator_raises_its_name_when_called():
    boxes = torch.zeros(2, 5)
    with pytest.raises(NotImplementedError, match=r"box_iou_rotated.*Install.*mmcv"):
        mmcv_ops.box_iou_rotated(boxes, boxes)
    with pytest.raises(NotImplementedError, match=r"nms_rotated.*Install.*mmcv"):
        mmcv_ops.nms_rotated(boxes, torch.zeros(2), 0.5)


@stand_in_only
@pytest.mark.skipif(not hasattr(mmcv_ops, "line_nms"), reason="of OneDL's mmcv alone")
def test_line_nms_raises_its_name_when_called():
    with pytest.raises(NotImplementedError, match=r"line_nms.*Install.*mmcv"):
        mmcv_ops.line_nms(torch.zeros(2, 77), torch.zeros(2), 0.5, 1)


@stand_in_only
def test_the_remedy_names_the_installed_distribution():
    from importlib.metadata import packages_distributions

    with pytest.raises(NotImplementedError) as raised:
        mmcv_ops.box_iou_rotated(torch.zeros(2, 5), torch.zeros(2, 5))
    (distribution,) = set(packages_distributions()["mmcv"])
    assert distribution in str(raised.value)
    assert ("--no-build-isolation" if distribution == "onedl-mmcv" else "mim") in str(raised.value)


@stand_in_only
def test_a_torchvision_that_does_not_fit_torch_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(RuntimeError, match=r"'nms'.*torchvision.*torch " + torch.__version__[:4]):
        mmcv_ops.nms(*random_boxes(5), 0.5)
