"""Convolution at chosen places through mmcv's layer."""

import pytest
import torch

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")

pytestmark = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="a compiled mmcv has it for GPUs alone"
)


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (3, 1), ((3, 5), (1, 2)), (3, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chosen_places_are_those_of_the_whole_convolution(kernel, padding, dtype):
    torch.manual_seed(0)
    layer = mmcv_ops.MaskedConv2d(3, 5, kernel, padding=padding).to(dtype)
    image = torch.randn(1, 3, 6, 7, dtype=dtype)
    mask = torch.rand(1, 6, 7) > 0.5
    everywhere = layer(image)
    chosen = torch.zeros(1, *everywhere.shape[-2:], dtype=torch.bool)
    chosen[:, :6, :7] = mask
    torch.testing.assert_close(layer(image, mask), everywhere * chosen, rtol=1e-5, atol=1e-6)


def test_no_place_and_the_corners():
    layer = mmcv_ops.MaskedConv2d(1, 1, 3, padding=1, bias=True)
    layer.weight.data.fill_(1)
    layer.bias.data.fill_(0.5)
    image = torch.arange(12.0).view(1, 1, 3, 4)
    mask = torch.zeros(1, 3, 4)
    assert torch.equal(layer(image, mask), torch.zeros(1, 1, 3, 4))
    mask[0, 0, 0] = mask[0, 2, 3] = 1
    output = layer(image, mask)
    assert output[0, 0, 0, 0] == 0 + 1 + 4 + 5 + 0.5
    assert output[0, 0, 2, 3] == 6 + 7 + 10 + 11 + 0.5
    assert output.count_nonzero() == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_columns_of_half_precision_are_exact(dtype):
    extension = pytest.importorskip("mmcv._ext")
    image = torch.randn(1, 2, 4, 4).to(dtype)
    rows, columns = torch.tensor([0, 3]), torch.tensor([1, 3])
    col = image.new_empty(8, 2)
    extension.masked_im2col_forward(
        image, rows, columns, col, kernel_h=2, kernel_w=2, pad_h=0, pad_w=0
    )
    assert torch.equal(col[:, 0], image[0, :, 0:2, 1:3].flatten())
    outside = torch.zeros(2, 2, 2, dtype=dtype)
    outside[:, 0, 0] = image[0, :, 3, 3]
    assert torch.equal(col[:, 1], outside.flatten())
