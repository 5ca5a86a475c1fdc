"""Content-aware upsampling through mmcv's functions, against the definition."""

import pytest
import torch

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")

pytestmark = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="a compiled mmcv has it for GPUs alone"
)
KERNEL, GROUPS, SCALE = 3, 2, 2
both = pytest.mark.parametrize("name", ["carafe", "carafe_naive"])


def operands(dtype=torch.float64) -> list[torch.Tensor]:
    """features (2, 4, 3, 5) and masks (2, 18, 6, 10)."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 4, 3, 5), (2, GROUPS * KERNEL**2, 6, 10)
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in shapes
    ]


def upsample(name, features, masks):
    return getattr(mmcv_ops, name)(features, masks, KERNEL, GROUPS, SCALE)


@both
def test_it_is_the_definition(name):
    """CARAFE, equation 2, one tap at a time."""
    features, masks = (x.detach() for x in operands())
    expected = torch.zeros(2, 4, 6, 10, dtype=torch.float64)
    for n, c, y, x in torch.cartesian_prod(*map(torch.arange, expected.shape)).tolist():
        for i in range(KERNEL):
            for j in range(KERNEL):
                row, column = y // SCALE + i - 1, x // SCALE + j - 1
                if 0 <= row < 3 and 0 <= column < 5:
                    channel = (c // 2 * KERNEL + i) * KERNEL + j
                    expected[n, c, y, x] += masks[n, channel, y, x] * features[n, c, row, column]
    torch.testing.assert_close(upsample(name, features, masks), expected, rtol=1e-12, atol=1e-12)


@both
def test_a_mask_of_its_middle_repeats_the_pixels(name):
    features = torch.arange(12.0).view(1, 1, 3, 4)
    masks = torch.zeros(1, 25, 9, 12)
    masks[:, 12] = 1
    output = getattr(mmcv_ops, name)(features, masks, 5, 1, 3)
    assert torch.equal(output, features.repeat_interleave(3, 2).repeat_interleave(3, 3))


@both
def test_gradients_are_the_derivatives(name):
    assert torch.autograd.gradcheck(lambda *x: upsample(name, *x), operands())


@both
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(name, dtype):
    half = operands(dtype)
    single = [x.detach().float().requires_grad_() for x in half]
    output, expected = upsample(name, *half), upsample(name, *single)
    output.sum().backward()
    expected.sum().backward()
    assert output.dtype == dtype
    assert torch.equal(output, expected.to(dtype))
    for a, b in zip(half, single):
        assert torch.equal(a.grad, b.grad.to(dtype))


def test_the_layer_trains():
    layer = mmcv_ops.CARAFEPack(8, 2)
    output = layer(torch.randn(1, 8, 4, 5))
    assert output.shape == (1, 8, 8, 10)
    output.square().sum().backward()
    assert layer.content_encoder.weight.grad.abs().sum() > 0
