"""Soft-NMS and NMS match through mmcv's own functions, against slow references."""

import numpy as np
import pytest
import torch

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")

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


def iou(a, b, offset=0):
    def area(box):
        return max(box[2] - box[0] + offset, 0) * max(box[3] - box[1] + offset, 0)

    shared = area([*np.maximum(a[:2], b[:2]), *np.minimum(a[2:4], b[2:4])])
    return shared / (area(a) + area(b) - shared)


def slow_soft_nms(boxes, scores, iou_threshold, sigma, min_score, method, offset):
    """The table in section 3 of Soft-NMS, one pair at a time."""
    boxes = boxes.numpy()
    left, kept = dict(enumerate(scores.tolist())), []
    while left:
        best = max(left, key=left.get)
        kept.append((best, left.pop(best)))
        for other in list(left):
            overlap = iou(boxes[best], boxes[other], offset)
            if method == "gaussian":
                left[other] *= np.exp(-(overlap**2) / sigma)
            elif overlap >= iou_threshold:
                left[other] *= 1 - overlap if method == "linear" else 0
            if left[other] < min_score:
                del left[other]
    return kept


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("offset", [0, 1])
def test_soft_nms_is_its_definition(method, offset):
    boxes, scores = random_boxes(60)
    settings = dict(iou_threshold=0.3, sigma=0.5, min_score=0.05, method=method, offset=offset)
    dets, kept = mmcv_ops.soft_nms(boxes, scores, **settings)
    expected = slow_soft_nms(boxes, scores, **settings)
    assert 5 < len(expected) < 60
    assert kept.tolist() == [index for index, _ in expected]
    assert torch.equal(dets[:, :4], boxes[kept])
    lowered = torch.tensor([score for _, score in expected], dtype=torch.float32)
    torch.testing.assert_close(dets[:, 4], lowered, rtol=1e-5, atol=1e-6)


def test_soft_nms_by_hand():
    # The second shares 8 x 10 of 10 x 10 with the first: IoU 80 / 120; the third none.
    boxes = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]])
    scores = torch.tensor([0.9, 0.8, 0.3])
    dets, kept = mmcv_ops.soft_nms(boxes, scores, iou_threshold=0.3, min_score=0.001)
    assert kept.tolist() == [0, 2, 1]
    torch.testing.assert_close(dets[:, 4], torch.tensor([0.9, 0.3, 0.8 / 3]))


def test_soft_nms_takes_equal_scores_as_the_kernel_does():
    # A dropped box leaves its place to the last one, which so comes before the others.
    boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]])
    scores = torch.tensor([0.9, 0.8, 0.5, 0.5])
    _, kept = mmcv_ops.soft_nms(boxes, scores, method="naive", min_score=0.1)
    assert kept.tolist() == [0, 3, 2]


def test_soft_nms_of_no_boxes_and_of_arrays():
    dets, kept = mmcv_ops.soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5)
    assert kept.shape == (0,)
    boxes, scores = random_boxes(20)
    dets, kept = mmcv_ops.soft_nms(boxes.numpy(), scores.numpy())
    assert isinstance(dets, np.ndarray)
    assert dets.dtype == np.float32
    assert np.array_equal(dets[:, :4], boxes.numpy()[kept])


def test_soft_nms_leaves_its_arguments_alone():
    boxes, scores = random_boxes(20)
    before = boxes.clone(), scores.clone()
    mmcv_ops.soft_nms(boxes, scores, method="gaussian")
    assert torch.equal(boxes, before[0])
    assert torch.equal(scores, before[1])


def test_batched_soft_nms_lowers_within_a_class_only():
    boxes, scores = random_boxes(45, seed=3)
    labels = torch.arange(45) % 3
    settings = dict(iou_threshold=0.3, sigma=0.5, min_score=0.05, method="gaussian", offset=0)
    dets, kept = mmcv_ops.batched_nms(boxes, scores, labels, dict(type="soft_nms", **settings))
    expected = []
    for label in range(3):
        members = (labels == label).nonzero().flatten()
        for index, score in slow_soft_nms(boxes[members], scores[members], **settings):
            expected.append((members[index].item(), score))
    expected.sort(key=lambda item: -item[1])
    assert kept.tolist() == [index for index, _ in expected]
    lowered = torch.tensor([score for _, score in expected], dtype=torch.float32)
    torch.testing.assert_close(dets[:, 4], lowered, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_nms_match_is_its_definition(threshold):
    boxes, scores = random_boxes(60)
    groups = mmcv_ops.nms_match(torch.cat([boxes, scores[:, None]], dim=1), threshold)
    order = scores.argsort(descending=True).tolist()
    expected = []
    while order:
        best = order[0]
        group = [best] + [
            i for i in order[1:] if iou(boxes[best].numpy(), boxes[i].numpy()) >= threshold
        ]
        expected.append(group)
        order = [i for i in order if i not in group]
    assert [group.tolist() for group in groups] == expected
    assert sorted(i for group in expected for i in group) == list(range(60))


def test_nms_match_takes_a_pair_at_exactly_the_threshold():
    # Other than NMS, which keeps it.
    dets = torch.tensor([[0.0, 0, 10, 3, 0.8], [0, 0, 10, 10, 0.9]])
    assert [g.tolist() for g in mmcv_ops.nms_match(dets, 0.3)] == [[1, 0]]
    assert [g.tolist() for g in mmcv_ops.nms_match(dets, 0.31)] == [[1], [0]]


def test_nms_match_of_no_boxes_of_no_area_and_of_arrays():
    assert mmcv_ops.nms_match(torch.zeros(0, 5), 0.5) == []
    points = torch.tensor([[5.0, 5, 5, 5, 0.9], [5, 5, 5, 5, 0.8]])
    assert [g.tolist() for g in mmcv_ops.nms_match(points, 0.5)] == [[0], [1]]
    assert isinstance(mmcv_ops.nms_match(points.numpy(), 0.5)[0], np.ndarray)


@stand_in_only
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    boxes, _ = random_boxes(20)  # whole pixels up to 70: exact in either half precision
    scores = torch.arange(20) / 32  # exact, too
    dets, kept = mmcv_ops.soft_nms(boxes.to(dtype), scores.to(dtype), method="linear")
    expected, indices = mmcv_ops.soft_nms(boxes, scores, method="linear")
    assert torch.equal(kept, indices)
    assert torch.equal(dets, expected.to(dtype))
    table = torch.cat([boxes, scores[:, None]], dim=1)
    groups, expected = (mmcv_ops.nms_match(x, 0.4) for x in (table.to(dtype), table))
    assert [g.tolist() for g in groups] == [g.tolist() for g in expected]
