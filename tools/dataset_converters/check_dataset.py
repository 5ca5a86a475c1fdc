#!/usr/bin/env python
"""Read a data set from end to end: what it holds, what is wrong with it, and what it looks like."""

import argparse
import inspect
import os
import sys
from pathlib import Path

import numpy as np
from checks import Check
from checks.detection import DetectionCheck
from checks.faults import fault_lines
from checks.folders import FolderCheck
from checks.segmentation import SegmentationCheck
from mmengine.config import Config
from PIL import Image

from mmspec.datasets.detection import InfraredDetDataset
from mmspec.datasets.infrared_folder import InfraredFolder
from mmspec.datasets.packed import PackedInfrared
from mmspec.datasets.segmentation import InfraredSegDataset
from mmspec.datasets.synthetic import SyntheticInfrared
from mmspec.explain import KeyValueAction
from mmspec.registry import DATASETS

DESCRIPTION = """\
Check a data set by its class name, labelled or not: count images, labels, boxes, classes, sizes and
bit depths, name files that cannot be read, have no counterpart, hold a label outside the classes or
differ in size from what belongs to them, and boxes that cannot be used, and draw samples with their
labels. Of faults of one kind the first are named and the others counted; --all names each. The exit
status is 1 if anything is wrong.
"""
EPILOG = """\
examples:
  check_dataset.py MSRSDataset data/MSRS --split test --out sheet.png
  check_dataset.py MSRSDataset data/MSRS --options modality=both
  check_dataset.py PST900Dataset data/PST900 --options data_prefix.infrared_path=train/thermal_raw
  check_dataset.py HITUAVDataset data/hit_uav --split val --out sheet.png
  check_dataset.py MSRSDetDataset data/msrs_det --options modality=both labels=fusion
  check_dataset.py InfraredFolder data/Inf30 --options ann_file=data/inf30.txt
  check_dataset.py RGBTFolder data/RGBT550K --options infrared=ir visible=rgb --out sheet.png
  check_dataset.py SyntheticInfrared --options length=60 --out sheet.png
"""
CHECKS = {
    InfraredDetDataset: DetectionCheck,
    InfraredSegDataset: SegmentationCheck,
    SyntheticInfrared: SegmentationCheck,
    InfraredFolder: FolderCheck,
}


def check_of(name: str, arguments: dict) -> Check:
    """The check of a registered data set, built with those of the arguments that it takes."""
    cls = DATASETS.get(f"mmspec.{name}")
    if not inspect.isclass(cls):  # the stand-in of a package that is not installed says so
        cls(**arguments)
    if issubclass(cls, PackedInfrared):
        raise ValueError(
            f"{name}: pack_corpus.py --verify ROOT recomputes the hashes of a packed set"
        )
    kinds = (kind for kind in CHECKS if inspect.isclass(kind) and issubclass(cls, kind))
    kind = next(kinds, None)
    if kind is None:
        raise ValueError(f"{name}: no check for this kind of data set yet")
    taken = inspect.signature(cls).parameters
    if "data_root" in taken and "data_root" not in arguments:
        raise ValueError(f"{name} lies in a folder: give ROOT")
    arguments = {key: value for key, value in arguments.items() if key in taken or key != "split"}
    return CHECKS[kind](cls(**arguments, lazy_init=True))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="class, with or without 'mmspec.'")
    parser.add_argument("root", metavar="ROOT", nargs="?", help="its folder")
    parser.add_argument("--split", default="train", help="default %(default)s")
    parser.add_argument("--out", help="picture of samples with their labels to write")
    parser.add_argument(
        "--options",
        nargs="+",
        action=KeyValueAction,
        default={},
        metavar="KEY=VALUE",
        help="other arguments of the class",
    )
    parser.add_argument("--all", action="store_true", help="name every fault")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes, default %(default)s"
    )
    args = parser.parse_args()
    args.name = args.name.removeprefix("mmspec.")
    if f"mmspec.{args.name}" not in DATASETS:
        DATASETS.import_from_location()
        parser.error(
            f"no data set {args.name}; there are {', '.join(sorted(DATASETS.module_dict))}"
        )
    if args.workers < 1:
        parser.error("--workers must be at least 1")
    return args


def draw(sheet: np.ndarray | None, out: str) -> None:
    if sheet is None:
        print("no picture: no sample is without a fault")
        return
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(out)
    print(f"picture: {out}")


def main() -> None:
    args = parse_args()
    options = Config()
    options.merge_from_dict(args.options)
    arguments = dict(split=args.split, **options.to_dict())
    if args.root is not None:
        arguments["data_root"] = args.root
    try:
        check = check_of(args.name, arguments)
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.exit(f"error: {error}")
    check.read_all(args.workers)
    for line in check.summary():
        print(line)
    lines = list(fault_lines(check.faults, args.all))
    for line in lines:
        print(line)
    if args.out:
        draw(check.sheet(), args.out)
    if check.faults:
        said = "listed" if len(lines) == len(check.faults) else "summed up"
        sys.exit(f"error: {args.name} has {len(check.faults):,} faults, {said} above")
    print("no fault found")


if __name__ == "__main__":
    main()
