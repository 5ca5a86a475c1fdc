"""Operators of ``mmcv._ext`` computed by torchvision or PyTorch.

To add one: write a function with the name and the arguments that mmcv calls in ``mmcv/ops/*.py``,
and name it in ``OPERATORS``.
"""

from collections.abc import Callable

from . import (
    carafe,
    deformable_attention,
    deformable_convolution,
    deformable_roi_pooling,
    focal_loss,
    masked_convolution,
    position_sensitive_mask,
    regions,
    suppression,
    synchronized_norm,
)


def get_compiler_version() -> str:
    """What mmcv's own ``collect_env`` writes where nothing was compiled."""
    return "n/a"


def get_compiling_cuda_version() -> str:
    """What mmcv's own ``collect_env`` writes where nothing was compiled."""
    return "n/a"


OPERATORS: dict[str, Callable] = {
    function.__name__: function
    for function in (
        suppression.nms,
        suppression.softnms,
        suppression.nms_match,
        regions.roi_align_forward,
        regions.roi_align_backward,
        regions.roi_pool_forward,
        regions.roi_pool_backward,
        deformable_convolution.deform_conv_forward,
        deformable_convolution.deform_conv_backward_input,
        deformable_convolution.deform_conv_backward_parameters,
        deformable_convolution.modulated_deform_conv_forward,
        deformable_convolution.modulated_deform_conv_backward,
        deformable_roi_pooling.deform_roi_pool_forward,
        deformable_roi_pooling.deform_roi_pool_backward,
        deformable_attention.ms_deform_attn_forward,
        deformable_attention.ms_deform_attn_backward,
        masked_convolution.masked_im2col_forward,
        masked_convolution.masked_col2im_forward,
        carafe.carafe_forward,
        carafe.carafe_backward,
        position_sensitive_mask.psamask_forward,
        position_sensitive_mask.psamask_backward,
        synchronized_norm.sync_bn_forward_mean,
        synchronized_norm.sync_bn_forward_var,
        synchronized_norm.sync_bn_forward_output,
        synchronized_norm.sync_bn_backward_param,
        synchronized_norm.sync_bn_backward_data,
        focal_loss.sigmoid_focal_loss_forward,
        focal_loss.sigmoid_focal_loss_backward,
        get_compiler_version,
        get_compiling_cuda_version,
    )
}
