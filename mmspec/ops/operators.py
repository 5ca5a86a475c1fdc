"""Operators of ``mmcv._ext`` computed by torchvision or PyTorch.

To add one: write a public function with the name and the arguments that mmcv calls in
``mmcv/ops/*.py`` into one of the modules below.
"""

from collections.abc import Callable
from importlib import import_module

_MODULES = (
    *("carafe", "deformable_attention", "deformable_convolution", "deformable_roi_pooling"),
    *("focal_loss", "masked_convolution", "position_sensitive_mask", "regions", "suppression"),
    "synchronized_norm",
)


def _version() -> str:
    """What mmcv's own ``collect_env`` writes where nothing was compiled."""
    return "n/a"


OPERATORS: dict[str, Callable] = {
    name: function
    for module in (import_module(f".{name}", __package__) for name in _MODULES)
    for name, function in vars(module).items()
    if getattr(function, "__module__", "") == module.__name__ and not name.startswith("_")
}
OPERATORS |= dict(get_compiler_version=_version, get_compiling_cuda_version=_version)
