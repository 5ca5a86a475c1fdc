"""Mixed precision that a CPU can train in too."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmspec.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Compute training steps under autocast to bfloat16, convolutions with channels last.

    mmengine's ``AmpOptimWrapper`` refuses a CPU. Bfloat16 has the range of float32, so that losses
    need no scale; weights, gradients and the optimizer stay in float32. A CPU without instructions
    for bfloat16 (AVX512-BF16, AMX) is slower with it than without.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        model.to(memory_format=torch.channels_last)
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
