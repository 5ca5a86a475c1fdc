"""Test a checkpoint with its config: of mmspec, mmpretrain, mmdet or mmseg, on GPUs or a CPU."""

import argparse
from pathlib import Path

from mmspec.explain import add_cfg_options, explained


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG", help="config file")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="checkpoint file")
    parser.add_argument("--work-dir", help="for logs (work_dirs/CONFIG)")
    parser.add_argument("--out", help="file for the metrics (.json) or the predictions (.pkl)")
    parser.add_argument("--show-dir", help="folder for pictures of the predictions")
    parser.add_argument(
        "--tta",
        nargs="*",
        type=float,
        metavar="SCALE",
        help="segmentation and small targets: the mean score of the image and its mirror images,"
        " and of these at further scales, such as --tta 1.5",
    )
    add_cfg_options(parser, "test_dataloader.batch_size=1")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # What torch.distributed.launch gives; the environment says the same.
    parser.add_argument("--local-rank", "--local_rank", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.out and not args.out.endswith((".json", ".pkl")):
        parser.error(f"--out {args.out}: .json holds the metrics, .pkl the predictions")
    return parser, args


def dump_predictions(cfg, path: str):
    """What writes the predictions; of mmdet's masks the run lengths, not the pixels."""
    if cfg.get("default_scope") == "mmdet":
        from mmdet.evaluation import DumpDetResults

        return DumpDetResults(out_file_path=path)
    from mmengine.evaluator import DumpResults

    return DumpResults(out_file_path=path)


def main() -> None:
    parser, args = parse_args()

    with explained(parser):
        # Late, so that --help is quick.
        from mmengine import dump

        from mmspec.engine.config_faults import naming_faults
        from mmspec.engine.launch import (
            LaunchError,
            augment_tests,
            build_runner,
            draw_to,
            leave_process_group,
            read_config,
        )

        cfg = read_config(args.config, args.cfg_options)
        if cfg.get("test_dataloader") is None:
            raise LaunchError(f"{args.config} has no test_dataloader: there is nothing to test")
        if not Path(args.checkpoint).is_file():
            raise LaunchError(f"no checkpoint {args.checkpoint}")
        if args.checkpoint.endswith((".onnx", ".pt2")):
            raise LaunchError(
                f"{args.checkpoint} is an export, which tools/predict.py runs: test the checkpoint"
                " it was made of"
            )
        cfg.launcher = args.launcher
        cfg.load_from = args.checkpoint
        cfg.resume = False
        usual = str(Path("work_dirs") / Path(args.config).stem)
        cfg.work_dir = args.work_dir or cfg.get("work_dir") or usual
        if args.show_dir:
            draw_to(cfg, args.show_dir)

        if args.tta is not None:
            augment_tests(cfg, args.tta)
        with naming_faults(cfg):
            runner = build_runner(cfg)
            if args.out and args.out.endswith(".pkl"):
                runner.test_evaluator.metrics.append(dump_predictions(cfg, args.out))
            metrics = runner.test()
        if args.out and args.out.endswith(".json") and runner.rank == 0:
            # JSON has no NaN, which metrics are where nothing was labelled.
            dump(
                {name: None if value != value else value for name, value in metrics.items()},
                args.out,
            )
        leave_process_group()


if __name__ == "__main__":
    main()
