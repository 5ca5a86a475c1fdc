"""Deformable convolutions by torchvision, with mmcv's names and arguments.

``sizes`` are mmcv's: stride, padding, dilation, groups (of channels, and of channels that share
offsets), by keyword. ``columns`` and ``ones`` are scratch of the compiled kernels.
"""

from operator import itemgetter

import torch
from torch import Tensor

from .shared import compute_dtype, torchvision_operator

# What torchvision's operator takes after its tensors, in its order.
_SIZES = itemgetter(
    "dH", "dW", "padH", "padW", "dilationH", "dilationW", "group", "deformable_group"
)
_SIZES_OF_MODULATED = itemgetter(
    *("stride_h", "stride_w", "pad_h", "pad_w", "dilation_h", "dilation_w"),
    *("group", "deformable_group"),
)


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **sizes: int,
) -> None:
    """Convolve what is sampled beside the taps of a kernel (arXiv 1703.06211, eq. 2), in place.

    Args:
        input: (N, C, H, W), any float dtype.
        weight: (C_out, C / group, kH, kW).
        offset: (N, deformable_group * kH * kW * 2, H_out, W_out), rows and columns that each tap is
            moved by, in pixels; what lies outside of the map samples zeros.
        output: (N, C_out, H_out, W_out), overwritten.
    """
    convolve = torchvision_operator("deform_conv2d")
    output.copy_(convolve(*_operands(input, weight, offset), *_SIZES(sizes), False))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **sizes: int,
) -> None:
    """Gradients of :func:`deform_conv_forward` by ``input`` and ``offset``, in place."""
    operands = _operands(input, weight, offset)
    by_input, by_weight, by_offset, *_ = _backward(grad_output, operands, *_SIZES(sizes), False)
    grad_input.copy_(by_input)
    grad_offset.copy_(by_offset)
    # mmcv asks for the weight's next, with the same scratch: torchvision computes all at once.
    columns.resize_(by_weight.shape).copy_(by_weight)


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **sizes: int,
) -> None:
    """Add ``scale`` times the gradient of :func:`deform_conv_forward` by ``weight``, in place."""
    by_weight = columns
    if columns.shape != grad_weight.shape:
        # The gradient by the weight does not depend on the weight.
        operands = _operands(input, torch.zeros_like(grad_weight), offset)
        _, by_weight, *_ = _backward(grad_output, operands, *_SIZES(sizes), False)
    grad_weight.add_(by_weight.to(grad_weight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    with_bias: bool,
    **sizes: int,
) -> None:
    """:func:`deform_conv_forward` with a factor on each sample (arXiv 1811.11168, eq. 1), in place.

    Args:
        bias: (C_out,), used ``with_bias``.
        mask: (N, deformable_group * kernel_h * kernel_w, H_out, W_out), the factors.

    ``offset`` and ``mask`` may be of another size than the output. Read are, as by mmcv's kernel,
    the first numbers of each image, as many as the output asks for, as if they lay in its rows and
    columns; the others are left out. (DyHead relies on it: it gives one level the offsets of the
    next finer.) ValueError where there are too few, which the kernel does not notice.
    """
    operands = _modulated(input, weight, offset, mask, bias if with_bias else None, output, sizes)
    convolve = torchvision_operator("deform_conv2d")
    output.copy_(convolve(*operands, *_SIZES_OF_MODULATED(sizes), True))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    with_bias: bool,
    **sizes: int,
) -> None:
    """Gradients of :func:`modulated_deform_conv_forward`, in place; of what it left out, zeros."""
    bias = bias if with_bias else None
    operands = _modulated(input, weight, offset, mask, bias, grad_output, sizes)
    by_input, by_weight, by_offset, by_mask, by_bias = _backward(
        grad_output, operands, *_SIZES_OF_MODULATED(sizes), True
    )
    grad_input.copy_(by_input)
    grad_weight.copy_(by_weight)
    if with_bias:
        grad_bias.copy_(by_bias)
    for target, gradient in ((grad_offset, by_offset), (grad_mask, by_mask)):
        numbers = gradient.flatten(1)
        target.zero_().view(len(target), -1)[:, : numbers.shape[1]].copy_(numbers)


def _operands(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
) -> list[Tensor]:
    """In torchvision's order, and in one dtype; it asks for a mask and a bias in any case."""
    if mask is None:
        mask = input.new_zeros(len(input), 0)
    if bias is None:
        bias = input.new_zeros(len(weight))
    dtype = compute_dtype(input, weight, offset, mask, bias)
    return [tensor.to(dtype) for tensor in (input, weight, offset, mask, bias)]


def _modulated(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    bias: Tensor | None,
    output: Tensor,
    sizes: dict[str, int],
) -> list[Tensor]:
    """Operands with the numbers of ``offset`` and ``mask`` that an ``output`` asks for."""
    taps = sizes["deformable_group"] * sizes["kernel_h"] * sizes["kernel_w"]
    read = []
    for name, maps, channels in (("offset", offset, 2 * taps), ("mask", mask, taps)):
        shape, numbers = (channels, *output.shape[-2:]), maps.flatten(1)
        needed = channels * output.shape[-2:].numel()
        if numbers.shape[1] < needed:
            raise ValueError(
                f"{name} has {tuple(maps.shape[1:])} numbers an image; the output of the "
                f"deformable convolution needs {shape}"
            )
        read.append(numbers[:, :needed].reshape(-1, *shape))
    return _operands(input, weight, *read, bias)


def _backward(grad_output: Tensor, operands: list[Tensor], *options: int) -> tuple[Tensor, ...]:
    """Gradients by input, weight, offset, mask and bias."""
    backward = torchvision_operator("_deform_conv2d_backward")
    return backward(grad_output.to(operands[0].dtype), *operands, *options)
