#!/usr/bin/env python
"""What a step costs on this machine, and what it costs when it is computed in other ways.

    python tools/benchmark.py all --minutes 8 --out report.md      # this machine, in one report
    python tools/benchmark.py pretrain      # InfMAE: as released, visible patches, one channel; MAE
    python tools/benchmark.py mspecgene     # an encoder pass for each modality, or one for both
    python tools/benchmark.py cmss          # M-SpecGene's masking alone
    python tools/benchmark.py backbone      # fine-tuning: windows, activation checkpointing (cp)
    python tools/benchmark.py loader --data data/inf30 --workers 0 4 8        # without a network
    python tools/benchmark.py loader --files --batch-size 1   # readers of each kind of file
    python tools/benchmark.py export        # a segmentor by PyTorch and by onnxruntime
    python tools/benchmark.py pretrain --dtype bfloat16 --compile --batch-size 64         # a GPU
    python tools/benchmark.py pretrain --only visible compiled      # with and without torch.compile
    python tools/benchmark.py pretrain --only visible --workers 8 --data data/inf30

The rows of a table take turns (1 2 3 1 2 3 ...), so that a machine that speeds up or slows down
does so for all; figures are medians over the rounds, ratios are to the first row. Two ways to
compute the same must give the same before they are timed. Memory is the peak of a turn above what
is held between turns (weights, the optimiser's state): allocated on a GPU, resident on a CPU.

A training step is a config's own without hooks: loader, data preprocessor, forward and backward,
optimiser, with mixed precision's gradient scaler on a GPU. Without ``--workers`` the process makes
its batches itself, and "loader" is all of that work; with them it is the wait that is left, which
is what a training run waits for. Without ``--data`` images are made up: 64 JPEGs of 640x512.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from analysis_tools.as_released import (
    DenseConvViT,
    TwoPasses,
    choose_by_sorting,
    sequential_masking,
)
from analysis_tools.kinds_of_files import KINDS, write
from analysis_tools.measuring import (
    Clock,
    Turn,
    apart,
    endless_batches,
    median_seconds,
    peak_mib,
    precision,
    table,
)
from analysis_tools.whole_machine import add_arguments, made_up, report
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor

from mmspec.apis import ExportedModel
from mmspec.apis.export import export_model
from mmspec.datasets.transforms import LoadInfraredImageFromFile
from mmspec.engine import compile_parts
from mmspec.engine.launch import LaunchError, read_config
from mmspec.explain import explained
from mmspec.masking import choose_nearest
from mmspec.models.backbones import ConvViT
from mmspec.models.maskers import CMSSMasking
from mmspec.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "pretrain"
INFMAE = CONFIGS / "infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"
MAE = CONFIGS / "mae_vit-base-p16_4xb64-amp-coslr-400e_inf30.py"
MSPECGENE = CONFIGS / "mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k.py"
UPERNET = CONFIGS.parent / "seg" / "scratch_convvit-tiny_upernet_1xb4-1k_eye-200x200.py"
PATCHES, CHANNELS = 196, 768  # what CMSS sees of a pair of 224x224
BATCHES = 30  # a turn of a loader


class TrainingStep:
    """A config's training step on batches of its own loader."""

    def __init__(self, cfg: Config, args: argparse.Namespace, compiled: bool = False) -> None:
        self.args = args
        self.batches = endless_batches(cfg, args, args.workers)
        torch.backends.cudnn.benchmark = cfg.env_cfg.cudnn_benchmark
        torch.manual_seed(0)
        self.model = MODELS.build(cfg.model)
        self.model.init_weights()
        self.model.to(args.device).train()
        if args.encoder_only:
            self.model.neck.forward = lambda latent, *_: latent
            self.model.head.loss = lambda latent, *_: latent.float().square().mean()
        if compiled or args.compile:
            compile_parts(self.model)
        scaled = args.dtype != "float32" and args.device == "cuda"
        for key in ("loss_scale", "dtype"):
            cfg.optim_wrapper.pop(key, None)
        cfg.optim_wrapper.type = "OptimWrapper"
        if scaled:  # as a run has it: no scaler, which is waited for, beside bfloat16
            cfg.optim_wrapper.update(type="mmspec.AmpOptimWrapper", dtype=args.dtype)
        self.optimiser = build_optim_wrapper(self.model, cfg.optim_wrapper)

    def __call__(self, clock: Clock) -> None:
        batch = clock("loader", next, self.batches)
        batch = clock("preprocessor", self.model.data_preprocessor, batch, True)
        dtype = self.args.dtype
        clock("forward+backward", lambda: self.optimiser.backward(self.loss(batch, dtype)))
        clock("optimiser", lambda: (self.optimiser.step(), self.optimiser.zero_grad()))

    def loss(self, batch: dict, dtype: str = "float32") -> Tensor:
        with precision(self.args.device, dtype):
            return self.model.parse_losses(self.model(**batch, mode="loss"))[0]


def training_step(name: str, args: argparse.Namespace) -> TrainingStep:
    cfg = read_config(MAE if name == "mae" else args.config, args.cfg_options)
    if name == "dense":
        if cfg.model.backbone.type != "mmspec.ConvViT":
            raise LaunchError(f"{args.config} has no mmspec.ConvViT to be 'dense': --only visible")
        cfg.model.backbone.type = DenseConvViT
    if name == "one channel":  # of three equal ones
        norm = cfg.model.data_preprocessor
        norm.update(mean=norm.mean[:1], std=norm.std[:1])
        cfg.model.backbone.in_channels = cfg.model.neck.out_channels = 1
    if name == "two passes":
        cfg.model.type = TwoPasses
    return TrainingStep(cfg, args, name == "compiled")


def check_losses(steps: dict[str, TrainingStep], args: argparse.Namespace) -> None:
    first, second = steps.values()
    batch, losses = next(first.batches), []
    for step in (first, second):
        step.model.eval()  # so that a masker keeps its state
        torch.manual_seed(0)
        with torch.no_grad():
            losses.append(step.loss(step.model.data_preprocessor(batch, True)))
        step.model.train()
    if not torch.allclose(*losses, rtol=1e-3):
        raise RuntimeError(f"{' and '.join(steps)} give different losses: {losses}")


def cmss(name: str, args: argparse.Namespace) -> Turn:
    torch.manual_seed(0)
    shape = (args.batch_size, PATCHES, CHANNELS)
    level = 0.5 + torch.rand(*shape[:2], 1, device=args.device)  # patches of unequal structure
    tokens = [level * torch.randn(shape, device=args.device) for _ in range(2)]
    masker = CMSSMasking().to(args.device)
    if name == "batched":
        return lambda clock: clock("masking", masker, *tokens)
    keep = masker.visible_patches(PATCHES)[0]
    return lambda clock: clock("masking", sequential_masking, *tokens, keep)


def check_choice(turns: dict[str, Turn], args: argparse.Namespace) -> None:
    keep = CMSSMasking().visible_patches(PATCHES)[0]
    scores, *targets = torch.rand(3, args.batch_size, PATCHES, device=args.device)
    found = choose_nearest(scores, torch.cat([each[:, :keep] for each in targets], 1))
    one_by_one = [choose_by_sorting(scores, each, keep)[0] for each in targets]
    if not torch.equal(found, torch.cat(one_by_one, 1)):
        raise RuntimeError(f"{' and '.join(turns)} choose different patches by the same targets")


def backbone(name: str, args: argparse.Namespace) -> Turn:
    torch.manual_seed(0)
    encoder = ConvViT(
        args.arch,
        use_rel_pos=args.rel_pos,
        window_size=args.window_size if "windows" in name else 0,
        with_cp="cp" in name,
    )
    encoder.to(args.device).train()
    if args.compile:
        encoder.compile()
    images = torch.randn(args.batch_size, 3, *args.image_size, device=args.device)

    def step() -> None:
        with precision(args.device, args.dtype):
            loss = sum(f.float().square().mean() for f in encoder(images))
        loss.backward()
        encoder.zero_grad()

    return lambda clock: clock("forward+backward", step)


def reading(name: str, args: argparse.Namespace) -> Turn:
    names, load = write(name, Path(args.made_up)), LoadInfraredImageFromFile()
    names = (names * args.batch_size * BATCHES)[: args.batch_size * BATCHES]

    def turn(clock: Clock) -> None:  # a core's own time, whatever else it does
        start = time.process_time()
        for path in names:
            load(dict(img_path=path))
        clock.seconds["reading"] = time.process_time() - start

    return turn


def loader(name: str, args: argparse.Namespace) -> Turn:
    if args.files is not None:
        return reading(name, args)
    cfg, workers = read_config(args.config, args.cfg_options), int(name.split()[0])
    batches = endless_batches(cfg, args, workers)

    def turn(clock: Clock) -> None:
        for _ in range(2 * workers):  # laid up while others had their turn
            next(batches)
        if workers:
            clock("loader", lambda: [next(batches) for _ in range(BATCHES)])
            return
        start = time.process_time()  # a core's own time, whatever else it does
        for _ in range(BATCHES):
            next(batches)
        clock.seconds["loader"] = time.process_time() - start

    return turn


def prediction(name: str, args: argparse.Namespace) -> Turn:
    """A segmentor with random weights on one image; exporting it compares the two."""
    from mmseg.structures import SegDataSample

    cfg, shape = read_config(args.config, args.cfg_options), tuple(args.image_size)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    meta = dict(img_shape=shape, ori_shape=shape)
    batches = [
        dict(
            inputs=[torch.randint(0, 256, (3, *shape), dtype=torch.uint8)],
            data_samples=[SegDataSample(metainfo=meta)],
        )
        for _ in range(2)
    ]
    if name == "onnxruntime":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            export_model(model, batches, path)
            model = ExportedModel(path)
    return lambda clock: clock("prediction", torch.no_grad()(model.test_step), batches[0])


@dataclass(frozen=True)
class Command:
    """A table: how the turns of its rows are built, and what the first two must agree in."""

    build: Callable[[str, argparse.Namespace], Turn]
    rows: tuple[str, ...]
    batch_size: int
    config: Path | None = None
    check: Callable[[dict, argparse.Namespace], None] | None = None
    unit: str = "images"


COMMANDS = {
    "pretrain": Command(
        training_step,
        ("dense", "visible", "one channel", "mae", "compiled"),
        *(8, INFMAE, check_losses),
    ),
    "mspecgene": Command(
        training_step,
        ("two passes", "one pass", "compiled"),
        *(8, MSPECGENE, check_losses, "pairs"),
    ),
    "cmss": Command(cmss, ("sequential", "batched"), 128, None, check_choice, "pairs"),
    "backbone": Command(backbone, ("global", "windows", "global, cp", "windows, cp"), 1),
    "loader": Command(loader, (), 16, INFMAE),
    "export": Command(prediction, ("PyTorch", "onnxruntime"), 1, UPERNET),
}


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        sub = subparsers.add_parser(name)
        sub.add_argument("--batch-size", type=int, default=command.batch_size, help=command.unit)
        sub.add_argument("--rounds", type=int, default=5, help="counted, after one that is not")
        sub.add_argument("--device", choices=["cpu", "cuda"], help="default: a GPU if there is one")
        sub.add_argument("--json", type=Path, help="write the figures here")
        if command.rows:
            default = [name for name in command.rows if name != "compiled"]  # takes minutes
            sub.add_argument("--only", nargs="+", choices=command.rows, default=default)
        if command.config:
            sub.add_argument("--config", default=command.config)
            sub.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE")
            sub.add_argument("--data", help="the config's data_root; default: made-up images")
        if command.check is check_losses:
            sub.add_argument("--workers", type=int, default=0, help="of a row that --only names")
            sub.add_argument("--encoder-only", action="store_true", help="without decoder and loss")
        if command.check is check_losses or name == "backbone":
            dtypes = ["float32", "bfloat16", "float16"]
            sub.add_argument("--dtype", choices=dtypes, default="float32")
            sub.add_argument(
                "--compile", action="store_true", help="compile the network in all rows"
            )
    add_arguments(subparsers.add_parser("all"))
    sub = subparsers.choices["loader"]
    sub.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="a row each")
    sub.add_argument("--files", nargs="*", choices=KINDS, metavar="KIND",
                     help="made-up files of these kinds, or of all, by one process")  # fmt: skip
    sub = subparsers.choices["backbone"]
    sub.add_argument("--arch", default="base", help="tiny, small or base")
    sub.add_argument("--image-size", type=int, nargs=2, default=(1024, 1024), metavar=("H", "W"))
    sub.add_argument("--window-size", type=int, default=14, help="patches a side of a window")
    sub.add_argument("--rel-pos", action="store_true", help="with relative positions")
    sub = subparsers.choices["export"]
    sub.add_argument("--image-size", type=int, nargs=2, default=(480, 640), metavar=("H", "W"))
    args = parser.parse_args()
    args.device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if args.command == "loader":
        args.only = [f"{number} workers" for number in args.workers]
        if args.files is not None:
            args.only = args.files or list(KINDS)
            if args.data:
                parser.error("--files are made up: without --data")
    elif args.command != "all" and getattr(args, "workers", 0) and len(args.only) > 1:
        parser.error("--workers go on while other rows have their turn: name one row by --only")
    return parser, args


def memory_of(args: argparse.Namespace) -> dict[str, float | None]:
    """MiB of a turn of each row; None where the GPU has too little."""
    memory = {}
    for name in args.only:
        try:
            memory[name] = peak_mib(COMMANDS[args.command].build(name, args), args.device)
        except torch.cuda.OutOfMemoryError:
            memory[name] = None
    return memory


def measure(args: argparse.Namespace) -> tuple[dict, dict]:
    """Seconds of each row and part; MiB of each row, but for loaders and masking."""
    command = COMMANDS[args.command]
    with tempfile.TemporaryDirectory() as folder:
        if command.config and not args.data:
            args.made_up = made_up(args.config, Path(folder))
        memory = apart(memory_of, args) if "dtype" in args else {}
        names = [name for name in args.only if memory.get(name, 0.0) is not None]
        turns = {name: command.build(name, args) for name in names}
        compared = {name: turns[name] for name in command.rows[:2] if name in turns}
        if command.check and len(compared) == 2:
            command.check(compared, args)
        return median_seconds(turns, args.rounds, args.device), memory


def main() -> None:
    parser, args = parse_args()
    if args.command == "all":
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(report(args, training_step))
        print(f"\n{args.out.read_text()}")
        return
    with explained(parser):
        seconds, memory = measure(args)
    machine = f"CPU, {torch.get_num_threads()} threads"
    if args.device == "cuda":
        machine = torch.cuda.get_device_name()
    items = args.batch_size * (BATCHES if args.command == "loader" else 1)
    print(f"\n{shlex.join(['python', *sys.argv])}\n{machine}; torch {torch.__version__}; "
          f"batch {args.batch_size}; median of {args.rounds} rounds\n\n"
          f"{table(seconds, memory, items, COMMANDS[args.command].unit)}")  # fmt: skip
    if args.json:
        figures = dict(where=machine, arguments={k: str(v) for k, v in vars(args).items()},
                       seconds=seconds, step_mib=memory)  # fmt: skip
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
