"""The masks of point-wise spatial attention (PSANet) in PyTorch, with mmcv's names and arguments.

In the output each place has a map of the whole image: its memory, and that of an index beside it,
grow with the square of the number of places.
"""

import torch
from torch import Tensor

DISTRIBUTE = 1  # psa_type; 0 is to collect


def psamask_forward(
    input: Tensor,
    output: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Move the mask around each place to where it lies in the image (PSANet, sec. 3.3), in place.

    Args:
        input: (N, h_mask * w_mask, h_feature, w_feature): weights between a place and those around
            it, any dtype.
        output: (N, h_feature * w_feature, h_feature, w_feature), overwritten: weights of
            [n, there, here] where places collect, of [n, here, there] where they distribute; zeros
            where the mask does not reach.
        psa_type: 0 to collect, 1 to distribute.
        num_: n.
        half_h_mask, half_w_mask: rows and columns of a mask before its middle.
    """
    channel, reached = _channels(
        (h_feature, w_feature), (h_mask, w_mask), (half_h_mask, half_w_mask), input.device
    )
    weights = input.flatten(2).gather(1, channel.expand(num_, -1, -1))
    weights = weights.masked_fill(~reached, 0)
    if psa_type == DISTRIBUTE:
        weights = weights.transpose(1, 2)
    output.copy_(weights.reshape(output.shape))


def psamask_backward(
    grad_output: Tensor,
    grad_input: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Gradient of :func:`psamask_forward`, in place; ``grad_input`` is overwritten."""
    channel, reached = _channels(
        (h_feature, w_feature), (h_mask, w_mask), (half_h_mask, half_w_mask), grad_output.device
    )
    grad = grad_output.flatten(2)
    if psa_type == DISTRIBUTE:
        grad = grad.transpose(1, 2)
    target = grad_input.zero_().view(num_, h_mask * w_mask, -1)
    target.scatter_add_(1, channel.expand(num_, -1, -1), grad.masked_fill(~reached, 0))


def _channels(
    feature: tuple[int, int], mask: tuple[int, int], half: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Which channel holds the weight of [there, here], and whether the mask reaches there."""
    rows, columns = (
        torch.arange(size, device=device)[:, None] - torch.arange(size, device=device) + middle
        for size, middle in zip(feature, half)
    )
    rows, columns = rows[:, None, :, None], columns[None, :, None]  # there y, x, here y, x
    reached = (rows >= 0) & (rows < mask[0]) & (columns >= 0) & (columns < mask[1])
    channel = (rows * mask[1] + columns).masked_fill(~reached, 0)
    return channel.flatten(2).flatten(0, 1), reached.flatten(2).flatten(0, 1)
