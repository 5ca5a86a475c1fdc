"""Train from a config: of mmspec, mmpretrain, mmdet or mmseg, on one GPU, several, or a CPU."""

import argparse
import os
from pathlib import Path

from mmspec.explain import add_cfg_options, command_to_resume, explained


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG", help="config file")
    parser.add_argument("--work-dir", help="for logs and checkpoints (work_dirs/CONFIG)")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from a checkpoint; without a value from the newest in the work directory; "
        "`if-any`: from that one, or start where there is none",
    )
    length = parser.add_mutually_exclusive_group()
    for unit in ("epochs", "iters"):
        length.add_argument(
            f"--{unit}",
            type=int,
            metavar="N",
            help=f"train for N {unit}: warm-up and decay are scaled from the config's number",
        )
    parser.add_argument(
        "--amp", action="store_true", help="mixed precision, bfloat16 where the GPU has it"
    )
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate to the real batch size, by the config's auto_scale_lr",
    )
    add_cfg_options(parser, 'randomness.seed=5 or key="[a,b]"')
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # What `mim train` gives: --gpus N, or --device cpu for none.
    parser.add_argument(
        "--gpus", type=int, default=1, help="0: the CPU, even if there is a GPU (as --device cpu)"
    )
    parser.add_argument("--device", choices=["cpu"], help=argparse.SUPPRESS)
    # What torch.distributed.launch gives; the environment says the same.
    parser.add_argument("--local-rank", "--local_rank", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.gpus > 1 and args.launcher == "none":
        parser.error(f"--gpus {args.gpus} needs --launcher pytorch, or tools/dist_train.sh")
    return parser, args


def main() -> None:
    parser, args = parse_args()
    if args.device == "cpu" or args.gpus == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # before torch looks for GPUs

    with explained(parser):
        # Late: `mim train` asks for --help first, and CUDA_VISIBLE_DEVICES must be set by now.
        from mmspec.engine.config_faults import naming_faults
        from mmspec.engine.launch import LaunchError, build_runner, leave_process_group, read_config
        from mmspec.engine.schedule import drop_short_phases, set_length

        cfg = read_config(args.config, args.cfg_options)
        if cfg.get("train_dataloader") is None:
            raise LaunchError(f"{args.config} has no train_dataloader: there is nothing to train")
        cfg.launcher = args.launcher
        usual = str(Path("work_dirs") / Path(args.config).stem)
        cfg.work_dir = args.work_dir or cfg.get("work_dir") or usual
        if args.amp:
            cfg.optim_wrapper.type = "mmspec.AmpOptimWrapper"
        if args.auto_scale_lr:
            if "base_batch_size" not in (cfg.get("auto_scale_lr") or {}):
                raise LaunchError(
                    f"--auto-scale-lr: {args.config} has no auto_scale_lr = dict(base_batch_size=N)"
                )
            cfg.auto_scale_lr.enable = True
        if args.epochs is not None:
            set_length(cfg, epochs=args.epochs)
        if args.iters is not None:
            set_length(cfg, iters=args.iters)
        if args.resume:
            if args.resume == "auto" and not Path(cfg.work_dir).is_dir():
                raise LaunchError(f"--resume: no folder {cfg.work_dir}")
            cfg.resume = True
            if args.resume == "if-any":
                cfg.resume = args.resume  # for ResumeHook
            elif args.resume != "auto" and not Path(args.resume).is_file():
                raise LaunchError(f"--resume: no checkpoint {args.resume}")
            else:
                cfg.load_from = None if args.resume == "auto" else args.resume

        # In this order: a Ctrl-C that is pending when the end of another process raises an error
        # comes up as the inner one ends, and the outer one tells how to go on.
        with explained(parser, lambda: command_to_resume(cfg.work_dir)), naming_faults(cfg):
            runner = build_runner(cfg)
            if len(runner.train_loop.dataloader) == 0:
                raise LaunchError(
                    "the training set has fewer images than a batch; lower batch_size"
                )
            drop_short_phases(runner)
            runner.train()
        leave_process_group()


if __name__ == "__main__":
    main()
