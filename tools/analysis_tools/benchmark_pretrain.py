#!/usr/bin/env python
"""Speed and memory of InfMAE pre-training on this machine, against other ways to compute it.

    python tools/analysis_tools/benchmark_pretrain.py                     # base, float32
    python tools/analysis_tools/benchmark_pretrain.py --dtype bfloat16 --compile --batch-size 64
    python tools/analysis_tools/benchmark_pretrain.py --data data/inf30   # and the data pipeline

Networks, timed in turn (1 2 3 1 2 3 ...) so that a machine that speeds up or slows down does so for
all, each figure the median over the rounds:

* visible: ConvViT on the visible patches alone, as mmspec trains it
* dense: the same network and weights over the whole image with masks, as InfMAE was released
* mae: mmpretrain's MAE, ViT-B, decoder of 8 blocks (for the size of its batch only; another model)

"encoder" is forward and backward of the encoder, "step" of encoder, decoder and loss; the optimiser
is left out. Peak memory is that of one step above the weights and the batch: allocated memory on a
GPU; on a CPU the growth of the process's peak resident size, each network in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from dense_masked import dense_masked_forward
from measuring import apart, median_seconds, peak_mib, precision, where
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from PIL import Image
from torch import Tensor, nn

from mmspec.masking import PatchMask, random_keep
from mmspec.models.backbones import ConvViT
from mmspec.models.backbones.conv_vit import PATCH_SIZE
from mmspec.models.heads import ReconstructionHead
from mmspec.models.necks import InfMAEDecoder

PAPER = "infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"
MAE = "mae_vit-base-p16_4xb64-amp-coslr-400e_inf30.py"
CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "pretrain"


class ConvViTStep(nn.Module):
    """InfMAE's network with either way to compute the encoder."""

    def __init__(self, arch: str, dense: bool) -> None:
        super().__init__()
        self.encoder = ConvViT(arch, pretraining=True, out_indices=(0, 1, 2))
        width = self.encoder.embed_dims
        dims, heads = (512, 16) if width >= 384 else (128, 4)
        self.decoder = InfMAEDecoder(width, dims, num_heads=heads)
        self.head = ReconstructionHead()
        self.dense = dense

    def encode(self, images: Tensor, mask: PatchMask) -> Tensor:
        if self.dense:
            return dense_masked_forward(self.encoder, images, mask)
        return self.encoder(images, mask)

    def forward(self, images: Tensor, mask: PatchMask) -> Tensor:
        return self.head.loss(self.decoder(self.encode(images, mask), mask), images, mask.mask)


class MAEStep(nn.Module):
    """mmpretrain's MAE; it draws its own random mask."""

    def __init__(self) -> None:
        super().__init__()
        cfg = Config.fromfile(CONFIGS / MAE)
        init_default_scope("mmpretrain")
        self.mae = MODELS.build(cfg.model)

    def encode(self, images: Tensor, mask: PatchMask) -> Tensor:
        return self.mae.backbone(images, mask=True)[0]

    def forward(self, images: Tensor, mask: PatchMask) -> Tensor:
        return self.mae.loss(images, None)["loss"]


def build(name: str, args: argparse.Namespace) -> nn.Module:
    torch.manual_seed(0)
    model = MAEStep() if name == "mae" else ConvViTStep(args.arch, dense=name == "dense")
    model = model.to(args.device)
    if args.compile:
        model.compile()
        model.encode = torch.compile(model.encode)
    return model


def make_batch(args: argparse.Namespace) -> tuple[Tensor, PatchMask]:
    torch.manual_seed(0)
    side = args.image_size // PATCH_SIZE
    images = torch.randn(args.batch_size, 3, args.image_size, args.image_size, device=args.device)
    keep = random_keep(args.batch_size, side * side, side * side // 4, args.device)
    return images, PatchMask.from_keep(keep, (side, side))


def run(model: nn.Module, part: str, batch: tuple, args: argparse.Namespace) -> None:
    """Forward and backward; the gradients are dropped afterwards."""
    with precision(args.device, args.dtype):
        loss = model(*batch) if part == "step" else model.encode(*batch).float().square().mean()
    loss.backward()
    model.zero_grad(set_to_none=True)


def measure_speed(models: dict[str, nn.Module], args: argparse.Namespace) -> dict:
    """Images a second of each network's encoder and step."""
    batch = make_batch(args)
    steps = {
        (name, part): partial(run, model, part, batch, args)
        for name, model in models.items()
        for part in ("encoder", "step")
    }
    speed = {name: {} for name in models}
    seconds = median_seconds(steps, args.rounds, args.warmup, args.device)
    for (name, part), time_of_one in seconds.items():
        speed[name][part] = args.batch_size / time_of_one
    return speed


def peak_memory(name: str, args: argparse.Namespace) -> float:
    """MiB that one step takes at its peak above weights and batch."""
    model, batch = build(name, args), make_batch(args)
    return peak_mib(partial(run, model, "step", batch, args), args.device)


@contextlib.contextmanager
def image_folder(path: str | None):
    if path is not None:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        for i in range(64):
            coarse = Image.fromarray(rng.integers(0, 256, (32, 40), dtype=np.uint8))
            coarse.resize((640, 512), Image.Resampling.BICUBIC).save(Path(folder) / f"{i:02d}.jpg")
        yield Path(folder)


def measure_pipeline(args: argparse.Namespace) -> dict:
    """Images a second of the config's data pipeline, loader included, no network."""
    cfg = Config.fromfile(CONFIGS / PAPER)
    init_default_scope("mmpretrain")
    loader_cfg = cfg.train_dataloader
    with image_folder(args.data) as folder:
        loader_cfg.dataset.data_root = str(folder)
        loader_cfg.update(
            batch_size=16,
            num_workers=args.workers,
            persistent_workers=args.workers > 0,
            drop_last=False,
        )
        loader = Runner.build_dataloader(loader_cfg, seed=0)
        for _ in loader:  # workers start, files come into the cache
            break
        images, start = 0, time.perf_counter()
        while images < 1000:
            for batch in loader:
                images += len(batch["inputs"])
                if images >= 1000:
                    break
        seconds = time.perf_counter() - start
        kind = args.data or "64 made-up 640x512 JPEG"
        return {"images_per_s": images / seconds, "workers": args.workers, "data": kind}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arch", default="base", help="tiny, small or base")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds")
    parser.add_argument("--warmup", type=int, default=1, help="rounds not counted")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: a GPU if there is one")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile the networks")
    parser.add_argument("--skip-mae", action="store_true", help="leave out mmpretrain's MAE")
    parser.add_argument("--data", help="folder of images for the pipeline; default: made-up ones")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    args.device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return args


def main() -> None:
    args = parse_args()
    names = ["visible", "dense"] if args.skip_mae else ["visible", "dense", "mae"]
    speed = measure_speed({name: build(name, args) for name in names}, args)
    memory = {name: apart(peak_memory, name, args) for name in names}
    pipeline = measure_pipeline(args)

    machine = where(args.device)
    print(
        f"\n{machine}; torch {torch.__version__}; arch {args.arch}, batch {args.batch_size}, "
        f"{args.image_size} px, {args.dtype}{', compiled' if args.compile else ''}; "
        f"median of {args.rounds} rounds"
    )
    print(f"{'network':10}{'encoder img/s':>15}{'step img/s':>12}{'step, x dense':>15}{'MiB':>8}")
    for name in names:
        ratio = speed[name]["step"] / speed["dense"]["step"]
        print(
            f"{name:10}{speed[name]['encoder']:15.2f}{speed[name]['step']:12.2f}{ratio:15.2f}"
            f"{memory[name]:8.0f}"
        )
    print(f"data pipeline alone: {pipeline['images_per_s']:.0f} img/s, {pipeline['workers']} "
          f"workers, {pipeline['data']}")  # fmt: skip
    if args.json:
        figures = dict(where=machine, arguments={k: str(v) for k, v in vars(args).items()},
                       images_per_s=speed, step_mib=memory, pipeline=pipeline)  # fmt: skip
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
