"""The masks of point-wise spatial attention through mmcv's layer, against the definition."""

import pytest
import torch

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")

stand_in_only = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="this mmcv has compiled operators"
)
both = pytest.mark.parametrize("kind", ["collect", "distribute"])
sizes = pytest.mark.parametrize("mask", [(3, 5), (7, 7), (2, 4), (1, 1)])


def weights(mask, dtype=torch.float64) -> torch.Tensor:
    """Of a (2, 4, 3) map."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, mask[0] * mask[1], 4, 3, generator=generator, dtype=torch.float64)
    return values.to(dtype).requires_grad_()


@both
@sizes
def test_it_is_the_definition(kind, mask):
    values = weights(mask).detach()
    expected = torch.zeros(2, 12, 4, 3, dtype=torch.float64)
    for n, h, w, i, j in torch.cartesian_prod(*map(torch.arange, (2, 4, 3, *mask))).tolist():
        row, column = h + i - (mask[0] - 1) // 2, w + j - (mask[1] - 1) // 2
        if 0 <= row < 4 and 0 <= column < 3:
            weight = values[n, i * mask[1] + j, h, w]
            if kind == "collect":
                expected[n, row * 3 + column, h, w] = weight
            else:
                expected[n, h * 3 + w, row, column] = weight
    assert torch.equal(mmcv_ops.PSAMask(kind, mask)(values), expected)


@both
@sizes
def test_the_gradient_is_the_derivative(kind, mask):
    assert torch.autograd.gradcheck(mmcv_ops.PSAMask(kind, mask), weights(mask))


@both
def test_what_lies_outside_of_the_map_has_no_part(kind):
    values = weights((3, 3)).detach()
    values[:, 0, 0] = values[:, 8, 3] = torch.nan  # above the first row, below the last
    values.requires_grad_()
    output = mmcv_ops.PSAMask(kind, (3, 3))(values)
    assert torch.isfinite(output).all()
    output.sum().backward()
    assert not values.grad[:, 0, 0].any()
    assert not values.grad[:, 8, 3].any()


@stand_in_only
@both
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_exact(kind, dtype):
    half = weights((3, 5), dtype)
    single = half.detach().float().requires_grad_()
    layer = mmcv_ops.PSAMask(kind, (3, 5))
    output, expected = layer(half), layer(single)
    output.sum().backward()
    expected.sum().backward()
    assert torch.equal(output, expected.to(dtype))
    assert torch.equal(half.grad, single.grad.to(dtype))
