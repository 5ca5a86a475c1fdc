"""Reading checkpoint files without executing anything that they hold."""

from __future__ import annotations

import argparse
import collections
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version

# What official and mmengine checkpoints hold beside tensors and plain containers: the arguments of
# the run (MAE's family) and the smoothed log values (mmengine). None of them runs code when
# rebuilt.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]
ALLOWED_GLOBALS = [
    argparse.Namespace,
    HistoryBuffer,
    np.ndarray,
    np.dtype,
    _RECONSTRUCT,
    _SCALAR,
    *{type(np.dtype(code)) for code in ("bool", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8")},
]
# The same two functions under the module names of numpy 1 and numpy 2.
_NUMPY_ALIASES = [
    (function, f"numpy.{core}.multiarray.{function.__name__}")
    for core in ("core", "_core")
    for function in (_RECONSTRUCT, _SCALAR)
]


class _AllowListUnpickler(pickle.Unpickler):
    """The allow-list for torch < 2.5, whose ``weights_only`` cannot be extended."""

    _allowed = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
        ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
        ("torch", "Size"): torch.Size,
        ("_codecs", "encode"): __import__("_codecs").encode,
        **{(c.__module__, c.__name__): c for c in ALLOWED_GLOBALS},
        **{tuple(name.rsplit(".", 1)): function for function, name in _NUMPY_ALIASES},
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._allowed:
            return self._allowed[module, name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {module}.{name}")


class _AllowListPickle:
    """What ``torch.load`` expects of a ``pickle_module``."""

    Unpickler = _AllowListUnpickler
    load = staticmethod(lambda file, **kwargs: _AllowListUnpickler(file, **kwargs).load())


def _load_pickled(path: Path) -> Any:
    # Tensors are mapped, not read: of a 1.4 GB file with optimiser only what is copied is touched.
    # The legacy format (no zip archive) cannot be mapped.
    with path.open("rb") as file:
        mmap = file.read(2) == b"PK"
    if digit_version(torch.__version__) < digit_version("2.5"):
        return torch.load(path, map_location="cpu", pickle_module=_AllowListPickle, mmap=mmap)
    with torch.serialization.safe_globals([*ALLOWED_GLOBALS, *_NUMPY_ALIASES]):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)


def load_file(path: str | Path) -> Any:
    """Reads a ``.pth`` / ``.pt`` file or a ``.safetensors`` file to CPU.

    Only tensors, plain containers and :data:`ALLOWED_GLOBALS` are rebuilt; a file that asks for
    anything else is refused, so that no code from a file ever runs.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, damaged, or holding objects that are not allowed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path}: no such file")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file as load_safetensors

        try:
            return load_safetensors(path)
        except SafetensorError as error:
            raise ValueError(f"checkpoint {path}: not a safetensors file ({error})") from error
    try:
        return _load_pickled(path)
    except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, ValueError) as error:
        if "Unsupported global" in str(error) or "nsupported class" in str(error):
            name = str(error).split("GLOBAL ")[-1].split(" ")[0].split("\n")[0]
            raise ValueError(
                f"checkpoint {path} holds a pickled {name}, which is not on the allow-list and was "
                "not loaded. If you trust the file, save its tensors alone: "
                "torch.save({'model': {k: v for k, v in model.items()}}, 'clean.pth')"
            ) from error
        raise ValueError(
            f"checkpoint {path}: not a torch checkpoint, or damaged ({str(error).splitlines()[0]})"
        ) from error
