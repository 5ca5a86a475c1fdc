"""mmcv's operators where mmcv has no compiled ones: what models of mmdet and mmseg need of them.

NMS, RoIAlign, RoIPool and deformable convolutions come from torchvision, the others from PyTorch.
:data:`mmspec.ops.operators.OPERATORS` lists them; any other raises an error that names it.

mmcv's Python functions (``mmcv.ops.nms``, ``batched_nms``, ``RoIAlign``, ...) stay as they are.
Replaced is the compiled module below them, ``mmcv._ext``. :func:`install` lets Python find a
stand-in of that name where no compiled one exists.
"""

import importlib.util
import sys

from .stand_in import FINDER, StandInLoader

__all__ = ["backend", "install"]


def install() -> None:
    """Offer the torchvision-backed operators to mmcv; a compiled ``mmcv._ext`` keeps precedence.

    Nothing is imported here. May be called any number of times, also after ``import mmcv.ops`` has
    failed: Python does not remember failed imports.
    """
    if FINDER not in sys.meta_path:
        sys.meta_path.append(FINDER)


def backend() -> str:
    """Which operators mmcv uses: ``'mmcv'`` (compiled) or ``'torchvision'`` (the stand-in).

    Imports the package ``mmcv``, not its operators; raises ModuleNotFoundError where it is absent.
    """
    spec = importlib.util.find_spec("mmcv._ext")
    compiled = spec is not None and not isinstance(spec.loader, StandInLoader)
    return "mmcv" if compiled else "torchvision"
