"""Predict with a trained model on images, folders, recordings or pairs; see docs/predict.md."""

import argparse
import sys
from pathlib import Path

from mmspec.explain import add_cfg_options, explained


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG", help="config file")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="checkpoint of its training")
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="image, video, TIFF of several pages, folder (with subfolders) or quoted glob",
    )
    parser.add_argument(
        "--visible",
        metavar="PATH",
        nargs="+",
        default=[],
        help="for models of pairs: the visible image (folder, video) of each INPUT",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="DIR may hold earlier results")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="images at once")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (a GPU if there is one)")
    parser.add_argument(
        "--score-thr",
        type=float,
        metavar="P",
        help="below it nothing is drawn or written (boxes: 0.3, small targets: 0.5)",
    )
    parser.add_argument(
        "--tile",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="cut large images into tiles of so many pixels and merge what is found",
    )
    parser.add_argument(
        "--overlap", type=int, default=64, metavar="N", help="pixels that tiles share (64)"
    )
    parser.add_argument("--features", action="store_true", help="the encoder's maps instead")
    parser.add_argument("--probabilities", action="store_true", help="arrays of them too (.npz)")
    parser.add_argument("--no-pictures", action="store_true", help="data alone")
    add_cfg_options(parser)
    args = parser.parse_args()
    if args.visible and len(args.visible) != len(args.inputs):
        parser.error(f"--visible: {len(args.visible)} for {len(args.inputs)} INPUTs; one each")
    for folder in (*args.inputs, *args.visible):
        if Path(args.out).resolve().is_relative_to(Path(folder).resolve()):
            parser.error(f"--out {args.out} lies in {folder}: its pictures would be inputs too")
    if seconds := [path for path in args.inputs if path.endswith((".pth", ".onnx", ".pt2"))]:
        parser.error(f"{args.checkpoint} and {seconds[0]}: two checkpoints; name one")
    if args.batch_size < 1:
        parser.error(f"--batch-size {args.batch_size}: at least 1")
    return parser, args


def main() -> None:
    parser, args = parse_args()

    with explained(parser):
        # Late, so that --help is quick.
        import torch
        from tqdm import tqdm

        from mmspec.apis import Predictor, ResultFolder

        torch.manual_seed(0)  # masks that a model draws
        predictor = Predictor(
            args.config,
            args.checkpoint,
            args.device,
            task="features" if args.features else None,
            options=args.cfg_options,
        )
        inputs = list(zip(args.inputs, args.visible)) if args.visible else args.inputs
        broken = _Told(tqdm)
        predictions = predictor.predict(
            inputs,
            args.batch_size,
            score=args.score_thr,
            tile=args.tile,
            overlap=args.overlap,
            broken=broken,
            progress=True,
        )
        images, frames = 0, 0
        with ResultFolder(
            args.out, not args.no_pictures, args.probabilities, args.overwrite
        ) as results:
            for prediction in predictions:
                results.write(prediction)
                images += not prediction.frame.recording
                frames += bool(prediction.frame.recording)
    recorded = f" and {frames:,} frames of recordings" if frames else ""
    print(f"{images:,} images{recorded} in {args.out}")
    if broken:
        sys.exit(f"{len(broken):,} could not be read, see above, and have no result")


class _Told(list):
    """Faults, each told when it is found: a run may take hours."""

    def __init__(self, bar) -> None:
        super().__init__()
        self.bar = bar

    def append(self, fault) -> None:
        super().append(fault)
        self.bar.write(f"left out: {fault.path}: {fault.reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
