"""The sigmoid focal loss in PyTorch, with mmcv's names and arguments.

mmdet's ``FocalLoss`` computes in PyTorch on the CPU, and where targets are one-hot; with labels on
a GPU it calls these.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .shared import compute_dtype


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Focal loss of every score (arXiv 1708.02002, equation 5) into ``output``, in place.

    ``-alpha (1 - p)^gamma log p`` for the class of a row, ``-(1 - alpha) p^gamma log(1 - p)`` for
    the others, p being the sigmoid of the score.

    Args:
        input: (N, C) scores before the sigmoid, any float dtype.
        target: (N,) int64 labels; C, the background's, is no class.
        weight: (C,), a factor on the rows of each class (1 for the background); or empty: no
            factors.
        output: (N, C), overwritten.
    """
    x = input.to(compute_dtype(input))
    p, positive = x.sigmoid(), _positive(input, target)
    for_class = -alpha * (1 - p).pow(gamma) * F.logsigmoid(x)
    for_others = -(1 - alpha) * p.pow(gamma) * F.logsigmoid(-x)
    output.copy_(torch.where(positive, for_class, for_others) * _row_weights(target, weight, x))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Derivative of every loss of :func:`sigmoid_focal_loss_forward` by its score, in place.

    ``grad_input`` (N, C) is overwritten; the rest as in the forward pass.
    """
    # The derivative written out (appendix B there): autograd's of p^gamma is infinite at p = 0
    # where gamma < 1.
    x = input.to(compute_dtype(input))
    p, positive = x.sigmoid(), _positive(input, target)
    for_class = alpha * (1 - p).pow(gamma) * (gamma * p * F.logsigmoid(x) + p - 1)
    for_others = (1 - alpha) * p.pow(gamma) * (p - gamma * (1 - p) * F.logsigmoid(-x))
    grad_input.copy_(torch.where(positive, for_class, for_others) * _row_weights(target, weight, x))


def _positive(scores: Tensor, target: Tensor) -> Tensor:
    return target[:, None] == torch.arange(scores.shape[1], device=scores.device)


def _row_weights(target: Tensor, weight: Tensor, like: Tensor) -> Tensor | float:
    if not weight.numel():
        return 1.0
    background = like.new_ones(1)
    return torch.cat([weight.to(like.dtype), background])[target][:, None]
