"""Tokens of visible patches lie in the maps where the whole image has them."""

import pytest
import torch
from torch import nn

from mmspec.masking import PatchMask, random_keep
from mmspec.models.layers.layout import VisibleLayout

GRID = (3, 2)


@pytest.fixture
def layout() -> VisibleLayout:
    torch.manual_seed(0)
    return VisibleLayout(PatchMask.from_keep(random_keep(2, 6, 4), GRID))


def test_embedded_patches_are_those_of_the_image(layout):
    images, conv = torch.randn(2, 3, 48, 32), nn.Conv2d(3, 8, 4, 4)
    dense = conv(images).permute(0, 2, 3, 1)  # 12 x 8 tokens, four a side of a patch
    patches = dense.unflatten(2, (2, 4)).unflatten(1, (3, 4)).transpose(2, 3).flatten(1, 2)
    found = layout.embed_image(images, conv)
    assert torch.allclose(found, layout.mask.gather(patches), atol=1e-6)
    transposed = images.mT.contiguous().mT  # not contiguous
    assert torch.equal(layout.embed_image(transposed, conv), found)


@pytest.mark.parametrize("k", [4, 2])
def test_a_depthwise_convolution_and_its_gradients_are_those_of_the_masked_map(layout, k):
    """To the bit: the same convolution of the same map, which is only filled another way."""
    mask, conv = layout.mask, nn.Conv2d(8, 8, 5, padding=2, groups=8)
    x = torch.randn(2, 4, k, k, 8, requires_grad=True)
    canvas = mask.scatter(x).unflatten(1, GRID).transpose(2, 3).reshape(2, 3 * k, 2 * k, 8)
    y = conv(canvas.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    y = y.unflatten(2, (2, k)).unflatten(1, (3, k)).transpose(2, 3).flatten(1, 2)
    expected = mask.gather(y)
    found = layout.depthwise(x, conv)
    assert torch.equal(found, expected)
    weights = torch.randn_like(found)
    wanted = (x, conv.weight, conv.bias)
    gradients = [torch.autograd.grad((z * weights).sum(), wanted) for z in (found, expected)]
    assert all(map(torch.equal, *gradients))
