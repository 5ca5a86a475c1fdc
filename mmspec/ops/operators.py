"""Operators of ``mmcv._ext`` computed by torchvision or PyTorch.

To add one: write a function with the name and the arguments that mmcv calls in ``mmcv/ops/*.py``,
and name it in ``OPERATORS``.
"""

from collections.abc import Callable

from .boxes import nms, roi_align_backward, roi_align_forward, softnms
from .deformable_attention import ms_deform_attn_backward, ms_deform_attn_forward
from .focal_loss import sigmoid_focal_loss_backward, sigmoid_focal_loss_forward


def get_compiler_version() -> str:
    """What mmcv's own ``collect_env`` writes where nothing was compiled."""
    return "n/a"


def get_compiling_cuda_version() -> str:
    """What mmcv's own ``collect_env`` writes where nothing was compiled."""
    return "n/a"


OPERATORS: dict[str, Callable] = {
    function.__name__: function
    for function in (
        nms,
        softnms,
        roi_align_forward,
        roi_align_backward,
        sigmoid_focal_loss_forward,
        sigmoid_focal_loss_backward,
        ms_deform_attn_forward,
        ms_deform_attn_backward,
        get_compiler_version,
        get_compiling_cuda_version,
    )
}
