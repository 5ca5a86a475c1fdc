"""The arithmetic of a training: bfloat16, TF32 and an optimiser of one kernel.

On a CPU nothing of this happens but in a :class:`Bfloat16OptimWrapper`, where the CPU has bfloat16.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine import optim
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from mmspec.registry import HOOKS, OPTIM_WRAPPERS, OPTIMIZERS

_CPU_INFO = Path("/proc/cpuinfo")


def half_dtype() -> torch.dtype:
    """bfloat16 where the GPU computes with it (Ampere and later), else float16."""
    # torch.cuda.is_bf16_supported also says yes where it is emulated.
    modern = torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
    return torch.bfloat16 if modern else torch.float16


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(optim.AmpOptimWrapper):
    """mmengine's mixed precision, in bfloat16 where the GPU has it.

    Args:
        dtype: 'float16' or 'bfloat16' by choice; None: :func:`half_dtype`.
        loss_scale: of float16; bfloat16 has the range of float32 and needs none.
        kwargs: of mmengine's ``AmpOptimWrapper``.
    """

    def __init__(self, dtype: str | torch.dtype | None = None, loss_scale="dynamic", **kwargs):
        dtype = half_dtype() if dtype is None else dtype
        if str(dtype).endswith("bfloat16"):
            loss_scale = dict(enabled=False)
        super().__init__(loss_scale=loss_scale, dtype=dtype, **kwargs)

    def load_state_dict(self, state_dict: dict) -> None:
        """Take that of a run in either type: a scaler that was not in use has no state."""
        state_dict = {k: v for k, v in state_dict.items() if k != "loss_scaler" or v}
        super().load_state_dict(state_dict)


def cpu_has_bfloat16() -> bool:
    """Whether the CPU has instructions for products of bfloat16 (AVX512-BF16 or AMX).

    Read from Linux's list of flags, since PyTorch before 2.4 does not tell. Elsewhere: no.
    """
    try:
        flags = _CPU_INFO.read_text().split()
    except FileNotFoundError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(optim.OptimWrapper):
    """Compute training steps with channels last, in bfloat16 unless the CPU would emulate it.

    A GPU computes in bfloat16, and so does a CPU of :func:`cpu_has_bfloat16`, which
    ``AmpOptimWrapper`` refuses. Any other CPU is slower in bfloat16 than in float32: it computes
    in float32, and the log says so once. Weights, gradients and the optimizer are in float32.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.device = self.optimizer.param_groups[0]["params"][0].device.type
        self.in_bfloat16 = self.device != "cpu" or cpu_has_bfloat16()
        if not self.in_bfloat16:
            print_log(
                "Training in float32: this CPU has no instructions for bfloat16 (AVX512-BF16, "
                "AMX) and would be slower with it.",
                "current",
            )

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        model.to(memory_format=torch.channels_last)
        autocast = torch.autocast(self.device, torch.bfloat16, enabled=self.in_bfloat16)
        with super().optim_context(model), autocast:
            yield


@OPTIMIZERS.register_module()
class AdamW(torch.optim.AdamW):
    """PyTorch's, by its fused kernel where all parameters are on a GPU.

    That kernel also asks a gradient scaler nothing, so that float16 has no wait in a step. A state
    is taken from either kind of run. ``fused``, ``foreach`` or ``differentiable`` choose otherwise.
    """

    def __init__(self, params: Iterable[Tensor | dict], **kwargs) -> None:
        # Lists of what may be generators, as model.parameters() is, which can be read once.
        params = [dict(p, params=_listed(p)) if isinstance(p, dict) else p for p in params]
        if not kwargs.keys() & {"fused", "foreach", "differentiable"}:
            tensors = (t for p in params for t in (p["params"] if isinstance(p, dict) else [p]))
            kwargs["fused"] = all(t.is_cuda for t in tensors) or None
        super().__init__(params, **kwargs)

    def load_state_dict(self, state_dict: dict) -> None:
        fused = self.defaults["fused"]
        groups = [dict(group, fused=fused) for group in state_dict["param_groups"]]
        super().load_state_dict({**state_dict, "param_groups": groups})


def _listed(group: dict) -> list[Tensor]:
    params = group["params"]
    return [params] if isinstance(params, Tensor) else list(params)


@HOOKS.register_module()
class TF32Hook(Hook):
    """Compute float32 matrix products in TF32 while a GPU trains (Ampere and later).

    With the range of float32 and 10 bits of fraction, as many as float16 has. The validations of a
    training are part of it; tests take products in float32 again. Convolutions are in TF32 by
    PyTorch's own default (``torch.backends.cudnn.allow_tf32``), in tests too.
    """

    def before_train(self, runner: Runner) -> None:
        self.before = torch.get_float32_matmul_precision()
        if torch.cuda.is_available():
            torch.set_float32_matmul_precision("high")

    def after_train(self, runner: Runner) -> None:
        torch.set_float32_matmul_precision(self.before)
