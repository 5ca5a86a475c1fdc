"""The frame of ``tools/benchmark.py``: batches, timing in turn, peak memory, the table of both."""

import argparse
import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmspec.engine.launch import allow_no_workers
from mmspec.evaluation.table import markdown_table


def precision(device: str, dtype: str) -> AbstractContextManager:
    """Autocast to a half precision; nothing for float32, which torch 2.1 refuses on a CPU."""
    if dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device, getattr(torch, dtype))


class Clock:
    """Call the parts of a turn and note their seconds; a GPU has finished before and after."""

    def __init__(self, device: str) -> None:
        self.synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
        self.seconds: dict[str, float] = {}

    def __call__(self, part: str, function: Callable[..., Any], *args: Any) -> Any:
        self.synchronise()
        start = time.perf_counter()
        result = function(*args)
        self.synchronise()
        self.seconds[part] = time.perf_counter() - start
        return result


#: What a row of the table does when it is its turn, the parts of it by way of the clock.
Turn = Callable[[Clock], Any]


def endless_batches(cfg: Config, args: argparse.Namespace, workers: int) -> Iterator[dict]:
    """Batches of a config's training loader, of ``args``' data, size and device."""
    MMLogger.get_current_instance().setLevel("ERROR")
    init_default_scope(cfg.default_scope)
    loader = cfg.train_dataloader
    if "data_root" in loader.dataset:  # scenes that are rendered have none
        loader.dataset.update(data_root=args.data or args.made_up)
        if not args.data:
            loader.dataset.update(ann_file="")
    loader.update(
        batch_size=args.batch_size,
        num_workers=workers,
        pin_memory=args.device == "cuda",
        sampler=dict(type="InfiniteSampler", shuffle=True),
    )
    allow_no_workers(cfg)
    return iter(Runner.build_dataloader(loader, seed=0))


def median_seconds(
    turns: Mapping[str, Turn], rounds: int, device: str
) -> dict[str, dict[str, float]]:
    """Median seconds of each row's parts and, as ``step``, of their sum; a first round is left out.

    In turn (1 2 3 1 2 3 ...), so that a machine that speeds up or slows down does so for all.
    """
    counted: dict[str, list[dict[str, float]]] = {name: [] for name in turns}
    for _ in range(1 + rounds):
        for name, turn in turns.items():
            clock = Clock(device)
            turn(clock)
            counted[name].append({**clock.seconds, "step": sum(clock.seconds.values())})
    return {
        name: {part: statistics.median(each[part] for each in found[1:]) for part in found[0]}
        for name, found in counted.items()
    }


def peak_mib(turn: Turn, device: str) -> float:
    """MiB that a turn takes at its peak above what is held before it; the turn is taken twice.

    Allocated memory on a GPU; on a CPU the growth of the process's peak resident size (Linux), to
    be trusted in a process that times nothing: see :func:`apart`.
    """
    turn(Clock(device))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        turn(Clock(device))
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    turn(Clock(device))
    return (resident("VmHWM") - before) / 2**10


def resident(field: str) -> int:
    """A field of Linux's /proc/self/status, in KiB."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field)))


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """A function's result from a process of its own that gives freed memory back at once."""
    os.environ.update(MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="0")
    # Where the system kills it for want of memory, this is an error; a Pool would wait for ever.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def table(
    seconds: Mapping[str, Mapping[str, float]],
    memory: Mapping[str, float | None],
    items: int,
    unit: str,
) -> str:
    """Markdown: milliseconds of the parts, rates and MiB, and both in units of the first row's.

    Args:
        seconds: of :func:`median_seconds`; rows that a GPU has no memory for are missing.
        memory: MiB of each row, None for those; empty: not measured.
        items: how many ``unit`` a turn takes.
    """
    names = list(memory or seconds)
    parts = list(dict.fromkeys(part for row in seconds.values() for part in row))
    if len(parts) == 2:  # one part is the step
        parts.remove("step")
    rates = {name: items / row["step"] for name, row in seconds.items()}
    lines = []
    for name in names:
        timed = seconds.get(name, {})
        line = {"": name}
        line |= {f"{part}, ms": digits(1e3 * timed[part] if timed else None) for part in parts}
        for quantity, values in ((f"{unit}/s", rates), ("MiB", memory)):
            if values:
                value, first = values.get(name), values.get(names[0])
                line[quantity] = digits(value, "-" if values is rates else "out of memory")
                ratio = value / first if value and first else None
                line[f"{quantity}, x {names[0]}"] = digits(ratio)
        lines.append(line)
    return markdown_table(lines)


def digits(value: float | None, missing: str = "-") -> str:
    """Three significant digits, more before the point."""
    if value is None:
        return missing
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
