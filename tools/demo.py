#!/usr/bin/env python
"""Pre-train a tiny InfMAE in minutes, fine-tune the shipped one. `make demo` runs this.

    python tools/demo.py                      # procedurally made thermal scenes
    python tools/demo.py --data my/images     # pre-training alone, on your infrared images

Leaves loss_curve.png, masks.png, reconstructions.png and the checkpoint in the output folder; of
scenes, whose labels are known, segmentation.png too, by the encoder "tiny" that comes with mmspec
(WEIGHTS.md) and a head on it.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from loss_curve import save_loss_curve
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from PIL import Image

from mmspec import Predictor  # before mmcv looks for its operators
from mmspec.datasets import UnreadableImageError
from mmspec.datasets.files import find_images
from mmspec.datasets.repeatable import evenly_spaced, isolated_random
from mmspec.datasets.scenes import CLASSES
from mmspec.engine.launch import build_runner, read_config
from mmspec.engine.schedule import drop_short_phases, set_length
from mmspec.visualization.reconstruction import mask_sheet, reconstruction_sheet
from mmspec.visualization.segmentation import segmentation_picture

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
CONFIG = CONFIGS / "pretrain" / "infmae_convvit-tiny-p16_1xb16-coslr_demo.py"
SEGMENTATION = CONFIGS / "seg" / "mmspec_convvit-tiny_upernet_1xb4-1k_synthetic-128x128.py"
ITERATIONS = 300
PICTURES = 6


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("demo_out"), help="folder for the results")
    parser.add_argument("--data", type=Path, help="folder of infrared images instead of scenes")
    parser.add_argument("--epochs", type=int, help="of pre-training, instead of the config's")
    parser.add_argument(
        "--iters", type=int, default=ITERATIONS, help="of fine-tuning, default %(default)s"
    )
    return parser.parse_args()


def make_config(args: argparse.Namespace) -> Config:
    cfg = read_config(str(CONFIG))
    cfg.launcher = "none"
    cfg.work_dir = str(args.out / "run")
    cfg.log_level = "WARNING"  # the progress bar tells enough
    if args.data is not None:
        cfg.train_dataloader.dataset = dict(
            type="mmspec.InfraredFolder", data_root=str(args.data), pipeline=cfg.train_pipeline
        )
        images = len(find_images(str(args.data)))
        if images < cfg.batch_size:
            sys.exit(f"{args.data}: {images} images, fewer than a batch of {cfg.batch_size}")
        # As many iterations as on the scenes: an evenly spaced part of a large folder, a small one
        # several times.
        wanted = cfg.max_epochs * cfg.num_scenes
        if images > wanted:
            cfg.train_dataloader.dataset.indices = (
                np.linspace(0, images - 1, wanted).astype(int).tolist()
            )
        args.epochs = args.epochs or max(1, round(wanted / images))
    if args.epochs is not None:
        cfg.param_scheduler[1].end = cfg.train_cfg.max_epochs = args.epochs
        cfg.default_hooks.checkpoint.interval = args.epochs
    return cfg


def pictures(runner: Runner, cfg: Config, out: Path) -> None:
    """Masks and reconstructions: of scenes that training never saw, or of your images."""
    dataset_cfg = cfg.train_dataloader.dataset.copy()
    if dataset_cfg.type == "mmspec.SyntheticInfrared":
        dataset_cfg.update(seed=dataset_cfg.seed + 1, length=PICTURES)
    dataset = DATASETS.build(dataset_cfg)
    indices = evenly_spaced(range(len(dataset)), PICTURES)
    with isolated_random(0):
        batch = runner.train_dataloader.collate_fn([dataset[i] for i in indices])
    grays = [image[0].numpy() for image in batch["inputs"]]
    Image.fromarray(mask_sheet(grays[:4])).save(out / "masks.png")
    runner.model.eval()
    result = runner.model.reconstruct(**runner.model.data_preprocessor(batch, False))
    Image.fromarray(reconstruction_sheet(result)).save(out / "reconstructions.png")
    save_loss_curve(runner.work_dir, out / "loss_curve.png")


def segment(args: argparse.Namespace) -> None:
    """Fine-tune the shipped encoder on scenes with labels; show others beside the truth."""
    cfg = read_config(str(SEGMENTATION))
    set_length(cfg, iters=args.iters)
    cfg.launcher, cfg.work_dir, cfg.log_level = "none", str(args.out / "segmentation"), "WARNING"
    cfg.custom_hooks = [*cfg.get("custom_hooks", []), dict(type="mmspec.ProgressBarHook")]
    runner = build_runner(cfg)
    drop_short_phases(runner)
    runner.train()
    predictor = Predictor(cfg, args.out / "segmentation" / f"iter_{args.iters}.pth")
    unseen = dict(cfg.test_dataloader.dataset, seed=2, length=PICTURES, pipeline=[])
    rows = []
    for scene in (DATASETS.build(unseen)[i] for i in range(PICTURES)):
        (prediction,) = predictor.predict(scene["img"])
        labels = prediction.sample.pred_sem_seg.data[0].cpu().numpy()
        columns = {"input": scene["img"]}
        truth = scene["gt_seg_map"]
        rows.append(segmentation_picture(columns, labels, truth, CLASSES, steady=True))
    Image.fromarray(np.concatenate(rows)).save(args.out / "segmentation.png")


def main() -> None:
    args = parse_args()
    start = time.perf_counter()
    warnings.simplefilter("ignore")
    try:
        cfg = make_config(args)
        runner = build_runner(cfg)
        print(
            f"InfMAE, arch tiny, {sum(p.numel() for p in runner.model.parameters()) / 1e6:.1f} M "
            f"parameters, on {args.data or 'procedurally made thermal scenes'}: "
            f"{cfg.train_cfg.max_epochs} epochs"
        )
        runner.train()
    except (FileNotFoundError, UnreadableImageError) as error:
        sys.exit(str(error))
    pictures(runner, cfg, args.out)
    names = ["loss_curve.png", "masks.png", "reconstructions.png"]
    if args.data is None:
        print(f"\nThe shipped encoder, a head on it, labelled scenes: {args.iters} iterations")
        segment(args)
        names.append("segmentation.png")
    print(f"\n{(time.perf_counter() - start) / 60:.1f} minutes. Look at:")
    for name in names:
        print(f"  {args.out / name}")
    checkpoint = args.out / "run" / f"epoch_{cfg.train_cfg.max_epochs}.pth"
    print(f"The encoder: mmspec.load_encoder('{checkpoint}')")


if __name__ == "__main__":
    main()
