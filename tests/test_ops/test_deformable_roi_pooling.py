"""Deformable RoI pooling through mmcv's function, against RoIAlign and the definition."""

import math

import pytest
import torch

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")

pytestmark = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="a compiled mmcv has it for GPUs alone"
)
ROIS = torch.tensor(
    [
        [0, 1.3, 2.1, 20.0, 17.0],
        [1, -6.0, -5.0, 30.0, 40.0],  # partly outside of the map
        [1, 3.0, 3.0, 4.0, 15.5],
        [0, 5.0, 5.0, 5.0, 5.0],  # no area
    ],
    dtype=torch.float64,
)
SIZE, SCALE, GAMMA = (2, 3), 0.5, 0.3
ratios = pytest.mark.parametrize("ratio", [0, 2])


def operands(dtype=torch.float64) -> list[torch.Tensor]:
    """features (2, 3, 8, 9) and offsets (4, 2, 2, 3)."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 3, 8, 9), (4, 2, 2, 3)
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in shapes
    ]


def pool(features, offset, ratio, rois=ROIS):
    return mmcv_ops.deform_roi_pool(
        features, rois.to(features.dtype), offset, SIZE, SCALE, ratio, GAMMA
    )


def sample(image, y, x) -> float:
    """mmcv's bilinear value of (H, W): the border's within a pixel of it, zero beyond."""
    rows, columns = image.shape
    if not (-1 <= y <= rows and -1 <= x <= columns):
        return 0.0
    y, x = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
    near_rows = (1 - (torch.arange(rows) - y).abs()).clamp(min=0).double()
    near_columns = (1 - (torch.arange(columns) - x).abs()).clamp(min=0).double()
    return (near_rows @ image @ near_columns).item()


@ratios
def test_it_is_the_definition(ratio):
    features, offset = (x.detach() for x in operands())
    expected = torch.zeros(4, 3, *SIZE, dtype=torch.float64)
    for k, c, i, j in torch.cartesian_prod(*map(torch.arange, expected.shape)).tolist():
        n, x1, y1, x2, y2 = ROIS[k].tolist()
        height, width = (y2 - y1) * SCALE, (x2 - x1) * SCALE
        rows = ratio or math.ceil(height / SIZE[0])
        columns = ratio or math.ceil(width / SIZE[1])
        top = y1 * SCALE - 0.5 + GAMMA * height * offset[k, 1, i, j].item()
        left = x1 * SCALE - 0.5 + GAMMA * width * offset[k, 0, i, j].item()
        values = [
            sample(
                features[int(n), c],
                top + (i + (iy + 0.5) / rows) * height / SIZE[0],
                left + (j + (ix + 0.5) / columns) * width / SIZE[1],
            )
            for iy in range(rows)
            for ix in range(columns)
        ]
        expected[k, c, i, j] = sum(values) / max(len(values), 1)
    torch.testing.assert_close(pool(features, offset, ratio), expected, rtol=1e-6, atol=1e-6)


@ratios
def test_without_offsets_it_is_roi_align(ratio):
    ours, theirs = operands()[0], operands()[0]
    output = pool(ours, None, ratio)
    expected = mmcv_ops.roi_align(theirs, ROIS, SIZE, SCALE, ratio, "avg", True)
    torch.testing.assert_close(output, expected)
    output.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@ratios
def test_the_gradients_are_the_derivatives(ratio):
    assert torch.autograd.gradcheck(lambda *x: pool(*x, ratio), operands())


def test_no_rois():
    features, offset = operands()
    output = pool(features, offset[:0], 0, ROIS[:0])
    assert output.shape == (0, 3, *SIZE)
    output.sum().backward()
    assert not features.grad.any()


@ratios
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(ratio, dtype):
    half = operands(dtype)
    single = [x.detach().float().requires_grad_() for x in half]
    output = pool(*half, ratio)
    expected = mmcv_ops.deform_roi_pool(
        single[0], ROIS.to(dtype).float(), single[1], SIZE, SCALE, ratio, GAMMA
    )
    output.sum().backward()
    expected.sum().backward()
    assert output.dtype == dtype
    assert torch.equal(output, expected.to(dtype))
    for a, b in zip(half, single):
        assert torch.equal(a.grad, b.grad.to(dtype))


@pytest.mark.parametrize("name", ["DeformRoIPoolPack", "ModulatedDeformRoIPoolPack"])
def test_the_layers_train(name):
    layer = getattr(mmcv_ops, name)(SIZE, 3, deform_fc_channels=8, spatial_scale=SCALE)
    features = torch.randn(2, 3, 8, 9, requires_grad=True)
    layer(features, ROIS.float()).square().sum().backward()
    assert features.grad.abs().sum() > 0
    assert layer.offset_fc[-1].weight.grad.abs().sum() > 0
