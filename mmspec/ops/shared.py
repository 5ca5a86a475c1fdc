"""What the operators share: precision, torchvision's kernels, gradients, and the error of a gap."""

from collections.abc import Callable, Sequence
from functools import reduce
from importlib.metadata import packages_distributions, version

import torch
from torch import Tensor


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """At least float32, and float64 where an operand has it.

    torchvision's kernels lack bfloat16; on the CPU its NMS and torch's ``grid_sample`` lack float16
    too.
    """
    return reduce(torch.promote_types, (t.dtype for t in tensors), torch.float32)


def torchvision_operator(name: str) -> Callable:
    """``torch.ops.torchvision.NAME``; RuntimeError where torchvision does not fit torch."""
    try:
        import torchvision  # noqa: F401  (importing it registers torch.ops.torchvision)

        return getattr(torch.ops.torchvision, name)
    except (ImportError, RuntimeError, AttributeError) as error:
        raise RuntimeError(
            f"torchvision's operator '{name}' cannot be loaded ({error}): install the "
            f"torchvision release that was built for torch {torch.__version__}"
        ) from error


def gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], grad_output: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of ``function(*inputs)``, which is run again, by each of the inputs."""
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    with torch.enable_grad():
        output = function(*inputs)
    return torch.autograd.grad(output, inputs, grad_output.to(output.dtype))


def unavailable(operator: str, alternative: str = "") -> NotImplementedError:
    """The error of an operator that needs a compiled mmcv, with the command that installs one."""
    distributions = packages_distributions().get("mmcv", [])
    if "onedl-mmcv" in distributions:
        name = "onedl-mmcv"
        # Without --no-build-isolation the build does not see torch and leaves the operators out.
        command = (
            f"`pip install --no-build-isolation --no-deps --force-reinstall --no-cache-dir "
            f"--no-binary {name} {name}=={version(name)}` (needs a C++ compiler, nvcc for CUDA) "
            f"or one of {name}'s prebuilt wheels for your torch and CUDA"
        )
    elif distributions:
        name = distributions[0]
        command = f"`pip uninstall -y {name} && mim install mmcv=={version(name)}`"
    else:
        command = "`mim install mmcv`"
    way_out = f"{alternative}, or install" if alternative else "Install"
    return NotImplementedError(
        f"mmcv's operator {operator} is not available: this mmcv has no compiled operators, and "
        f"mmspec has no stand-in for this one. {way_out} a compiled mmcv: {command}"
    )
