"""Multi-scale deformable attention in PyTorch, with mmcv's names and arguments.

mmcv has it in PyTorch for the CPU (by ``grid_sample``), and asks on a GPU for the compiled one,
where these run the same form. It keeps every sampled value: more memory than the compiled kernel.
"""

from functools import partial

from torch import Tensor

from .shared import compute_dtype, gradients


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Weighted sums of values sampled around each query (Deformable DETR, arXiv 2010.04159, eq. 3).

    Args:
        value: (B, keys of all levels, heads, C), any float dtype.
        value_spatial_shapes: (levels, 2) int64, rows and columns of each level.
        value_level_start_index, im2col_step: unused; levels follow each other.
        sampling_locations: (B, queries, heads, levels, points, 2), x and y in [0, 1] of a level;
            what lies outside samples zeros.
        attention_weights: (B, queries, heads, levels, points).

    Returns:
        (B, queries, heads * C) of the dtype of ``value``.
    """
    return _attend(value_spatial_shapes, value, sampling_locations, attention_weights)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients of :func:`ms_deform_attn_forward`, which is run again, in place."""
    inputs = (value, sampling_locations, attention_weights)
    found = gradients(partial(_attend, value_spatial_shapes), inputs, grad_output)
    for target, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), found):
        target.copy_(gradient)


def _attend(shapes: Tensor, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    # mmcv.ops imports the module that imports this one.
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    dtype = compute_dtype(value, locations, weights)
    # As a list: on a GPU one transfer, where mmcv's loops over a tensor would take several a level.
    output = multi_scale_deformable_attn_pytorch(
        value.to(dtype), shapes.tolist(), locations.to(dtype), weights.to(dtype)
    )
    return output.to(value.dtype)
