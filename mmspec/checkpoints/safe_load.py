"""Reading checkpoint files without executing anything that they hold."""

import argparse
import codecs
import collections
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from mmengine.utils import digit_version


def _nothing(*args: Any) -> None:
    """In place of ``getattr``, by which mmengine's log buffers refer to their own methods."""


_KINDS = {
    *(collections.OrderedDict, torch.Size, argparse.Namespace, codecs.encode, np.ndarray, np.dtype),
    *(torch._utils._rebuild_tensor_v2, torch._utils._rebuild_parameter),
    *(type(np.dtype(code)) for code in ("?", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8")),
}
#: What checkpoints may hold beside storages and dtypes, by its pickled name, and what is rebuilt
#: for it: tensors, containers, arguments of a run (MAE's family), log values (mmengine), numbers
#: (NumPy 1 and 2). None runs code. Log buffers become bare namespaces, as nothing here reads them.
ALLOWED: dict[str, Any] = {
    **{f"{kind.__module__}.{kind.__qualname__}": kind for kind in _KINDS},
    "mmengine.logging.history_buffer.HistoryBuffer": argparse.Namespace,
    "builtins.getattr": _nothing,
    "__builtin__.getattr": _nothing,
}
for _core in ("core", "_core"):
    ALLOWED[f"numpy.{_core}.multiarray._reconstruct"] = np.empty(0).__reduce__()[0]
    ALLOWED[f"numpy.{_core}.multiarray.scalar"] = np.float64(0).__reduce__()[0]


class CheckpointError(ValueError):
    """A file that is no checkpoint, or not one that fits; the message names it and the way out."""


class _Unpickler(pickle.Unpickler):
    """The same list before torch 2.6, the first that takes names with its safe globals."""

    def find_class(self, module: str, name: str) -> Any:
        if (full_name := f"{module}.{name}") in ALLOWED:
            return ALLOWED[full_name]
        found = getattr(torch, name, None) if module == "torch" else None
        if isinstance(found, torch.dtype) or (found and name.endswith("Storage")):
            return found
        raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {full_name}")


class _Pickle:
    """What ``torch.load`` expects of a ``pickle_module``."""

    Unpickler = _Unpickler

    @staticmethod
    def load(file: BinaryIO, **kwargs: Any) -> Any:
        return _Unpickler(file, **kwargs).load()


def _load_pickled(path: Path) -> Any:
    # Tensors are mapped, not read: of a 1.4 GB file with optimiser only what is copied is touched.
    # The legacy format (no zip archive) cannot be mapped.
    with path.open("rb") as file:
        mmap = file.read(2) == b"PK"
    if digit_version(torch.__version__) < digit_version("2.6"):
        return torch.load(str(path), map_location="cpu", pickle_module=_Pickle, mmap=mmap)
    with torch.serialization.safe_globals([(kind, name) for name, kind in ALLOWED.items()]):
        return torch.load(str(path), map_location="cpu", weights_only=True, mmap=mmap)


def no_such_checkpoint(path: Path, hint: str = "") -> FileNotFoundError:
    """The error of a file that is not there, with up to five others of its folder."""
    others = sorted(other.name for other in path.parent.glob(f"*{path.suffix or '.pth'}"))
    there = f"; {path.parent} has {', '.join(others[:5])}" if others else ""
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    return FileNotFoundError(f"checkpoint {path}: no such file{hint}{there}{more}")


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
        raise no_such_checkpoint(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file as load_safetensors

            return load_safetensors(path)
        return _load_pickled(path)
    except Exception as error:  # a damaged file can fail in any way
        if path.suffix == ".safetensors":
            reason = f": not a safetensors file ({error})"
        elif refused := re.search(r"GLOBAL (\S+)", str(error)):
            reason = (
                f" holds a pickled {refused[1]}, which is not on the allow-list, and was not "
                "loaded. If you trust the file, save its tensors alone: content = "
                f"torch.load('{path}', weights_only=False), then "
                "torch.save({'model': content['model']}, 'clean.pth'), with .state_dict() where "
                "content or content['model'] is a module and no dict"
            )
        else:
            # torch's first line advises weights_only=False, which would run what the file says.
            first = (str(error) or type(error).__name__).splitlines()[0]
            cause = re.search(r"WeightsUnpickler error: (.+)", str(error))
            reason = f": not a torch checkpoint, or damaged ({cause[1] if cause else first})"
        raise CheckpointError(f"checkpoint {path}{reason}") from error


def refuse_nan(state: Mapping[str, Any], source: str) -> None:
    """Raise a :class:`CheckpointError` that names the first tensor with a NaN."""
    for name, value in state.items():
        if isinstance(value, torch.Tensor) and value.isnan().any():
            raise CheckpointError(
                f"{source}: {name} holds NaN, as a training leaves it whose loss was NaN;"
                " take an earlier checkpoint of that training"
            )


def load_header(path: Path) -> dict[str, str]:
    """Texts of a ``.safetensors`` file that :func:`load_file` has read; of others none."""
    if path.suffix != ".safetensors":
        return {}
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata() or {}
