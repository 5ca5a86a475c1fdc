"""mmcv's synchronised batch normalisation in PyTorch, with mmcv's names and arguments.

mmcv's Python asks the other processes for their share of the sums; these are what lies between. The
layer is ``MMSyncBN`` in a config.
"""

import torch
from torch import Tensor


def sync_bn_forward_mean(input: Tensor, mean: Tensor) -> None:
    """Mean of each channel of ``input`` (N, C, L) into ``mean`` (C,) float32, in place."""
    mean.copy_(input.float().mean(dim=(0, 2)))


def sync_bn_forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """Mean square distance of each channel from ``mean`` into ``var`` (C,) float32, in place."""
    var.copy_((input.float() - mean[:, None]).square().mean(dim=(0, 2)))


def sync_bn_forward_output(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    eps: float,
    momentum: Tensor | float,
    group_size: int,
) -> None:
    """Normalise ``input`` (N, C, L) into ``norm`` and ``output``, in place.

    ``std`` (C,) is overwritten, ``running_mean`` and ``running_var`` (unbiased) move by
    ``momentum``. ``group_size`` is the number of processes.
    """
    std.copy_((var + eps).sqrt())
    norm.copy_((input.float() - mean[:, None]) / std[:, None])
    output.copy_(norm if weight is None else torch.addcmul(bias[:, None], norm, weight[:, None]))
    if running_mean is not None:
        count = input.shape[0] * input.shape[2] * group_size
        unbiased = var * (count / (count - 1)) if count > 1 else var
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (unbiased - running_var)


def sync_bn_backward_param(
    grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor
) -> None:
    """Gradients by weight and bias (C,) of ``grad_output`` (N, C, L), in place."""
    grad_output = grad_output.float()
    grad_weight.copy_((grad_output * norm).sum(dim=(0, 2)))
    grad_bias.copy_(grad_output.sum(dim=(0, 2)))


def sync_bn_backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """Gradient by the input (N, C, L), in place.

    ``grad_weight`` and ``grad_bias`` are means over the processes of the gradients above.
    """
    count = norm.shape[0] * norm.shape[2]
    through_statistics = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    grad_input.copy_((weight / std)[:, None] * (grad_output.float() - through_statistics))
