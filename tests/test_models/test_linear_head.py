"""The head of a linear probe: standardised maps, one convolution, and nothing else that learns."""

import torch
import torch.nn.functional as F

from mmspec.registry import MODELS


def test_logits_are_one_linear_map_of_standardised_cells():
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type="mmspec.LinearHead",
            in_channels=[3, 5],
            num_classes=4,
            align_corners=False,
            norm_cfg=dict(type="BN"),
        )
    )
    assert [name for name, _ in head.named_parameters()] == ["conv_seg.weight", "conv_seg.bias"]
    fine, coarse = 40 * torch.randn(2, 3, 6, 8) + 9, torch.randn(2, 5, 3, 4)
    found = head.train()((fine, coarse))
    x = torch.cat([fine, F.interpolate(coarse, (6, 8), mode="bilinear")], 1)
    x = x.permute(0, 2, 3, 1).flatten(0, 2)
    x = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
    expected = x @ head.conv_seg.weight[:, :, 0, 0].T + head.conv_seg.bias
    torch.testing.assert_close(found.permute(0, 2, 3, 1).flatten(0, 2), expected, atol=1e-4, rtol=0)


def test_one_map_of_several():
    head = MODELS.build(
        dict(
            type="mmspec.LinearHead",
            in_channels=[5],
            in_index=[1],
            num_classes=4,
            align_corners=False,
            norm_cfg=dict(type="BN"),
        )
    ).eval()
    coarse = torch.randn(2, 5, 3, 4)
    expected = F.conv2d(coarse / (1 + 1e-5) ** 0.5, head.conv_seg.weight, head.conv_seg.bias)
    torch.testing.assert_close(head((torch.randn(2, 3, 6, 8), coarse)), expected)
