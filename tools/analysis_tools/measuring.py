"""What the benchmarks share: paired timing, and peak memory on a GPU or a CPU."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import torch

Key = TypeVar("Key", bound=Hashable)


def where(device: str) -> str:
    """The device's name, for the head of a table."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def precision(device: str, dtype: str) -> AbstractContextManager:
    """Autocast to a half precision; nothing for float32, which torch 2.1 refuses on a CPU."""
    if dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device, getattr(torch, dtype))


def median_seconds(
    steps: dict[Key, Callable[[], Any]], rounds: int, warmup: int, device: str
) -> dict[Key, float]:
    """Median seconds of each step, timed in turn (1 2 3 1 2 3 ...).

    In turn, so that a machine that speeds up or slows down does so for all.
    """
    seconds: dict[Key, list[float]] = {name: [] for name in steps}
    for i in range(rounds + warmup):
        for name, step in steps.items():
            synchronise(device)
            start = time.perf_counter()
            step()
            synchronise(device)
            if i >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def peak_mib(step: Callable[[], Any], device: str) -> float:
    """MiB that a step takes at its peak above what is held before it; the step is run twice.

    Allocated memory on a GPU; on a CPU the growth of the process's peak resident size (Linux), to
    be trusted in a process of its own alone: see :func:`apart`.
    """
    step()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _resident("VmRSS")
    step()
    return (_resident("VmHWM") - before) / 2**10


def _resident(field: str) -> int:
    """A field of Linux's /proc/self/status, in KiB."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field)))


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """A function's result from a process of its own that gives freed memory back at once."""
    os.environ.update(MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="0")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)
