"""Multi-scale deformable attention through mmcv's function that asks for the compiled one."""

import pytest
import torch

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")
from mmcv.ops.multi_scale_deform_attn import (  # noqa: E402
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)

pytestmark = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="a compiled mmcv has it for GPUs alone"
)
SHAPES = torch.tensor([[5, 7], [3, 4]])
STARTS = torch.tensor([0, 35])


def operands(dtype=torch.float64) -> list[torch.Tensor]:
    """value (2, 47, 2, 3), locations, some outside (2, 4, 2, 2, 3, 2), weights (2, 4, 2, 2, 3)."""
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(2, 47, 2, 3, generator=generator, dtype=dtype)
    locations = torch.rand(2, 4, 2, 2, 3, 2, generator=generator, dtype=dtype) * 1.4 - 0.2
    weights = torch.randn(2, 4, 2, 6, generator=generator, dtype=dtype).softmax(-1)
    return [x.requires_grad_() for x in (value, locations, weights.view(2, 4, 2, 2, 3))]


def attend(value, locations, weights):
    return MultiScaleDeformableAttnFunction.apply(value, SHAPES, STARTS, locations, weights, 64)


def test_it_is_the_definition():
    """Deformable DETR, equation 3, one bilinear sample at a time."""
    value, locations, weights = (x.detach() for x in operands())
    output = attend(value, locations, weights)
    expected = torch.zeros(2, 4, 2, 3, dtype=torch.float64)
    for index in torch.cartesian_prod(*map(torch.arange, weights.shape)):
        batch, query, head, level, point = index.tolist()
        rows, columns = SHAPES[level].tolist()
        x, y = (locations[batch, query, head, level, point] * SHAPES[level].flip(0) - 0.5).tolist()
        for row in range(rows):
            for column in range(columns):
                near = max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
                key = STARTS[level] + row * columns + column
                expected[batch, query, head] += (
                    weights[batch, query, head, level, point] * near * value[batch, key, head]
                )
    torch.testing.assert_close(output, expected.flatten(2), rtol=1e-10, atol=1e-12)


def test_the_gradients_are_those_of_mmcvs_pytorch_form():
    ours, theirs = operands(), operands()
    output = attend(*ours)
    expected = multi_scale_deformable_attn_pytorch(theirs[0], SHAPES, *theirs[1:])
    assert torch.equal(output, expected)
    weight = torch.randn_like(output)
    (output * weight).sum().backward()
    (expected * weight).sum().backward()
    for a, b in zip(ours, theirs):
        assert b.grad.abs().sum() > 0
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-12)


def test_the_gradient_is_the_derivative():
    assert torch.autograd.gradcheck(attend, operands())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    half = [x.detach().to(dtype).requires_grad_() for x in operands()]
    single = [x.detach().float().requires_grad_() for x in half]
    output = attend(*half)
    expected = attend(*single)
    output.sum().backward()
    expected.sum().backward()
    assert output.dtype == dtype
    assert torch.equal(output, expected.to(dtype))
    for a, b in zip(half, single):
        assert torch.equal(a.grad, b.grad.to(dtype))
