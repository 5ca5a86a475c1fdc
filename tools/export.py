"""Write a trained model as ONNX or as a program of torch.export, and check it against the model."""

import argparse

from mmspec.explain import add_cfg_options, explained


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG", help="config file")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="checkpoint of its training")
    help_ = ".onnx, or .pt2 for torch"
    parser.add_argument("--out", dest="path", required=True, metavar="FILE", help=help_)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="of the images; by default what the test pipeline makes of the first of --images",
    )
    size.add_argument("--dynamic", action="store_true", help="for images of any size")
    parser.add_argument("--half", action="store_true", help="the network in float16")
    parser.add_argument("--encoder", action="store_true", help="the maps of the encoder alone")
    parser.add_argument(
        "--raw", action="store_true", help="of single-stage detectors: no boxes, no suppression"
    )
    parser.add_argument(
        "--images",
        nargs="+",
        metavar="PATH",
        help="at least two, on which both models run; by default the first two of the test data",
    )
    parser.add_argument(
        "--visible", nargs="+", metavar="PATH", help="for models of pairs: those of --images"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="largest difference as a share of an output's largest value (1e-3; --half 3e-2)",
    )
    add_cfg_options(parser, "model.test_cfg.mode=whole", "options")
    return parser, parser.parse_args()


def main() -> None:
    parser, args = parse_args()

    with explained(parser):
        # Late, so that --help is quick.
        from mmspec.apis.export import export_checkpoint

        report = export_checkpoint(**vars(args))
    print(f"{args.path}: {report.program}, {report.size / 2**20:.1f} MiB")
    shapes = ", ".join(f"{height} x {width}" for height, width in report.shapes)
    print(f"compared with the model on images of {shapes}; largest difference of each output,")
    print(f"as a share of its largest value (allowed: {report.tolerance:g}):")
    for name, value in report.differences.items():
        print(f"  {name}: {value:.2g}")


if __name__ == "__main__":
    main()
