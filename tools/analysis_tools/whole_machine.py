"""``tools/benchmark.py all``: every figure of a machine in one report, within so many minutes."""

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import queue
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from analysis_tools.measuring import digits, endless_batches, resident
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from mmspec.engine.launch import read_config
from mmspec.engine.precision import half_dtype
from mmspec.evaluation.table import markdown_table
from mmspec.version import __version__

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STEPS = 30  # that are timed, at most
LOADED = 12  # of a row without a network, at least
SIDE = {"cuda": 8192, "cpu": 2048}  # of the matrix product that shares are of
IMAGES = 64  # that are made up, of a kind
_BASE, _TINY = "base-p16_4xb64-amp-coslr-400e_inf30", "tiny-p16_1xb32-coslr-20e_inf-mini"
_TINY_MAPS = ["model.backbone.arch=tiny", "model.backbone.init_cfg=None"]
_OTHERS = "[48,96,224,224]"


@dataclass(frozen=True)
class Row:
    """A training step: by a config, or by its tiny one, and how it is computed."""

    title: str
    base: str
    tiny: str
    how: str = "visible"
    base_options: tuple[str, ...] = ()
    tiny_options: tuple[str, ...] = ()
    batch: int = 0  # images; 0: what --batch-size says
    unit: str = "images"


def _pretraining(title: str, how: str) -> Row:
    return Row(title, f"pretrain/infmae_convvit-{_BASE}", f"pretrain/infmae_convvit-{_TINY}", how)


#: By importance: the last ones are left out where time runs short.
ROWS = {
    "visible": _pretraining("InfMAE", "visible"),
    "dense": _pretraining("InfMAE, computed as released", "dense"),
    "mae": Row("MAE (ViT)", f"pretrain/mae_vit-{_BASE}", f"pretrain/mae_vit-{_TINY}"),
    "mspecgene": Row(
        "M-SpecGene",
        "pretrain/mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k",
        "pretrain/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene",
        "one pass",
        unit="pairs",
    ),
    "upernet": Row(
        "fine-tuning: UperNet",
        *["seg/infmae_convvit-base_upernet_1xb2-240k_msrs-480x640"] * 2,
        base_options=("model.backbone.init_cfg=None",),
        tiny_options=(
            *_TINY_MAPS,
            f"model.decode_head.in_channels={_OTHERS}",
            "model.decode_head.channels=128",
            "model.auxiliary_head.in_channels=224",
        ),
        batch=2,
    ),
    "mask-rcnn": Row(
        "fine-tuning: Mask R-CNN",
        *["det/infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd"] * 2,
        base_options=("model.backbone.init_cfg=None",),
        tiny_options=(
            *_TINY_MAPS,
            f"model.neck.in_channels={_OTHERS}",
            "train_dataloader.dataset.pipeline.2.scale=(320,240)",
            "train_dataloader.dataset.pipeline.3.crop_size=(320,240)",
        ),
        batch=2,
    ),
    "compiled": _pretraining("InfMAE, compiled", "compiled"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=8, help="for all, default %(default)s")
    parser.add_argument("--out", type=Path, default=Path("report.md"), help="default %(default)s")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: a GPU if there is one")
    parser.add_argument("--arch", choices=["base", "tiny"], help="default: base, on a CPU tiny")
    parser.add_argument("--batch-size", type=int, help="of pre-training; default 64, on a CPU 8")
    parser.add_argument("--workers", type=int, help="of loaders; default: one a core, 1 to 16")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"],
                        help="default: the half precision that a GPU has")  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS))


def settle(args: argparse.Namespace) -> None:
    """Fill in what depends on the machine."""
    gpu = args.device == "cuda"
    args.dtype = args.dtype or (str(half_dtype()).removeprefix("torch.") if gpu else "float32")
    args.arch = args.arch or ("base" if gpu else "tiny")
    args.batch_size = args.batch_size or (64 if gpu else 8)
    args.workers = args.workers or min(16, len(os.sched_getaffinity(0)))


def report(args: argparse.Namespace, build: Callable) -> str:
    """Measure the rows one after the other, each in a process of its own; the report's Markdown.

    Args:
        build: ``benchmark.training_step``.
    """
    settle(args)
    start, found, skipped = time.monotonic(), {}, {}
    names = ["loader", *args.only]
    with TemporaryDirectory() as folder:
        for place, name in enumerate(names):
            left = 60 * args.minutes - (time.monotonic() - start)
            if left < 5:
                skipped[name] = "no time was left"
                continue
            print(f"{name} ...", flush=True)
            end = time.monotonic() + left / (len(names) - place)  # its start included
            result = _apart(_measured, left, name, args, end, folder, build)
            (skipped if isinstance(result, str) else found)[name] = result
    return _markdown(args, found, skipped, time.monotonic() - start)


def _apart(function: Callable, seconds: float, *args) -> dict | str:
    """What a process gives back, or why it gave nothing within so many seconds."""
    # CUDA bears no fork; without it a row does not import everything anew, which takes long.
    context = multiprocessing.get_context("spawn" if torch.cuda.is_available() else "fork")
    results = context.Queue()
    process = context.Process(target=_put, args=(results, function, *args))
    process.start()
    try:
        return results.get(timeout=seconds)
    except queue.Empty:
        process.terminate()
        return f"not done after {seconds:.0f} s, which was all that was left"
    finally:
        process.join(5)  # it ends its loaders
        process.kill()
        process.join()


def _put(results, function: Callable, *args) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without what it started
    try:
        results.put(function(*args))
    except torch.cuda.OutOfMemoryError:
        results.put("out of memory")
    except Exception as error:
        results.put(f"{type(error).__name__}: {error}".splitlines()[0][:200])


def _measured(
    name: str, args: argparse.Namespace, end: float, folder: str, build: Callable
) -> dict:
    if args.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if name == "loader":
        return _loaders(args, end, folder, build)
    return _step(name, args, end, folder, build)


def _arguments(name: str, args: argparse.Namespace, folder: str) -> argparse.Namespace:
    """Those of ``training_step``."""
    row = ROWS[name]
    path = CONFIGS / f"{getattr(row, args.arch)}.py"
    root = made_up(path, Path(folder))
    return argparse.Namespace(
        config=str(path),
        cfg_options=list(getattr(row, f"{args.arch}_options")),
        batch_size=row.batch or args.batch_size,
        workers=args.workers,
        device=args.device,
        dtype=args.dtype,
        compile=row.how == "compiled",
        encoder_only=False,
        data=root if row.batch else None,  # a folder of images, or a data set with labels
        made_up=root,
    )


def _step(
    name: str, args: argparse.Namespace, end: float, folder: str, build: Callable
) -> dict[str, float]:
    """A training step: seconds with its loader, how many were timed, the share it waits; FLOPs,
    memory.
    """
    given = _arguments(name, args, folder)
    step = build(ROWS[name].how, given)
    run, clock, gpu = step.__call__, _Waited(), args.device == "cuda"
    finish = torch.cuda.synchronize if gpu else (lambda: None)
    batch = next(step.batches)
    loading, step.batches = step.batches, itertools.repeat(batch)
    flops = 0
    if not given.compile:
        with FlopCounterMode(display=False) as counter:
            run(clock)
        flops = counter.get_total_flops()
    for _ in range(2 if gpu or given.compile else 0):
        run(clock)  # kernels are chosen, what is compiled is compiled
    if gpu:  # it works on while the process waits: what it is kept from is the difference
        at_hand = _seconds(lambda: run(clock), finish, (time.monotonic() + end) / 2)[0]
    step.batches = loading
    for _ in range(2 * given.workers):  # laid up meanwhile
        next(loading)
    clock.seconds = 0.0
    whole, steps = _seconds(lambda: run(clock), finish, end)
    waits = 1 - at_hand / whole if gpu else clock.seconds / steps / whole
    return dict(
        batch=given.batch_size,
        seconds=whole,
        steps=steps,
        waits=max(0.0, waits),
        flops=flops,
        gib=_peak_gib(args.device),
    )


class _Waited:
    """In place of a ``Clock``: a step as a run has it, without waits between its parts.

    ``seconds``: how long the process itself waited for batches.
    """

    seconds = 0.0

    def __call__(self, part: str, function: Callable, *args):
        start = time.perf_counter()
        result = function(*args)
        if part == "loader":
            self.seconds += time.perf_counter() - start
        return result


def _seconds(
    turn: Callable[[], object], finish: Callable[[], None], end: float
) -> tuple[float, int]:
    """Seconds of a turn, the mean of as many as there is time for, and their number."""
    finish()
    start, count = time.perf_counter(), 0
    while count < 1 or (count < STEPS and time.monotonic() < end):
        turn()
        count += 1
        if count % 5 == 0:  # a queue without end would outrun the time
            finish()
    finish()
    return (time.perf_counter() - start) / count, count


def _loaders(args: argparse.Namespace, end: float, folder: str, build: Callable) -> dict:
    """Images a second of the pre-training's loader, and FLOPs a second of a matrix product."""
    side, dtype = SIDE[args.device], getattr(torch, args.dtype)
    one = torch.rand(side, side, device=args.device).to(dtype)
    finish = torch.cuda.synchronize if args.device == "cuda" else (lambda: None)
    now = time.monotonic()
    until, best = now + (end - now) / 4, float("inf")
    for _ in range(STEPS):  # the best: a peak is what others left undisturbed
        best = min(best, _seconds(lambda: one @ one, finish, 0)[0])
        if time.monotonic() > until:
            break
    found = dict(product=2 * side**3 / best)
    for place, workers in enumerate((0, args.workers)):
        given = _arguments("visible", args, folder)
        batches = endless_batches(read_config(given.config), given, workers)
        for _ in range(2 * workers + 1):
            next(batches)
        now = time.monotonic()
        until = now + (end - now) / (2 - place)
        start, count = time.perf_counter(), 0
        while count < LOADED or (count < 20 * LOADED and time.monotonic() < until):
            next(batches)
            count += 1
        found[f"{workers} workers"] = count * given.batch_size / (time.perf_counter() - start)
    return found


def _peak_gib(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resident("VmHWM") / 2**20


def made_up(config: str | Path, folder: Path) -> str:
    """A training set in the layout that the config's data set wants, made once a kind."""
    dataset = read_config(str(config)).train_dataloader.dataset
    root = folder / dataset.type.removeprefix("mmspec.")
    if root.is_dir():
        return str(root)
    rng = np.random.default_rng(0)
    pairs = [dataset.get("infrared"), dataset.get("visible")]
    layouts = {
        "mmspec.MSRSDataset": {"train/ir": "L", "train/Segmentation_labels": "label"},
        "mmspec.M3FDDataset": {"Ir": "L", "Vis": "RGB"},
    }
    default = {pairs[0]: "L", pairs[1]: "RGB"} if all(pairs) else {".": "L"}
    height, width = (480, 640) if "MSRS" in dataset.type else (768, 1024)
    if dataset.type not in layouts:
        height, width = 512, 640
    for below, mode in layouts.get(dataset.type, default).items():
        (root / below).mkdir(parents=True, exist_ok=True)
        for i in range(IMAGES):
            coarse = rng.integers(0, 9 if mode == "label" else 256, (32, 40, 3), dtype=np.uint8)
            image = Image.fromarray(coarse if mode == "RGB" else coarse[..., 0])
            how = Image.Resampling.NEAREST if mode == "label" else Image.Resampling.BICUBIC
            suffix = "jpg" if dataset.type not in layouts else "png"
            path = root / below / f"{i:02d}.{suffix}"
            image.resize((width, height), how).save(path, compress_level=1)  # of PNG: quickly
    if "M3FD" in dataset.type:
        _write_boxes(root, rng, width, height)
    return str(root)


def _write_boxes(root: Path, rng: np.random.Generator, width: int, height: int) -> None:
    from mmspec.datasets.detection import M3FDDataset

    names = M3FDDataset.METAINFO["classes"]
    size = dict(width=width, height=height)
    images = [
        dict(id=i, file_name=f"Ir/{i:02d}.png", visible_file_name=f"Vis/{i:02d}.png", **size)
        for i in range(IMAGES)
    ]
    boxes = []
    for number in range(IMAGES * 8):  # eight in each, about as many as M3FD has
        size = rng.integers(16, 200, 2)
        corner = rng.integers(0, [width - size[0], height - size[1]])
        boxes.append(dict(id=number + 1, image_id=number % IMAGES, iscrowd=0,
                          category_id=int(rng.integers(len(names))) + 1,
                          area=int(size.prod()),
                          bbox=[*corner.tolist(), *size.tolist()]))  # fmt: skip
    content = dict(images=images, annotations=boxes)
    content["categories"] = [dict(id=i, name=name) for i, name in enumerate(names, 1)]
    (root / "annotations").mkdir()
    (root / "annotations/train.json").write_text(json.dumps(content))


def machine(device: str) -> str:
    """The machine's name, for the report."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ()
    cpu = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
    cpu, number = cpu or platform.processor() or platform.machine(), torch.get_num_threads()
    text = f"{cpu}, {number} thread{'s' * (number > 1)}"
    if hasattr(os, "getloadavg"):
        text += f", load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"
    if device == "cuda":
        gib = torch.cuda.get_device_properties(0).total_memory / 2**30
        text = f"{torch.cuda.get_device_name()} ({gib:.0f} GiB), {text}"
    return text


def _markdown(
    args: argparse.Namespace, found: Mapping[str, dict], skipped: Mapping[str, str], seconds: float
) -> str:
    loaders = dict(found.get("loader", {}))
    product = loaders.pop("product", None)
    rows = []
    for name in args.only:
        if name not in found:
            continue
        one, row = found[name], ROWS[name]
        flops = one["flops"] or found.get("visible", one)["flops"]
        rate = flops / one["seconds"]
        rows.append({
            "training step": row.title,
            "batch": str(one["batch"]),
            "steps": str(one["steps"]),
            "ms": digits(1e3 * one["seconds"]),
            "a second": f"{digits(one['batch'] / one['seconds'])} {row.unit}",
            "waits for the loader": f"{100 * one['waits']:.0f} %",
            "peak memory, GiB": digits(one["gib"]),
            "TFLOP/s": digits(rate / 1e12),
            "of a matrix product's": "-" if not product else f"{100 * rate / product:.0f} %",
        })  # fmt: skip
    where = f"{machine(args.device)}; torch {torch.__version__}; mmspec {__version__}"
    lines = ["# What this machine does", "", f"{where}; {args.dtype}, {args.arch} networks, "
             f"{args.workers} workers; made-up images; {seconds / 60:.1f} minutes", "",
             f"`{shlex.join(['python', *sys.argv])}`", ""]  # fmt: skip
    if rows:
        lines += [markdown_table(rows), ""]
    if product:
        each = [{"loader of InfMAE": name, "images/s": digits(v)} for name, v in loaders.items()]
        lines += [markdown_table(each), ""]
        side = SIDE[args.device]
        lines += [f"A matrix product of {side} x {side} in {args.dtype}:"
                  f" {digits(product / 1e12)} TFLOP/s.", ""]  # fmt: skip
    titles = {name: row.title for name, row in ROWS.items()}
    for name, why in skipped.items():
        lines += [f"Skipped: {titles.get(name, name)}: {why}.", ""]
    lines += ['What the columns say: docs/speed.md, "A machine in one report".']
    return "\n".join(lines).rstrip() + "\n"
