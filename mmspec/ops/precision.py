"""The precision that operators compute in."""

from functools import reduce

import torch
from torch import Tensor


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """At least float32, and float64 where an operand has it.

    torchvision's kernels lack bfloat16; on the CPU its NMS and torch's ``grid_sample`` lack float16
    too.
    """
    return reduce(torch.promote_types, (t.dtype for t in tensors), torch.float32)
