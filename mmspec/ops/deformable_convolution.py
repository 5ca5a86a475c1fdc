"""Deformable convolutions by torchvision, with mmcv's names and arguments."""

from typing import NamedTuple

import torch
from torch import Tensor

from .precision import compute_dtype
from .vision import torchvision_operator


class _Geometry(NamedTuple):
    """What torchvision's operator takes after its tensors, in its order."""

    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    deform_groups: int
    modulated: bool


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Convolve what is sampled beside the taps of a kernel (arXiv 1703.06211, eq. 2), in place.

    Args:
        input: (N, C, H, W), any float dtype.
        weight: (C_out, C / group, kH, kW).
        offset: (N, deformable_group * kH * kW * 2, H_out, W_out), rows and columns that each tap is
            moved by, in pixels; what lies outside of the map samples zeros.
        output: (N, C_out, H_out, W_out), overwritten.
        columns, ones: scratch of the compiled kernel.
        kW, kH, dW, dH, padW, padH, dilationW, dilationH: kernel, stride, padding, dilation.
        group, deformable_group: groups of channels, and of channels that share offsets.
        im2col_step: of the compiled kernel; unused.
    """
    geometry = _Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, False)
    output.copy_(_convolve(input, weight, offset, None, None, geometry))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Gradients of :func:`deform_conv_forward` by ``input`` and ``offset``, in place."""
    geometry = _Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, False)
    by_input, by_weight, by_offset, _, _ = _gradients(
        grad_output, input, weight, offset, None, None, geometry
    )
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
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add ``scale`` times the gradient of :func:`deform_conv_forward` by ``weight``, in place."""
    by_weight = columns
    if columns.shape != grad_weight.shape:
        geometry = _Geometry(
            dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, False
        )
        # The gradient by the weight does not depend on the weight.
        weight = torch.zeros_like(grad_weight)
        _, by_weight, _, _, _ = _gradients(grad_output, input, weight, offset, None, None, geometry)
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
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """:func:`deform_conv_forward` with a factor on each sample (arXiv 1811.11168, eq. 1), in place.

    Args:
        bias: (C_out,), used ``with_bias``.
        mask: (N, deformable_group * kernel_h * kernel_w, H_out, W_out), the factors.
        ones, columns: scratch of the compiled kernel.

    ``offset`` and ``mask`` may be of another size than the output. Read are, as by mmcv's kernel,
    the first numbers of each image, as many as the output asks for, as if they lay in its rows and
    columns; the others are left out. (DyHead relies on it: it gives one level the offsets of the
    next finer.) ValueError where there are too few, which the kernel does not notice.
    """
    geometry = _Geometry(
        stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group, True
    )
    size, taps = output.shape[-2:], deformable_group * kernel_h * kernel_w
    output.copy_(
        _convolve(
            input,
            weight,
            _in_rows_of(size, offset, 2 * taps, "offset"),
            _in_rows_of(size, mask, taps, "mask"),
            bias if with_bias else None,
            geometry,
        )
    )


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
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Gradients of :func:`modulated_deform_conv_forward`, in place; of what it left out, zeros."""
    geometry = _Geometry(
        stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group, True
    )
    size, taps = grad_output.shape[-2:], deformable_group * kernel_h * kernel_w
    by_input, by_weight, by_offset, by_mask, by_bias = _gradients(
        grad_output,
        input,
        weight,
        _in_rows_of(size, offset, 2 * taps, "offset"),
        _in_rows_of(size, mask, taps, "mask"),
        bias if with_bias else None,
        geometry,
    )
    grad_input.copy_(by_input)
    grad_weight.copy_(by_weight)
    if with_bias:
        grad_bias.copy_(by_bias)
    for target, gradient in ((grad_offset, by_offset), (grad_mask, by_mask)):
        numbers = gradient.flatten(1)
        target.zero_().view(len(target), -1)[:, : numbers.shape[1]].copy_(numbers)


def _in_rows_of(size: torch.Size, maps: Tensor, channels: int, name: str) -> Tensor:
    """The first ``channels`` times ``size`` numbers of each image as maps of that size."""
    needed = channels * size.numel()
    numbers = maps.flatten(1)
    if numbers.shape[1] < needed:
        raise ValueError(
            f"{name} has {tuple(maps.shape[1:])} numbers an image; the output of the deformable "
            f"convolution needs {(channels, *size)}"
        )
    return numbers[:, :needed].reshape(-1, channels, *size)


def _convolve(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: _Geometry,
) -> Tensor:
    operands = _operands(input, weight, offset, mask, bias)
    return torchvision_operator("deform_conv2d")(*operands, *geometry)


def _gradients(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: _Geometry,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients by input, weight, offset, mask and bias."""
    operands = _operands(input, weight, offset, mask, bias)
    grad_output = grad_output.to(operands[0].dtype)
    backward = torchvision_operator("_deform_conv2d_backward")
    return backward(grad_output, *operands, *geometry)


def _operands(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None
) -> list[Tensor]:
    """In torchvision's order, and in one dtype; it asks for a mask and a bias in any case."""
    if mask is None:
        mask = input.new_zeros(len(input), 0)
    if bias is None:
        bias = input.new_zeros(len(weight))
    dtype = compute_dtype(input, weight, offset, mask, bias)
    return [tensor.to(dtype) for tensor in (input, weight, offset, mask, bias)]
