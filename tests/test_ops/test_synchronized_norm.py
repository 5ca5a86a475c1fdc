"""mmcv's SyncBN without a process group, against torch's BatchNorm."""

import pytest
import torch

import mmspec.ops

mmspec.ops.install()
mmcv_ops = pytest.importorskip("mmcv.ops")

pytestmark = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="a compiled mmcv has it in process groups alone"
)


def layers(**kwargs):
    torch.manual_seed(0)
    ours = mmcv_ops.SyncBatchNorm(3, **kwargs)
    theirs = torch.nn.BatchNorm2d(3, **kwargs)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("momentum", [0.1, None])
def test_it_is_batch_norm(momentum):
    ours, theirs = layers(momentum=momentum)
    for _ in range(2):
        x = (torch.randn(2, 3, 4, 5) * 3 + 2).requires_grad_()
        y = x.detach().clone().requires_grad_()
        weight = torch.randn(2, 3, 4, 5)
        output, expected = ours(x), theirs(y)
        (output * weight).sum().backward()
        (expected * weight).sum().backward()
        torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(x.grad, y.grad, rtol=1e-4, atol=1e-5)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(
            ours.get_parameter(name).grad, parameter.grad, rtol=1e-4, atol=1e-4
        )
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_two_numbers_by_hand():
    layer = mmcv_ops.SyncBatchNorm(1, eps=0, momentum=0.5)
    layer.weight.data.fill_(3)
    layer.bias.data.fill_(1)
    output = layer(torch.tensor([2.0, 6.0]).view(2, 1, 1, 1))  # mean 4, variance 4
    assert output.flatten().tolist() == [-2, 4]
    assert layer.running_mean.item() == 2  # half of 4
    assert layer.running_var.item() == 4.5  # half of 1 and of the unbiased 8


def test_half_precision_is_rounded_once():
    ours, theirs = layers()
    half = (torch.randn(2, 3, 4, 5) * 3 + 2).half().requires_grad_()
    single = half.detach().float().requires_grad_()
    output, expected = ours(half), theirs(single)
    assert output.dtype == torch.float16
    torch.testing.assert_close(output.float(), expected, rtol=1e-3, atol=1e-3)
    output.float().square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(half.grad.float(), single.grad, rtol=1e-2, atol=1e-2)


def test_without_running_statistics():
    layer = mmcv_ops.SyncBatchNorm(3, track_running_stats=False)
    x = torch.randn(2, 3, 4, 5)
    expected = torch.nn.functional.batch_norm(x, None, None, layer.weight, layer.bias, True)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["default", "N"])
def test_a_config_builds_it(mode):
    from mmcv.cnn import build_norm_layer

    _, layer = build_norm_layer(dict(type="MMSyncBN", stats_mode=mode), 3)
    assert layer.group_size == 1
    assert torch.isfinite(layer(torch.randn(2, 3, 4, 5))).all()
