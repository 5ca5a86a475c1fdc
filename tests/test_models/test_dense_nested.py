"""DNANet's nested U-Net: its size, its connections, the plain U-Net in it."""

import pytest
import torch

from mmspec.models.backbones import DenseNestedUNet

SMALL = dict(channels=(4, 6, 8), blocks=(1, 2, 1))


def widths_in(model: DenseNestedUNet) -> dict[str, int]:
    return {name: node[0].convs[0].in_channels for name, node in model.nodes.items()}


def test_the_papers_network_has_its_parameters():
    # 4.697 M in the paper's table of ResNet-18.
    count = sum(p.numel() for p in DenseNestedUNet().parameters())
    assert round(count / 1e6, 2) == 4.69


def test_nodes_take_their_row_the_one_above_and_the_one_below():
    assert widths_in(DenseNestedUNet(**SMALL)) == {
        "0_0": 3, "1_0": 4, "0_1": 4 + 6, "2_0": 6, "1_1": 6 + 4 + 8, "0_2": 4 + 4 + 6,
    }  # fmt: skip
    assert widths_in(DenseNestedUNet(**SMALL, dense=False)) == {
        "0_0": 3, "1_0": 4, "2_0": 6, "1_1": 6 + 8, "0_2": 4 + 6,
    }  # fmt: skip


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("attention", [True, False])
def test_maps_have_the_size_of_the_image_and_train_every_weight(dense, attention):
    torch.manual_seed(0)
    model = DenseNestedUNet(**SMALL, in_channels=1, dense=dense, attention=attention)
    model.init_weights()
    maps = model(torch.randn(2, 1, 16, 24))
    assert [tuple(m.shape) for m in maps] == [(2, 4, 16, 24)] * (3 if dense else 2)
    sum(m.square().mean() for m in maps).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_an_earlier_map_does_not_see_the_deeper_rows():
    model = DenseNestedUNet(**SMALL).eval()
    image = torch.randn(1, 3, 16, 16)
    before = model(image)
    with torch.no_grad():
        model.nodes["2_0"][0].convs[0].conv.weight.zero_()
    after = model(image)
    assert torch.equal(after[0], before[0])
    assert not any(torch.equal(a, b) for a, b in zip(after[1:], before[1:]))


def test_rows_without_blocks_are_refused():
    with pytest.raises(ValueError, match=r"channels=\(4, 6\), blocks=\(1,\)"):
        DenseNestedUNet(channels=(4, 6), blocks=(1,))
