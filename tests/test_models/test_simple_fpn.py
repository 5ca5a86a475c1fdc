import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS

from mmspec.models.necks import SimpleFPN


@pytest.mark.parametrize("num_outs", [4, 5])
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1)])
def test_scales(size, num_outs):
    neck = MODELS.build(
        dict(type="mmspec.SimpleFPN", in_channels=16, out_channels=6, num_outs=num_outs)
    )
    maps = neck((torch.randn(2, 16, *size),))
    rows, columns = size
    expected = [(4 * rows, 4 * columns), (2 * rows, 2 * columns), size]
    expected += [(-(-rows // k), -(-columns // k)) for k in (2, 4)]
    assert [tuple(f.shape) for f in maps] == [(2, 6, *s) for s in expected[:num_outs]]


def test_each_scale_is_what_the_paper_says():
    """ViTDet, appendix A.2, written out from the tensors."""
    torch.manual_seed(0)
    neck = SimpleFPN(16, out_channels=8)
    for parameter in neck.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    t = neck.state_dict()
    x = torch.randn(2, 16, 4, 6)

    def norm(f, name):
        mean, variance = f.mean(1, keepdim=True), f.var(1, unbiased=False, keepdim=True)
        f = (f - mean) / (variance + 1e-6).sqrt()
        return f * t[f"{name}.weight"][:, None, None] + t[f"{name}.bias"][:, None, None]

    def up(f, name):
        return F.conv_transpose2d(f, t[f"{name}.weight"], t[f"{name}.bias"], 2)

    def out(f, scale, first):
        f = norm(F.conv2d(f, t[f"scales.{scale}.{first}.weight"]), f"scales.{scale}.{first + 1}")
        f = F.conv2d(f, t[f"scales.{scale}.{first + 2}.weight"], padding=1)
        return norm(f, f"scales.{scale}.{first + 3}")

    fourth = up(F.gelu(norm(up(x, "scales.0.0"), "scales.0.1")), "scales.0.3")
    expected = [
        out(fourth, 0, 4),
        out(up(x, "scales.1.0"), 1, 1),
        out(x, 2, 0),
        out(x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5)), 3, 1),
    ]
    expected.append(expected[3][..., ::2, ::2])
    for f, g in zip(neck([x]), expected, strict=True):
        assert torch.allclose(f, g, atol=1e-5)


def test_two_modalities_side_by_side():
    """The concatenation of a visible and an infrared map of a base encoder."""
    with torch.device("meta"):
        maps = SimpleFPN(in_channels=1536)((torch.zeros(1, 1536, 4, 4),))
    assert [f.shape[1:] for f in maps] == [(256, s, s) for s in (16, 8, 4, 2, 1)]


def test_every_parameter_gets_a_gradient():
    neck = SimpleFPN(16, out_channels=6)
    neck.init_weights()
    (neck((torch.randn(1, 16, 4, 4),))[4] * torch.randn(6, 1, 1)).sum().backward()
    reached = {n.split(".")[1] for n, p in neck.named_parameters() if p.grad is not None}
    assert reached == {"3"}
    sum((f * torch.randn(6, 1, 1)).sum() for f in neck((torch.randn(1, 16, 4, 4),))).backward()
    assert [n for n, p in neck.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (tuple(torch.zeros(1, 16, 4, 4) for _ in range(4)), r"got 4 maps: .* out_indices=\(2,\)"),
        ((), "got 0 maps"),
        (torch.zeros(1, 16, 4, 4), "takes a tuple of one map at 1/16, got <class 'torch.Tensor'>"),
        ((torch.zeros(1, 8, 4, 4),), r"in_channels=16\) got a map of 8 channels"),
    ],
)
def test_wrong_inputs_are_named(inputs, message):
    with pytest.raises(ValueError, match=message):
        SimpleFPN(16)(inputs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (dict(in_channels=[16, 16]), r"in_channels=\[16, 16\]: the channels of one map"),
        (dict(in_channels=18), "in_channels=18"),
        (dict(in_channels=16, num_outs=6), r"num_outs=6: 4 \(to 1/32\) or 5"),
    ],
)
def test_wrong_settings_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SimpleFPN(**kwargs)
