"""The sigmoid focal loss through mmcv's and mmdet's own functions, against mmdet's Python form."""

import pytest
import torch

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")
focal_loss = pytest.importorskip("mmdet.models.losses.focal_loss")

pytestmark = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="a compiled mmcv may have no focal loss on the CPU"
)


def scores(rows: int = 12, classes: int = 5, dtype=torch.float64) -> tuple[torch.Tensor, ...]:
    """Scores (rows, classes) and labels, among them that of the background (= classes)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, classes, generator=generator, dtype=dtype) * 3
    return x.requires_grad_(), torch.arange(rows) % (classes + 1)


def one_hot(labels: torch.Tensor, classes: int = 5) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels, classes + 1)[:, :classes]


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.0, 0.5), (1.5, 0.9), (0.5, 0.25)])
def test_it_equals_mmdets_python_form(gamma, alpha):
    x, labels = scores()
    weight = torch.linspace(0, 2, 12, dtype=torch.float64)
    results = []
    for function, target in (
        (focal_loss.sigmoid_focal_loss, labels),
        (focal_loss.py_sigmoid_focal_loss, one_hot(labels)),
    ):
        x.grad = None
        loss = function(x, target, weight, gamma=gamma, alpha=alpha, avg_factor=7.0)
        loss.backward()
        results.append((loss.detach(), x.grad))
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1.0, 2.0, 0.0, 3.0]).double()])
def test_the_gradient_is_the_derivative(weight):
    x, labels = scores(rows=6)
    assert torch.autograd.gradcheck(
        lambda x: mmcv_ops.sigmoid_focal_loss(x, labels, 2.0, 0.25, weight, "none"), x
    )


def test_class_weights_scale_the_rows_of_a_class():
    x, labels = scores()
    weight = torch.tensor([0.5, 1.0, 2.0, 0.0, 3.0]).double()
    plain = mmcv_ops.sigmoid_focal_loss(x, labels, 2.0, 0.25, None, "none")
    weighted = mmcv_ops.sigmoid_focal_loss(x, labels, 2.0, 0.25, weight, "none")
    factors = torch.cat([weight, torch.ones(1).double()])[labels]  # 1 for the background
    assert torch.equal(weighted, plain * factors[:, None])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reductions_of_mmcv(reduction):
    x, labels = scores()
    every = mmcv_ops.sigmoid_focal_loss(x, labels, 2.0, 0.25, None, "none")
    loss = mmcv_ops.SigmoidFocalLoss(2.0, 0.25, reduction=reduction)(x, labels)
    expected = every.sum() / (12 if reduction == "mean" else 1)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_extreme_scores_stay_finite(gamma):
    x = torch.tensor([[-200.0, 200.0, 0.0]], requires_grad=True)
    loss = mmcv_ops.sigmoid_focal_loss(x, torch.tensor([0]), gamma, 0.25, None, "none")
    loss.sum().backward()
    # -alpha log p = 0.25 * 200 for the class, -(1 - alpha) log(1 - p) = 0.75 * 200 for another.
    torch.testing.assert_close(loss[0, :2], torch.tensor([50.0, 150.0]))
    torch.testing.assert_close(x.grad[0, :2], torch.tensor([-0.25, 0.75]))


def test_no_rows():
    x = torch.zeros(0, 5, requires_grad=True)
    mmcv_ops.sigmoid_focal_loss(x, torch.zeros(0).long(), 2.0, 0.25, None, "sum").backward()
    assert x.grad.shape == (0, 5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    x, labels = scores(dtype=torch.float32)
    half = x.detach().to(dtype).requires_grad_()
    single = half.detach().float().requires_grad_()
    losses = [
        mmcv_ops.sigmoid_focal_loss(x, labels, 2.0, 0.25, None, "none") for x in (half, single)
    ]
    for loss in losses:
        loss.sum().backward()
    assert losses[0].dtype == half.grad.dtype == dtype
    assert torch.equal(losses[0], losses[1].to(dtype))
    assert torch.equal(half.grad, single.grad.to(dtype))
