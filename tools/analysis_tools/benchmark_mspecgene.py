#!/usr/bin/env python
"""Speed of a whole M-SpecGene step: both modalities in one encoder pass, against one pass each.

    python tools/analysis_tools/benchmark_mspecgene.py                      # ViT-B, float32
    python tools/analysis_tools/benchmark_mspecgene.py --dtype float16 --batch-size 128   # a GPU

A step is forward and backward of a batch of pairs with CMSS masking, without the optimiser; the
encoder is its part up to the latents. "two passes" encodes one modality after the other, as
M-SpecGene was released, with the same weights. "masking" is the masker alone, on tokens that are
at hand. All are timed in turn (1 2 3 1 2 3 ...), so that a machine that speeds up or slows down
does so for all; each figure is the median over the rounds. Beforehand both ways must give equal
losses.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from measuring import median_seconds, precision, where
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor

from mmspec.engine.launch import read_config
from mmspec.masking import PatchMask, grid_of
from mmspec.models.selfsup import MSpecGene

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "pretrain"
PAPER = CONFIGS / "mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k.py"
WAYS = ("one pass", "two passes")
Encoded = tuple[tuple[Tensor, ...], tuple[PatchMask, ...]]


def encode(model: MSpecGene, pairs: Tensor, way: str) -> Encoded:
    """Visible tokens of either modality, and the masks."""
    sides = pairs.chunk(2, dim=1)
    images = (torch.cat(sides),) if way == "one pass" else sides
    tokens = [model.backbone.patch_tokens(x) for x in images]
    grid = grid_of(*pairs.shape[-2:], model.head.patch_size)
    of_sides = tokens[0].chunk(2) if way == "one pass" else tokens
    masks = tuple(replace(m, grid=grid) for m in model.masker(*(x.detach() for x in of_sides)))
    if way == "one pass":
        return model._encode(images[0], tokens[0], masks), masks
    return tuple(map(model.backbone.visible_tokens, sides, masks, tokens)), masks


def losses(model: MSpecGene, pairs: Tensor, way: str) -> Tensor:
    """Both losses, added."""
    latents, masks = encode(model, pairs, way)
    sides = zip(model.neck(latents, masks), pairs.chunk(2, dim=1), masks)
    return sum(model.head.loss(prediction, x, mask.mask) for prediction, x, mask in sides)


def run(model: MSpecGene, pairs: Tensor, way: str, part: str, args: argparse.Namespace) -> None:
    """Forward and backward; the gradients are dropped afterwards."""
    with precision(args.device, args.dtype):
        if part == "step":
            loss = losses(model, pairs, way)
        else:
            loss = sum(x.float().square().mean() for x in encode(model, pairs, way)[0])
    loss.backward()
    model.zero_grad(set_to_none=True)


def check_equal(model: MSpecGene, pairs: Tensor) -> None:
    found = []
    for way in WAYS:
        torch.manual_seed(0)
        model.eval()  # so that the masker keeps its state
        with torch.no_grad():
            found.append(losses(model, pairs[:2], way))
    if not torch.allclose(*found, rtol=1e-3):
        raise RuntimeError(f"the two ways give different losses: {found}")
    model.train()


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each part."""
    cfg = read_config(str(args.config))
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).to(args.device)
    model.init_weights()
    shape = (args.batch_size, 6, args.image_size, args.image_size)
    pairs = torch.randn(shape, device=args.device)
    check_equal(model, pairs)
    with torch.no_grad():
        tokens = model.backbone.patch_tokens(torch.cat(pairs.chunk(2, dim=1))).chunk(2)
    steps = {
        f"{part}, {way}": partial(run, model, pairs, way, part, args)
        for part in ("encoder", "step")
        for way in WAYS
    }
    steps["masking"] = partial(model.masker, *tokens)
    return median_seconds(steps, args.rounds, args.warmup, args.device)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=PAPER, help="default: the paper's, ViT-B")
    parser.add_argument("--batch-size", type=int, default=8, help="pairs")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds")
    parser.add_argument("--warmup", type=int, default=1, help="rounds not counted")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: a GPU if there is one")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    args.device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return args


def main() -> None:
    args = parse_args()
    seconds = measure(args)
    machine = where(args.device)
    print(
        f"{machine}; torch {torch.__version__}; {args.config.stem}, {args.batch_size} pairs, "
        f"{args.image_size} px, {args.dtype}; median of {args.rounds} rounds"
    )
    print(f"{'part':10}{'one pass, pairs/s':>20}{'two passes, pairs/s':>22}{'ratio':>8}")
    ratios = {}
    for part in ("encoder", "step"):
        one, two = (seconds[f"{part}, {way}"] for way in WAYS)
        ratios[part] = two / one
        print(f"{part:10}{args.batch_size / one:20.2f}{args.batch_size / two:22.2f}"
              f"{ratios[part]:8.2f}")  # fmt: skip
    share = seconds["masking"] / seconds["step, one pass"]
    print(f"masking: {1e3 * seconds['masking']:.2f} ms, {100 * share:.2f} % of the step")
    if args.json:
        figures = dict(where=machine, arguments={k: str(v) for k, v in vars(args).items()},
                       seconds=seconds, ratios=ratios, masking_share=share)  # fmt: skip
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
