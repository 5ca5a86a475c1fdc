"""Deformable convolutions through mmcv's functions, against the definition, tap by tap."""

import pytest
import torch

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")

stand_in_only = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="this mmcv has compiled operators"
)
STRIDE, PADDING, DILATION, GROUPS, DEFORM_GROUPS = (2, 1), (1, 2), (2, 1), 2, 2


def operands(dtype=torch.float64) -> dict[str, torch.Tensor]:
    """Of a (2, 4, 6, 5) map, a kernel of 3 x 2 and an output of (2, 6, 2, 8)."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        numbers = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return numbers.to(dtype).requires_grad_()

    return dict(
        input=random(2, 4, 6, 5),
        offset=random(2, DEFORM_GROUPS * 6 * 2, 2, 8),
        mask=random(2, DEFORM_GROUPS * 6, 2, 8),
        weight=random(6, 2, 3, 2),
        bias=random(6),
    )


def convolve(input, offset, weight):
    return mmcv_ops.deform_conv2d(
        input, offset, weight, STRIDE, PADDING, DILATION, GROUPS, DEFORM_GROUPS
    )


def convolve_modulated(input, offset, mask, weight, bias):
    return mmcv_ops.modulated_deform_conv2d(
        input, offset, mask, weight, bias, STRIDE, PADDING, DILATION, GROUPS, DEFORM_GROUPS
    )


def definition(input, offset, mask, weight, bias) -> torch.Tensor:
    """Deformable ConvNets v2, equation 1, one sample at a time."""
    images, channels, rows, columns = input.shape
    output = bias[None, :, None, None].repeat(images, 1, *offset.shape[-2:])
    per_group, per_deform_group = channels // GROUPS, channels // DEFORM_GROUPS
    for n, k, y, x in torch.cartesian_prod(*map(torch.arange, output.shape)).tolist():
        group = k // (len(weight) // GROUPS)
        for c, i, j in torch.cartesian_prod(*map(torch.arange, weight.shape[1:])).tolist():
            channel = group * per_group + c
            tap = channel // per_deform_group * 6 + i * 2 + j
            row = y * STRIDE[0] - PADDING[0] + i * DILATION[0] + offset[n, 2 * tap, y, x].item()
            column = (
                x * STRIDE[1] - PADDING[1] + j * DILATION[1] + offset[n, 2 * tap + 1, y, x].item()
            )
            near_rows = (1 - (torch.arange(rows) - row).abs()).clamp(min=0)
            near_columns = (1 - (torch.arange(columns) - column).abs()).clamp(min=0)
            sample = near_rows.double() @ input[n, channel] @ near_columns.double()
            output[n, k, y, x] += weight[k, c, i, j] * mask[n, tap, y, x] * sample
    return output


def test_modulated_is_the_definition():
    values = {name: tensor.detach() for name, tensor in operands().items()}
    torch.testing.assert_close(
        convolve_modulated(**values), definition(**values), rtol=1e-6, atol=1e-6
    )


def test_plain_is_the_definition_with_factors_of_one():
    values = {name: tensor.detach() for name, tensor in operands().items()}
    ones, no_bias = torch.ones_like(values["mask"]), torch.zeros(6, dtype=torch.float64)
    torch.testing.assert_close(
        convolve(values["input"], values["offset"], values["weight"]),
        definition(values["input"], values["offset"], ones, values["weight"], no_bias),
        rtol=1e-6,
        atol=1e-6,
    )


def test_whole_offsets_move_the_image():
    image = torch.arange(20.0).view(1, 1, 4, 5)
    layer = mmcv_ops.DeformConv2d(1, 1, 1)
    layer.weight.data.fill_(1)
    offset = torch.tensor([1.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 4, 5).contiguous()
    expected = torch.zeros(1, 1, 4, 5)
    expected[..., :3, 2:] = image[..., 1:, :3]
    assert torch.equal(layer(image, offset), expected)


def test_gradients_are_the_derivatives():
    values = operands()
    assert torch.autograd.gradcheck(convolve, (values["input"], values["offset"], values["weight"]))
    assert torch.autograd.gradcheck(convolve_modulated, tuple(values.values()))


def test_each_gradient_alone_is_that_of_all():
    values = operands()
    names = ("input", "offset", "weight")
    total = convolve(*(values[name] for name in names)).sum()
    together = torch.autograd.grad(total, [values[name] for name in names])
    for name, expected in zip(names, together):
        fixed = [values[other].detach() for other in names]
        fixed[names.index(name)] = values[name]
        (alone,) = torch.autograd.grad(convolve(*fixed).sum(), values[name])
        torch.testing.assert_close(alone, expected)


def test_without_bias():
    layer = mmcv_ops.ModulatedDeformConv2d(2, 3, 3, padding=1, bias=False).double()
    offset = torch.zeros(1, 18, 4, 5, dtype=torch.float64)
    mask = torch.ones(1, 9, 4, 5, dtype=torch.float64)
    image = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    output = layer(image, offset, mask)
    expected = torch.nn.functional.conv2d(image, layer.weight, padding=1)
    torch.testing.assert_close(output, expected, rtol=1e-6, atol=1e-6)
    output.sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def of_another_size() -> tuple[torch.Tensor, ...]:
    """input (2, 2, 3, 4) with offsets and factors of a map of (5, 7), as DyHead gives them."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 2, 3, 4), (2, 18, 5, 7), (2, 9, 5, 7), (3, 2, 3, 3)
    return tuple(
        torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    )


def convolve_by_size(input, offset, mask, weight):
    return mmcv_ops.modulated_deform_conv2d(input, offset, mask, weight, None, 1, 1)


def test_offsets_of_another_size_are_read_in_the_rows_of_the_output():
    """mmcv's kernel strides through each image's numbers by the height and width of the output."""
    input, offset, mask, weight = of_another_size()
    as_read = offset.detach().flatten(1)[:, : 18 * 12].reshape(2, 18, 3, 4)
    factors = mask.detach().flatten(1)[:, : 9 * 12].reshape(2, 9, 3, 4)
    output = convolve_by_size(input, offset, mask, weight)
    assert torch.equal(output, convolve_by_size(input, as_read, factors, weight))

    output.sum().backward()
    for tensor, count in ((offset, 18 * 12), (mask, 9 * 12)):
        gradient = tensor.grad.flatten(1)
        assert (gradient[:, :count] != 0).any(dim=1).all()
        assert torch.equal(gradient[:, count:], torch.zeros_like(gradient[:, count:]))


def test_gradients_by_offsets_of_another_size_are_the_derivatives():
    assert torch.autograd.gradcheck(convolve_by_size, of_another_size())


@stand_in_only
def test_too_few_offsets_are_refused():
    input, offset, mask, weight = of_another_size()
    with pytest.raises(ValueError, match=r"offset has \(18, 2, 2\).*needs \(18, 3, 4\)"):
        convolve_by_size(input, offset[..., :2, :2], mask, weight)
    with pytest.raises(ValueError, match=r"mask has \(9, 2, 2\).*needs \(9, 3, 4\)"):
        convolve_by_size(input, offset, mask[..., :2, :2], weight)


def test_plain_refuses_offsets_of_another_size():
    with pytest.raises(RuntimeError, match="offset"):
        mmcv_ops.deform_conv2d(
            torch.zeros(1, 2, 3, 4), torch.zeros(1, 18, 5, 7), torch.zeros(3, 2, 3, 3), 1, 1
        )


@stand_in_only
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    half = operands(dtype)
    single = {name: x.detach().float().requires_grad_() for name, x in half.items()}
    output, expected = convolve_modulated(**half), convolve_modulated(**single)
    output.sum().backward()
    expected.sum().backward()
    assert output.dtype == dtype
    assert torch.equal(output, expected.to(dtype))
    for name, tensor in half.items():
        assert torch.equal(tensor.grad, single[name].grad.to(dtype)), name


@stand_in_only
def test_under_autocast():
    layer = mmcv_ops.ModulatedDeformConv2dPack(3, 4, 3, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(torch.randn(2, 3, 6, 7))
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    for parameter in layer.parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.dtype == torch.float32


def test_dyhead_trains_and_gives_its_levels_sizes():
    necks = pytest.importorskip("mmdet.models.necks")
    neck = necks.DyHead(in_channels=16, out_channels=16, num_blocks=2)
    maps = [torch.randn(2, 16, *size, requires_grad=True) for size in ((12, 14), (6, 7), (3, 4))]
    outputs = neck(maps)
    assert [tuple(x.shape) for x in outputs] == [(2, 16, 12, 14), (2, 16, 6, 7), (2, 16, 3, 4)]
    sum(x.square().sum() for x in outputs).backward()
    for level in maps:
        assert level.grad.abs().sum() > 0
