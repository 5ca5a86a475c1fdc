"""Infrared and RGB-thermal foundation models for the OpenMMLab stack.

Importing mmspec imports neither torch nor an mm package: it checks that one mm stack is installed
and arranges that ``mmcv.ops`` finds operators (``mmspec.ops``). The registries fill themselves when
mmengine first looks for a name with the scope ``mmspec``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mmspec import ops, stack
from mmspec.version import __version__

if TYPE_CHECKING:
    from mmspec.apis import Predictor
    from mmspec.checkpoints import load_encoder, read_checkpoint
    from mmspec.probing import probe
    from mmspec.thermal import read_thermal

__all__ = ["Predictor", "__version__", "load_encoder", "probe", "read_checkpoint", "read_thermal"]

stack.check()
ops.install()

_HOME = {
    "Predictor": "mmspec.apis",
    "load_encoder": "mmspec.checkpoints",
    "probe": "mmspec.probing",
    "read_checkpoint": "mmspec.checkpoints",
    "read_thermal": "mmspec.thermal",
}


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'mmspec' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
