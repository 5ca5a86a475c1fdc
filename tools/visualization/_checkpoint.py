"""From a command line to a picture of a pre-trained model and images."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

from mmspec import read_checkpoint
from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.datasets import UnreadableImageError
from mmspec.engine.launch import LaunchError, read_config
from mmspec.models.selfsup import InfMAE, MSpecGene

IMAGES = {MSpecGene: "INFRARED VISIBLE, an aligned pair", InfMAE: "one infrared image"}


def write_picture(
    doc: str, parts: Sequence[str], picture: Callable[[InfMAE | MSpecGene, dict], np.ndarray]
) -> None:
    """What a tool of this folder does.

    Args:
        doc: its description.
        parts: of the model that the checkpoint must hold, 'backbone.' for instance.
        picture: makes (H, W, 3) uint8 from the model in evaluation mode and a batch of one, as the
            config's test pipeline gives it.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path)
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="INFRARED VISIBLE for M-SpecGene, one for InfMAE"
    )
    parser.add_argument(
        "--config", type=Path, help="the run's config; default: the one in the checkpoint's folder"
    )
    parser.add_argument("--out", type=Path, required=True, help="the picture to write (.png)")
    args = parser.parse_args()
    torch.manual_seed(0)  # random masks
    try:
        sheet = picture(*_load(args, tuple(parts)))
        Image.fromarray(sheet).save(args.out)
    except (CheckpointError, FileNotFoundError, LaunchError, UnreadableImageError) as error:
        sys.exit(str(error))
    print(args.out)


def _load(args: argparse.Namespace, parts: tuple[str, ...]) -> tuple[InfMAE | MSpecGene, dict]:
    if args.out.suffix != ".png":
        raise LaunchError(f"--out {args.out}: the name must end in .png")
    state, _ = read_checkpoint(args.checkpoint)
    cfg = read_config(str(args.config or _config_beside(args.checkpoint)))
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    kind = next((kind for kind in IMAGES if isinstance(model, kind)), None)
    if kind is None:
        raise LaunchError(
            f"{cfg.filename} trains a {type(model).__name__}; this tool shows "
            f"{' and '.join(kind.__name__ for kind in IMAGES)}"
        )
    if len(args.images) != (2 if kind is MSpecGene else 1):
        raise LaunchError(f"{len(args.images)} images given; {kind.__name__} takes {IMAGES[kind]}")
    own = model.state_dict()
    absent = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
    if misfits := [name for name in absent if name.startswith(parts)]:
        raise LaunchError(
            f"{args.checkpoint} is not of the model in {cfg.filename}: {len(misfits)} tensors are "
            f"not in it in the same shape, such as {misfits[0]}; name its own config by --config"
        )
    model.load_state_dict({k: state[k] for k in own if k not in absent}, strict=False)
    if unset := [name for name in absent if name.startswith("masker.")]:
        print(f"not in {args.checkpoint}, masks as before any training: {', '.join(unset)}")
    return model.eval(), _batch(cfg, args.images)


def _config_beside(checkpoint: Path) -> Path:
    found = sorted(checkpoint.parent.glob("*.py"))
    if len(found) != 1:
        raise LaunchError(
            f"{len(found)} configs in {checkpoint.absolute().parent}, the folder of the "
            f"checkpoint{', ' * bool(found)}{', '.join(path.name for path in found)}; name the "
            "one of its run by --config"
        )
    return found[0]


def _batch(cfg: Config, images: Sequence[str]) -> dict:
    sample = dict(img_path=images[0])
    if len(images) == 2:
        sample.update(infrared_path=images[0], visible_path=images[1], modality="both")
    return default_collate([Compose(cfg.test_dataloader.dataset.pipeline)(sample)])
