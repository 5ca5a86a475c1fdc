#!/usr/bin/env python
"""Time of the CMSS masking step alone, against the way in which it was released.

    python tools/analysis_tools/benchmark_cmss.py
    python tools/analysis_tools/benchmark_cmss.py --device cuda --batch-size 128 --json cmss.json

One masking step of a batch of pairs: the metric from the tokens, one step of the mixture, the
targets, and the masks of both modalities. "sequential" does it as the released sampler does: the
metric on copies of the tokens, normalised first; the mixture in NumPy on the host; in a Python loop
over the targets a full sort of all distances for each, and two more sorts for the order of all
patches and its inverse. Both are timed in turn, part by part, so that a machine that speeds up or
slows down does so for both; each figure is the median over the rounds. Beforehand both choose from
the same scores and targets, and must choose the same patches.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from measuring import synchronise, where
from torch import Tensor

from mmspec.masking import PatchMask, visible_count
from mmspec.masking.cmss import (
    Mixture,
    choose_nearest,
    draw_targets,
    mixture_statistics,
    random_mixture,
    structural_sparsity,
    target_distribution,
    updated_mixture,
)


class Sequential:
    """A straightforward port, part by part."""

    def __init__(self, mixture: Mixture) -> None:
        self.means, self.variances, self.weights = (x.double().numpy() for x in mixture)

    def copy(self, infrared: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
        return infrared.clone(), rgb.clone()

    def metric(self, infrared: Tensor, rgb: Tensor) -> Tensor:
        cosine = (F.normalize(infrared, dim=-1) * F.normalize(rgb, dim=-1)).sum(-1)
        scores = ((cosine + 1) / 2).sqrt() / (infrared.var(-1) * rgb.var(-1))
        return scores / scores.max()

    def fit(self, scores: Tensor) -> None:
        values = scores.flatten().cpu().numpy()[:, None]
        density = np.exp(-0.5 * (values - self.means) ** 2 / self.variances)
        density *= self.weights / np.sqrt(2 * np.pi * self.variances)
        shares = density / density.sum(1, keepdims=True)
        counts = shares.sum(0)
        self.means = (shares * values).sum(0) / counts
        self.variances = (shares * (values - self.means) ** 2).sum(0) / counts
        self.weights = counts / len(values)

    def targets(self, batch: int, num_patches: int, device: str) -> Tensor:
        """All targets from one Gaussian around 0, as in the first epochs."""
        order = np.argsort(self.means)
        variance = np.interp(0.0, self.means[order], self.variances[order])
        return torch.randn(batch, num_patches, device=device) * variance**0.5

    def choose(self, scores: Tensor, targets: list[Tensor], keep: int) -> list[Tensor]:
        free = scores.clone()
        images = torch.arange(len(scores), device=scores.device)
        chosen = []
        for modality in targets:
            ids = torch.zeros(len(scores), keep, dtype=torch.int64, device=scores.device)
            for i in range(keep):
                order = (free - modality[:, i : i + 1]).abs().argsort(dim=1)
                ids[:, i] = order[:, 0]
                free[images, order[:, 0]] = 1e5
            chosen.append(ids)
            self.orders(free, modality[:, :1], ids)
        return chosen

    def orders(self, free: Tensor, target: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Place of each patch when visible ones come first, and which are masked."""
        rest = (free - target).abs().argsort(dim=1)[:, : free.shape[1] - ids.shape[1]]
        ids_restore = torch.cat([ids, rest], 1).argsort(dim=1)
        mask = torch.ones_like(free)
        mask[:, : ids.shape[1]] = 0
        return ids_restore, mask.gather(1, ids_restore)


class Batched:
    """What :class:`mmspec.CMSSMasking` does, part by part."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        self.centres = torch.zeros_like(mixture.means)
        self.num_centres = torch.ones((), dtype=torch.int64, device=mixture.means.device)

    def copy(self, infrared: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
        return infrared.detach(), rgb.detach()

    def metric(self, infrared: Tensor, rgb: Tensor) -> Tensor:
        scores = structural_sparsity(infrared, rgb)
        return scores / scores.max()

    def fit(self, scores: Tensor) -> None:
        self.mixture = updated_mixture(self.mixture, mixture_statistics(scores, self.mixture))

    def targets(self, batch: int, num_patches: int, keep: int) -> Tensor:
        shift = torch.zeros_like(self.mixture.means[0])
        distribution = target_distribution(self.mixture, self.centres, self.num_centres, shift)
        return draw_targets(distribution, self.num_centres, batch, num_patches, keep)

    def choose(self, scores: Tensor, targets: list[Tensor], keep: int) -> list[Tensor]:
        ids = choose_nearest(scores, torch.cat([t[:, :keep] for t in targets], 1))
        masks = [PatchMask.from_keep(kept, (1, scores.shape[1])) for kept in ids.split(keep, 1)]
        return [mask.ids_keep for mask in masks]


def timed(seconds: list[float], device: str, part: Callable, *arguments):
    synchronise(device)
    start = time.perf_counter()
    result = part(*arguments)
    synchronise(device)
    seconds.append(time.perf_counter() - start)
    return result


@torch.no_grad()
def measure(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Median seconds by way and part."""
    torch.manual_seed(0)
    shape = (args.batch_size, args.num_patches, args.channels)
    level = 0.5 + torch.rand(*shape[:2], 1, device=args.device)  # patches of unequal structure
    infrared, rgb = (level * torch.randn(shape, device=args.device) for _ in range(2))
    keep = visible_count(args.num_patches, ratio=args.mask_ratio)
    mixture = random_mixture(3)
    sequential = Sequential(mixture)
    batched = Batched(Mixture(*(x.to(args.device) for x in mixture)))

    scores = batched.metric(infrared, rgb)
    targets = [torch.rand(args.batch_size, keep, device=args.device) for _ in range(2)]
    pairs = zip(
        sequential.choose(scores, targets, keep), batched.choose(scores, targets, keep), strict=True
    )
    if not all(torch.equal(*pair) for pair in pairs):
        raise RuntimeError("the two ways choose different patches from the same scores and targets")

    parts = ("copies", "metric", "mixture", "targets", "choice")
    seconds = {way: {part: [] for part in parts} for way in ("sequential", "batched")}
    for _ in range(args.rounds + 1):
        for name, way in (("sequential", sequential), ("batched", batched)):
            spent = seconds[name]
            last = args.device if name == "sequential" else keep
            tokens = timed(spent["copies"], args.device, way.copy, infrared, rgb)
            scores = timed(spent["metric"], args.device, way.metric, *tokens)
            timed(spent["mixture"], args.device, way.fit, scores)
            targets = [
                timed(spent["targets"], args.device, way.targets, *shape[:2], last)
                for _ in range(2)
            ]
            timed(spent["choice"], args.device, way.choose, scores, targets, keep)
    medians = {}
    for name, spent in seconds.items():
        # Two draws a step; the first round warms up.
        per_step = {part: np.reshape(times, (args.rounds + 1, -1)).sum(1)[1:].tolist()
                    for part, times in spent.items()}  # fmt: skip
        whole = [sum(step) for step in zip(*per_step.values())]
        medians[name] = {part: statistics.median(times) for part, times in per_step.items()}
        medians[name]["step"] = statistics.median(whole)
        lean = [step - copies for step, copies in zip(whole, per_step["copies"])]
        medians[name]["no copies"] = statistics.median(lean)
    return medians


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-size", type=int, default=128, help="pairs")
    parser.add_argument("--num-patches", type=int, default=196)
    parser.add_argument("--channels", type=int, default=768)
    parser.add_argument("--mask-ratio", type=float, default=0.9)
    parser.add_argument("--rounds", type=int, default=10, help="counted rounds")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: a GPU if there is one")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    args.device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return args


def main() -> None:
    args = parse_args()
    medians = measure(args)
    machine = where(args.device)
    print(
        f"{machine}; torch {torch.__version__}; {args.batch_size} pairs, "
        f"{args.num_patches} patches, {args.channels} channels, ratio {args.mask_ratio}; "
        f"median of {args.rounds} rounds"
    )
    print(f"{'part':10}{'sequential ms':>15}{'batched ms':>12}{'ratio':>9}")
    ratios = {}
    for part, slow in medians["sequential"].items():
        fast = medians["batched"][part]
        print(f"{part:10}{1e3 * slow:15.2f}{1e3 * fast:12.2f}", end="")
        if part != "copies":  # the batched way makes none
            ratios[part] = slow / fast
            print(f"{ratios[part]:9.1f}", end="")
        print()
    if args.json:
        figures = dict(where=machine, arguments={k: str(v) for k, v in vars(args).items()},
                       seconds=medians, ratios=ratios)  # fmt: skip
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
