#!/usr/bin/env python
"""Speed and memory of the dense encoder at fine-tuning, with and without windows and checkpointing.

    python tools/analysis_tools/benchmark_backbone.py                     # base, 1024x1024, float32
    python tools/analysis_tools/benchmark_backbone.py --dtype bfloat16 --batch-size 2 --rel-pos
    python tools/analysis_tools/benchmark_backbone.py --image-size 480 640 --json figures.json

Encoders, timed in turn so that a machine that speeds up or slows down does so for all, each figure
the median over the rounds:

* global: ConvViT, every block of stage 3 attends to the whole image
* windows: in windows, but for every third block (ViTDet's form)
* the same two with activation checkpointing (cp)

A step is forward and backward in training mode; no neck, no head, no optimiser. Peak memory is that
of one step above the weights and the batch, gradients included: allocated memory on a GPU; on a CPU
the growth of the peak resident size of a process that times nothing. An encoder that a GPU has no
memory for is said to be out of memory.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import torch
from measuring import apart, median_seconds, peak_mib, precision, where
from torch import Tensor

from mmspec.models.backbones import ConvViT

ENCODERS = {
    "global": dict(windows=False, with_cp=False),
    "windows": dict(windows=True, with_cp=False),
    "global, cp": dict(windows=False, with_cp=True),
    "windows, cp": dict(windows=True, with_cp=True),
}


def build(name: str, args: argparse.Namespace) -> ConvViT:
    torch.manual_seed(0)
    settings = ENCODERS[name]
    encoder = ConvViT(
        args.arch,
        use_rel_pos=args.rel_pos,
        window_size=args.window_size if settings["windows"] else 0,
        with_cp=settings["with_cp"],
    )
    return encoder.to(args.device).train()


def make_batch(args: argparse.Namespace) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(args.batch_size, 3, *args.image_size, device=args.device)


def run(encoder: ConvViT, images: Tensor, args: argparse.Namespace) -> None:
    """Forward and backward; the gradients are dropped afterwards."""
    with precision(args.device, args.dtype):
        loss = sum(f.float().square().mean() for f in encoder(images))
    loss.backward()
    encoder.zero_grad(set_to_none=True)


def measure_memory(args: argparse.Namespace) -> dict[str, float | None]:
    """MiB of one step of each encoder; None where the GPU has too little."""
    memory = {}
    for name in ENCODERS:
        try:
            step = partial(run, build(name, args), make_batch(args), args)
            memory[name] = peak_mib(step, args.device)
        except torch.cuda.OutOfMemoryError:
            memory[name] = None
    return memory


def measure_speed(names: list[str], args: argparse.Namespace) -> dict[str, float]:
    """Images a second."""
    images = make_batch(args)
    steps = {name: partial(run, build(name, args), images, args) for name in names}
    seconds = median_seconds(steps, args.rounds, args.warmup, args.device)
    return {name: args.batch_size / seconds[name] for name in names}


def table(memory: dict[str, float | None], speed: dict[str, float]) -> list[str]:
    """Lines with each figure and its ratio to the first encoder's."""
    lines = [f"{'encoder':14}{'img/s':>9}{'x global':>10}{'MiB':>9}{'x global':>10}"]
    for name, mib in memory.items():
        if mib is None:
            lines.append(f"{name:14}  out of memory")
            continue
        faster = f"{speed[name] / speed['global']:.2f}" if "global" in speed else "-"
        larger = f"{mib / memory['global']:.2f}" if memory["global"] else "-"
        lines.append(f"{name:14}{speed[name]:9.3f}{faster:>10}{mib:9.0f}{larger:>10}")
    return lines


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arch", default="base", help="tiny, small or base")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument(
        "--image-size", type=int, nargs="+", default=[1024], help="height and width, or a side"
    )
    parser.add_argument("--window-size", type=int, default=14, help="patches a side of a window")
    parser.add_argument("--rel-pos", action="store_true", help="with relative positions")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds")
    parser.add_argument("--warmup", type=int, default=1, help="rounds not counted")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: a GPU if there is one")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    if len(args.image_size) > 2:
        parser.error("--image-size takes a height and a width, or a side")
    args.image_size = (args.image_size[0], args.image_size[-1])
    args.device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return args


def main() -> None:
    args = parse_args()
    memory = apart(measure_memory, args)
    speed = measure_speed([name for name, mib in memory.items() if mib is not None], args)
    machine, (height, width) = where(args.device), args.image_size
    print(
        f"\n{machine}; torch {torch.__version__}; arch {args.arch}, batch {args.batch_size}, "
        f"{height}x{width} px, {args.dtype}, windows of {args.window_size}"
        f"{', relative positions' if args.rel_pos else ''}; median of {args.rounds} rounds"
    )
    print("\n".join(table(memory, speed)))
    if args.json:
        figures = dict(where=machine, arguments={k: str(v) for k, v in vars(args).items()},
                       images_per_s=speed, step_mib=memory)  # fmt: skip
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
