"""Judge the frozen features of encoders on a labelled data set; see docs/probe.md.

    python tools/probe.py work_dirs/tiny/epoch_20.pth --data EyeDataset data/eye \\
        --compare random pixels

    python tools/probe.py tiny --data InfraredSegDataset data/mine --options ann_file= \\
        "metainfo.classes=('background','leak')" label_values.0=0 label_values.255=1
    python tools/probe.py work_dirs/tiny/epoch_20.pth --task points --data SIRSTv2Dataset data/sirst
    python tools/probe.py work_dirs/tiny/epoch_20.pth --task cls --data CustomDataset data/kinds
    python tools/probe.py work_dirs/tiny/epoch_20.pth --task match \\
        --data RoadSceneMatchingDataset data/roadscene

ENCODER is a checkpoint, the name of an encoder that mmspec ships, 'random' (weights as they start:
of --arch, or of the first ENCODER's architecture), 'pixels' or 'positions'. Results go to DIR:
table.md, results.json (with this command) and, of labels of pixels, picture.png.
"""

import argparse
import shlex
import sys
from pathlib import Path


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    from mmengine.config import Config

    from mmspec.explain import KeyValueAction

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("encoder", metavar="ENCODER")
    parser.add_argument(
        "--data", nargs=2, required=True, metavar=("NAME", "ROOT"), help="data set class and folder"
    )
    parser.add_argument(
        "--compare", nargs="+", default=[], metavar="ENCODER", help="others, judged in the same way"
    )
    parser.add_argument(
        "--task", default="seg", help="seg (labels of pixels; default), cls, points or match"
    )
    parser.add_argument(
        "--arch", help="of random weights: tiny, small, base; default: that of ENCODER, else tiny"
    )
    parser.add_argument("--maps", nargs="+", metavar="MAP", help="F1 F3, say; default: all")
    parser.add_argument(
        "--out", default="work_dirs/probe", metavar="DIR", help="default %(default)s"
    )
    parser.add_argument(
        "--size",
        type=int,
        help="pixels a side (224), of crops (points: 128), wide (match: 256)",
    )
    parser.add_argument("--num-images", type=int, metavar="N", help="at most so many of a split")
    parser.add_argument("--splits", nargs=2, default=("train", "test"), metavar=("LEARN", "TEST"))
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="results each (3)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="SEED", help="of these (0)")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[1.0], help="of the labelled images (1)"
    )
    parser.add_argument(
        "--options",
        nargs="+",
        action=KeyValueAction,
        default={},
        metavar="KEY=VALUE",
        help="other arguments of the data set class",
    )
    parser.add_argument("--judges", nargs="+", help="neighbours, linear, attentive; default: all")
    parser.add_argument("--not-rolled", action="store_true", help="with positions alone")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    options = Config()
    options.merge_from_dict(args.options)
    args.options = options.to_dict()
    return parser, args


def main() -> None:
    parser, args = parse_args()

    from mmspec.explain import explained

    with explained(parser):
        from PIL import Image

        from mmspec.probing import FrozenEncoder, LabelledImages, probe
        from mmspec.probing.encoders import WITHOUT_WEIGHTS
        from mmspec.probing.features import compute_features
        from mmspec.probing.picture import probe_picture
        from mmspec.probing.report import save_report

        file = None if args.encoder in WITHOUT_WEIGHTS else args.encoder
        records = []
        for encoder in (args.encoder, *args.compare):
            print(f"{encoder} ...", file=sys.stderr, flush=True)
            records += probe(
                encoder,
                *args.data,
                args.task,
                arch=args.arch or (file if encoder == "random" else None),
                maps=args.maps if encoder == args.encoder else None,
                out=args.out,
                size=args.size,
                splits=tuple(args.splits),
                num_images=args.num_images,
                seeds=range(args.first_seed, args.first_seed + args.seeds),
                shares=args.shares,
                judges=args.judges,
                rolled=False if args.not_rolled else None,
                device=args.device,
                **args.options,
            )
        command = shlex.join(["python", *sys.argv])
        print(save_report(records, Path(args.out), command))
        print(f"results in {args.out}", file=sys.stderr)
        if args.task != "seg":
            return
        encoder = FrozenEncoder(args.encoder, args.arch, args.first_seed, args.maps)
        learn, test = (
            LabelledImages(*args.data, split, args.size or 224, args.num_images, **args.options)
            for split in args.splits
        )
        known, asked = (
            compute_features(encoder, images, Path(args.out) / "features", device=args.device)
            for images in (learn, test)
        )
        Image.fromarray(probe_picture(known, asked, test)).save(Path(args.out) / "picture.png")


if __name__ == "__main__":
    main()
