#!/usr/bin/env python
"""Convert a checkpoint of any known layout to mmspec's names, as plain tensors.

    python tools/model_converters/convert.py InfMAE.pth infmae.safetensors --encoder-only
    python tools/model_converters/convert.py M-SpecGene.pth vitdet.pth --layout vitdet
    python tools/model_converters/convert.py tiny convmae.pth --layout convmae

Reads InfMAE, ConvMAE / MCMAE and M-SpecGene as published, facebookresearch/mae, timm and mmpretrain
ViTs, mmspec's own training checkpoints, and the encoders that it ships by their names. Writes
``.safetensors``, or ``.pth`` with nothing but tensors and text. Nothing in the source file is
executed.

To make an encoder that others can load without its config, in half of the bytes:

    python tools/model_converters/convert.py work_dirs/mine/epoch_20.pth mine.safetensors \\
        --encoder-only --float16 --config configs/pretrain/mine.py --note licence=CC-BY-4.0
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import torch
from exporting import TARGETS, export_encoder
from safetensors.torch import save_file
from torch import Tensor

from mmspec import __version__, load_encoder, read_checkpoint
from mmspec.checkpoints.layouts import UNKNOWN
from mmspec.checkpoints.loading import architecture
from mmspec.checkpoints.reader import CheckpointInfo
from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.engine.launch import read_config
from mmspec.models.backbones import ConvViT


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="checkpoint to read")
    parser.add_argument("target", type=Path, help="file to write: .safetensors or .pth")
    parser.add_argument("--encoder-only", action="store_true", help="leave out decoder and masker")
    parser.add_argument(
        "--layout",
        choices=("mmspec", *TARGETS),
        default="mmspec",
        help="names to write: mmspec's (default), or the encoder alone, a ViT under those of ViTDet"
        " (blocks.0.norm1, under 'model') or of mmseg's MAE (layers.0.ln1, under 'state_dict'), a "
        "ConvViT under those of ConvMAE and InfMAE (blocks1.0.norm1, under 'model')",
    )
    parser.add_argument("--float16", action="store_true", help="round the weights to 16 bits")
    parser.add_argument(
        "--config",
        help="of the pre-training: the file then tells its name, the normalisation of images and "
        "the architecture, and must hold the whole encoder",
    )
    parser.add_argument(
        "--note",
        nargs="+",
        default=[],
        metavar="KEY=TEXT",
        help="what else the file is to tell: its licence, say",
    )
    return parser.parse_args()


def _select(
    state: dict[str, Tensor], info: CheckpointInfo, args: argparse.Namespace
) -> tuple[str, dict[str, Tensor], dict[str, str]]:
    """Key of the file for the tensors, those to write, and why the others are left out."""
    if args.layout != "mmspec":
        return export_encoder(state, args.layout, info.pretrain_grid or 14)
    if not args.encoder_only:
        return "state_dict", state, {}
    left_out = {k: "not part of the encoder" for k in state if not k.startswith("backbone.")}
    return "state_dict", {k: v for k, v in state.items() if k not in left_out}, left_out


def _header(info: CheckpointInfo, args: argparse.Namespace) -> dict[str, str]:
    """What the file tells beside its tensors."""
    told = {**info.header, "mmspec_version": __version__, "source": Path(info.path).name}
    if info.img_size is not None:
        told["img_size"] = json.dumps(info.img_size)
    if args.config:
        cfg = read_config(args.config)
        sizes = ("arch", "pretrain_grid", "img_size")
        sizes = {key: cfg.model.backbone[key] for key in sizes if key in cfg.model.backbone}
        backbone, _ = load_encoder(args.source, **sizes)
        told["recipe"] = Path(args.config).stem
        told |= {
            key: json.dumps(value)
            for key, value in cfg.model.data_preprocessor.items()
            if key.startswith(("mean", "std"))  # of pairs one of each side
        }
        if (arch := architecture(backbone)) is not None:
            told["arch"] = json.dumps(arch)
        if isinstance(backbone, ConvViT):
            told["pretrain_grid"] = str(backbone.pretrain_grid)
    for note in args.note:
        key, _, text = note.partition("=")
        if not key or not text:
            raise CheckpointError(f"--note {note}: KEY=TEXT")
        if key in ("arch", "pretrain_grid", "img_size"):
            raise CheckpointError(f"--note {note}: readers take {key} for settings; --config tells")
        told[key] = text
    return told


def _halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Floating-point tensors as float16."""
    halved = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    for name, value in halved.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(f"{name}: values that float16 cannot hold; leave out --float16")
    return halved


def main() -> None:
    args = parse_args()
    if args.target.suffix not in (".safetensors", ".pth"):
        sys.exit(f"{args.target}: the name must end in .safetensors or .pth")
    if args.layout != "mmspec" and args.target.suffix != ".pth":
        sys.exit(f"{args.target}: {args.layout} reads .pth files")
    if args.layout != "mmspec" and args.float16:
        sys.exit(f"--float16: {args.layout} wants 32 bits")
    try:
        state, info = read_checkpoint(args.source)
        unknown = [name for name, why in info.ignored.items() if why == UNKNOWN]
        if unknown:
            sys.exit(f"{args.source}: {unknown[0]} and {len(unknown) - 1} more: {UNKNOWN}")
        meta = {"format": "pt", **_header(info, args)}
        key, state, not_encoder = _select(state, info, args)
        state = _halved(state) if args.float16 else state
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    left_out = info.ignored | not_encoder
    state = {k: v.contiguous() for k, v in state.items()}
    # Through another file: the tensors are mapped from the source, which may be the target.
    args.target.parent.mkdir(parents=True, exist_ok=True)
    part = args.target.with_name(f"{args.target.name}.part")
    if args.target.suffix == ".safetensors":
        save_file(state, part, metadata=meta)
    else:
        torch.save({key: state, "meta": meta}, part)
    part.replace(args.target)
    print(f"{info.path}: {info.layout}")
    print(f"{args.target}: {len(state)} tensors, {sum(v.numel() for v in state.values()):,} values")
    digest = hashlib.sha256(args.target.read_bytes()).hexdigest()
    print(f"{args.target.stat().st_size:,} bytes, SHA-256 {digest}")
    for name, why in left_out.items():
        print(f"left out: {name} ({why})")


if __name__ == "__main__":
    main()
