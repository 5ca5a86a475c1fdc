"""Reading checkpoint files without executing anything that they hold."""

from __future__ import annotations

import argparse
import codecs
import collections
import pickle
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from mmengine.utils import digit_version


def _nothing(*args: Any) -> None:
    """In place of ``getattr``, by which mmengine's log buffers refer to their own methods."""


_RECONSTRUCT = np.empty(0).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]

#: What checkpoints hold beside tensors and plain containers, by its pickled name, and what is
#: rebuilt for it: the arguments of a run (MAE's family), log values (mmengine), numbers (NumPy 1
#: and 2). None of them runs code. Log buffers become bare namespaces, as nothing here reads them.
ALLOWED: dict[str, Any] = {
    "argparse.Namespace": argparse.Namespace,
    "mmengine.logging.history_buffer.HistoryBuffer": argparse.Namespace,
    "builtins.getattr": _nothing,
    "__builtin__.getattr": _nothing,
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "numpy.core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy._core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy.core.multiarray.scalar": _SCALAR,
    "numpy._core.multiarray.scalar": _SCALAR,
    "_codecs.encode": codecs.encode,
    **{
        f"{kind.__module__}.{kind.__qualname__}": kind
        for kind in {
            type(np.dtype(code)) for code in ("?", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8")
        }
    },
}
# torch 2.6 is the first that takes names with its safe globals; older ones get the same list here,
# with the functions that rebuild tensors.
_TENSORS: dict[str, Any] = {
    "collections.OrderedDict": collections.OrderedDict,
    "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
    "torch._utils._rebuild_parameter": torch._utils._rebuild_parameter,
    "torch.Size": torch.Size,
}


class CheckpointError(ValueError):
    """A file that is no checkpoint, or not one that fits; the message names it and the way out."""


class _AllowListUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}"
        if full_name in ALLOWED:
            return ALLOWED[full_name]
        if full_name in _TENSORS:
            return _TENSORS[full_name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module == "torch" and name.endswith("Storage"):
            return getattr(torch, name)
        raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {full_name}")


class _AllowListPickle:
    """What ``torch.load`` expects of a ``pickle_module``."""

    Unpickler = _AllowListUnpickler

    @staticmethod
    def load(file: BinaryIO, **kwargs: Any) -> Any:
        return _AllowListUnpickler(file, **kwargs).load()


def _load_pickled(path: Path) -> Any:
    # Tensors are mapped, not read: of a 1.4 GB file with optimiser only what is copied is touched.
    # The legacy format (no zip archive) cannot be mapped.
    with path.open("rb") as file:
        mmap = file.read(2) == b"PK"
    if digit_version(torch.__version__) < digit_version("2.6"):
        return torch.load(str(path), map_location="cpu", pickle_module=_AllowListPickle, mmap=mmap)
    with torch.serialization.safe_globals([(kind, name) for name, kind in ALLOWED.items()]):
        return torch.load(str(path), map_location="cpu", weights_only=True, mmap=mmap)


def load_file(path: str | Path) -> Any:
    """Read a ``.pth`` / ``.pt`` file or a ``.safetensors`` file to CPU.

    Only tensors, plain containers and :data:`ALLOWED` are rebuilt; a file that asks for
    anything else is refused, so that no code from a file ever runs.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: not a checkpoint, damaged, or holding objects that are not allowed.
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
            raise CheckpointError(f"checkpoint {path}: not a safetensors file ({error})") from error
    try:
        return _load_pickled(path)
    except Exception as error:  # a damaged pickle can fail in any way
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            raise CheckpointError(
                f"checkpoint {path} holds a pickled {refused[1]}, which is not on the allow-list, "
                "and was not loaded. If you trust the file, save its tensors alone: content = "
                f"torch.load('{path}', weights_only=False), then "
                "torch.save({'model': content['model']}, 'clean.pth')"
            ) from error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"checkpoint {path}: not a torch checkpoint, or damaged ({reason})"
        ) from error
