#!/usr/bin/env python
"""Convert a checkpoint of any known layout to mmspec's names, as plain tensors.

    python tools/model_converters/convert.py InfMAE.pth infmae.safetensors --encoder-only
    python tools/model_converters/convert.py M-SpecGene.pth vitdet.pth --layout vitdet

Reads InfMAE, ConvMAE / MCMAE and M-SpecGene as published, facebookresearch/mae, timm and mmpretrain
ViTs, and mmspec's own training checkpoints. Writes ``.safetensors``, or ``.pth`` with nothing but
tensors and text. Nothing in the source file is executed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from exporting import TARGETS, export_encoder
from safetensors.torch import save_file
from torch import Tensor

from mmspec import __version__, read_checkpoint
from mmspec.checkpoints.layouts import UNKNOWN


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="checkpoint to read")
    parser.add_argument("target", type=Path, help="file to write: .safetensors or .pth")
    parser.add_argument("--encoder-only", action="store_true", help="leave out decoder and masker")
    parser.add_argument(
        "--layout",
        choices=("mmspec", *TARGETS),
        default="mmspec",
        help="names to write: mmspec's (default), or a ViT's encoder alone under those of ViTDet "
        "(blocks.0.norm1, under 'model') or of mmseg's MAE (layers.0.ln1, under 'state_dict')",
    )
    return parser.parse_args()


def _select(
    state: dict[str, Tensor], args: argparse.Namespace
) -> tuple[str, dict[str, Tensor], dict[str, str]]:
    """Key of the file for the tensors, those to write, and why the others are left out."""
    if args.layout != "mmspec":
        return export_encoder(state, args.layout)
    if not args.encoder_only:
        return "state_dict", state, {}
    left_out = {k: "not part of the encoder" for k in state if not k.startswith("backbone.")}
    return "state_dict", {k: v for k, v in state.items() if k not in left_out}, left_out


def main() -> None:
    args = parse_args()
    if args.target.suffix not in (".safetensors", ".pth"):
        sys.exit(f"{args.target}: the name must end in .safetensors or .pth")
    if args.layout != "mmspec" and args.target.suffix != ".pth":
        sys.exit(f"{args.target}: {args.layout} reads .pth files")
    try:
        state, info = read_checkpoint(args.source)
        unknown = [name for name, why in info.ignored.items() if why == UNKNOWN]
        if unknown:
            sys.exit(f"{args.source}: {unknown[0]} and {len(unknown) - 1} more: {UNKNOWN}")
        key, state, not_encoder = _select(state, args)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    left_out = info.ignored | not_encoder
    state = {k: v.contiguous() for k, v in state.items()}
    meta = {"format": "pt", "mmspec_version": __version__, "source": args.source.name}
    # Through another file: the tensors are mapped from the source, which may be the target.
    part = args.target.with_name(f"{args.target.name}.part")
    if args.target.suffix == ".safetensors":
        save_file(state, part, metadata=meta)
    else:
        torch.save({key: state, "meta": meta}, part)
    part.replace(args.target)
    print(f"{args.source}: {info.layout}")
    print(f"{args.target}: {len(state)} tensors, {sum(v.numel() for v in state.values()):,} values")
    for name, why in left_out.items():
        print(f"left out: {name} ({why})")


if __name__ == "__main__":
    main()
