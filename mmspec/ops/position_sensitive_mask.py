"""The masks of point-wise spatial attention (PSANet) in PyTorch, with mmcv's names and arguments.

In the output each place has a map of the whole image: its memory, and that of an index beside it,
grow with the square of the number of places.
"""

import torch
from torch import Tensor

DISTRIBUTE = 1  # psa_type; 0 is to collect


def psamask_forward(input: Tensor, output: Tensor, psa_type: int, num_: int, **sizes: int) -> None:
    """Move the mask around each place to where it lies in the image (PSANet, sec. 3.3), in place.

    Args:
        input: (N, h_mask * w_mask, h_feature, w_feature): weights between a place and those around
            it, any dtype.
        output: (N, h_feature * w_feature, h_feature, w_feature), overwritten: weights of
            [n, there, here] where places collect, of [n, here, there] where they distribute; zeros
            where the mask does not reach.
        psa_type: 0 to collect, 1 to distribute.
        num_: N.
        sizes: of :func:`_channels`.
    """
    channel, reached = _channels(input.device, **sizes)
    weights = input.flatten(2).gather(1, channel.expand(num_, -1, -1))
    weights = weights.masked_fill(~reached, 0)
    if psa_type == DISTRIBUTE:
        weights = weights.transpose(1, 2)
    output.copy_(weights.reshape(output.shape))


def psamask_backward(
    grad_output: Tensor, grad_input: Tensor, psa_type: int, num_: int, **sizes: int
) -> None:
    """Gradient of :func:`psamask_forward`, in place; ``grad_input`` is overwritten."""
    channel, reached = _channels(grad_output.device, **sizes)
    grad = grad_output.flatten(2)
    if psa_type == DISTRIBUTE:
        grad = grad.transpose(1, 2)
    target = grad_input.zero_().flatten(2)
    target.scatter_add_(1, channel.expand(num_, -1, -1), grad.masked_fill(~reached, 0))


def _channels(
    device: torch.device,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> tuple[Tensor, Tensor]:
    """Which channel holds the weight of [there, here], and whether the mask reaches there.

    ``half_h_mask`` and ``half_w_mask`` are rows and columns of a mask before its middle.
    """
    rows, columns = (
        torch.arange(size, device=device)[:, None] - torch.arange(size, device=device) + middle
        for size, middle in ((h_feature, half_h_mask), (w_feature, half_w_mask))
    )
    rows, columns = rows[:, None, :, None], columns[None, :, None]  # there y, x, here y, x
    reached = (rows >= 0) & (rows < h_mask) & (columns >= 0) & (columns < w_mask)
    channel = (rows * w_mask + columns).masked_fill(~reached, 0)
    return channel.flatten(2).flatten(0, 1), reached.flatten(2).flatten(0, 1)
