#!/usr/bin/env python
"""Mean Shannon entropy of the images of folders, and their distributions in one picture."""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from mmspec.datasets.files import find_images
from mmspec.datasets.image_io import UnreadableImageError, decode_infrared
from mmspec.datasets.repeatable import evenly_spaced
from mmspec.parallel import in_parallel

DESCRIPTION = """\
Shannon entropy in bits of the 256-bin gray-level histogram of each image (InfMAE, equation 1): its
mean and spread over each folder, and the distributions of all folders in one picture, with the
paper's means for Inf30 and ImageNet-1K. Colour images count by their luma; images of more than
8 bits after the percentile stretch that training uses.
"""
PAPER_MEANS = {"Inf30 (paper)": 6.44, "ImageNet-1K (paper)": 7.19}


def gray_level_entropy(gray: np.ndarray) -> float:
    """Shannon entropy in bits of the 256-bin histogram of a uint8 image (InfMAE, equation 1)."""
    shares = np.bincount(gray.ravel(), minlength=256) / gray.size
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # never -0.0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="folder of images")
    parser.add_argument("--out", required=True, help="picture to write (.png, .pdf, .svg)")
    parser.add_argument("--limit", type=int, help="images a folder, evenly spaced over its names")
    parser.add_argument("--json", help="also write the numbers here")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes, default %(default)s"
    )
    args = parser.parse_args()
    if args.limit is not None and args.limit < 1:
        parser.error("--limit must be at least 1")
    if args.workers < 1:
        parser.error("--workers must be at least 1")
    return args


def measure(path: str) -> float | str:
    """Entropy of one image in bits, or why it cannot be read."""
    try:
        gray, _ = decode_infrared(path)
    except UnreadableImageError as error:
        return f"{path}: {error.reason}"
    return gray_level_entropy(gray)


def measure_folder(folder: str, limit: int | None, workers: int) -> tuple[np.ndarray, list[str]]:
    """Entropies in bits, and the errors of the images that cannot be read."""
    paths = [os.path.join(folder, path) for path in find_images(folder)]
    paths = evenly_spaced(paths, limit)
    results = in_parallel(measure, paths, workers, short_name(folder))
    faults = [result for result in results if isinstance(result, str)]
    return np.array([result for result in results if not isinstance(result, str)]), faults


def short_name(folder: str) -> str:
    return "/".join(Path(folder).resolve().parts[-2:])


def draw(entropies: dict[str, np.ndarray], out: str) -> None:
    figure = Figure(figsize=(8, 5), layout="constrained")  # no pyplot: no display is needed
    axis = figure.subplots()
    bins = np.arange(0, 8.01, 0.1)
    colours = colormaps["tab10"].colors
    for index, (name, values) in enumerate(entropies.items()):
        colour = colours[index % len(colours)]
        style = dict(bins=bins, weights=np.full(len(values), 100 / len(values)), color=colour)
        label = f"{name}: {values.mean():.2f} ± {values.std():.2f} bits, {len(values):,} images"
        axis.hist(values, histtype="stepfilled", alpha=0.15, **style)
        axis.hist(values, histtype="step", linewidth=1.5, label=label, **style)
    for (name, mean), dashes in zip(PAPER_MEANS.items(), ("--", ":"), strict=True):
        axis.axvline(mean, color="black", linestyle=dashes, label=f"{name}: mean {mean} bits")
    lowest = min(values.min() for values in entropies.values())
    axis.set_xlim(max(0, np.floor(lowest)), 8)
    axis.set_xlabel("Shannon entropy of the gray levels (bits)")
    axis.set_ylabel("images in 0.1 bit (%)")
    figure.legend(fontsize="small", loc="outside lower center", ncols=2)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)


def main() -> None:
    args = parse_args()
    entropies, report = {}, []
    for folder in args.folders:
        try:
            values, faults = measure_folder(folder, args.limit, args.workers)
        except FileNotFoundError as error:
            sys.exit(f"error: {error}")
        for fault in faults:
            print(f"unreadable: {fault}")
        if not len(values):
            sys.exit(f"error: none of the {len(faults)} images in {folder} can be read")
        entropies[folder] = values
        report.append(
            dict(
                folder=folder,
                mean=round(float(values.mean()), 4),
                std=round(float(values.std()), 4),
                count=len(values),
                unreadable=len(faults),
            )
        )
    width = max(len(row["folder"]) for row in report)
    print(f"{'folder':{width}}{'mean':>8}{'std':>8}{'images':>10}{'unreadable':>12}")
    for row in report:
        print(
            f"{row['folder']:{width}}{row['mean']:>8.2f}{row['std']:>8.2f}{row['count']:>10,}"
            f"{row['unreadable']:>12,}"
        )
    print("; ".join(f"{name} {mean}" for name, mean in PAPER_MEANS.items()))
    names = [short_name(folder) for folder in entropies]
    unique = len(set(names)) == len(names)
    draw(dict(zip(names if unique else entropies, entropies.values(), strict=True)), args.out)
    print(f"picture: {args.out}")
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        Path(args.json).write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
