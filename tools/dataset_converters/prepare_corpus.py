#!/usr/bin/env python
"""Prepare a pre-training corpus from folders of raw infrared images, the way Inf30 was made."""

import argparse
import json
import os
import random
import shutil
import sys
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from corpus import (
    DroppedImage,
    ImageFacts,
    choose_images,
    inspect_images,
    relative_path,
    unlistable,
)
from rich.progress import track

from mmspec.datasets.files import ALL_SUFFIXES, IMAGE_SUFFIXES, by_suffix, find_images
from mmspec.thermal import UnreadableImageError
from mmspec.thermal.pictures import save_values
from mmspec.thermal.read import decode
from mmspec.thermal.recordings import open_recording, read_frame, split_frame

DESCRIPTION = """\
Choose images for pre-training from folders of raw infrared images (InfMAE, section 3).

In the order of the sources and of the names in each, an image is left out if
  1. it cannot be read,
  2. its width and height are both under --min-side pixels, or
  3. its perceptual hash (pHash, 64 bits) differs by at most --hash-distance bits from that of an
     image kept before it, its anchor.
Nothing is deleted or changed: the result is a list for InfraredFolder(ann_file=...), or copies.
Of recordings (SEQ, CSQ, video, .npy, .npz, TIFF of several pages) every n-th frame is an image, by
the name clip.seq#12; a copy of it is a PNG, clip.seq#12.png, of FLIR's recordings of their counts.
Pixels of 8 bits without a measurement, which a PNG cannot mark, are filled as the loader does it.
"""
DISTANCE_HELP = """\
largest hash distance that counts as a duplicate, default %(default)s. Seen on 4,222 images of five
sources: at 0 to 4 bits a pair is one scene a moment later, or one frame with another gain, except
about a fifth of the close-ups of cattle at 4 bits, which are two animals in one stall; at 6 that is
more than half of them, while drone and sky images still are one scene; at 10 dark street scenes of
different places begin to match. Raise it to 6 or 8 for video of a slow camera"""
REASONS = ("unreadable", "too small", "near-duplicate")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", metavar="SRC", help="folder of raw images")
    parser.add_argument(
        "--out", required=True, help="list file to write, or with --copy a new folder"
    )
    parser.add_argument("--copy", action="store_true", help="copy the chosen images into OUT")
    parser.add_argument(
        "--frame-step", type=int, default=10, help="of recordings, default %(default)s; 0: none"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    parser.add_argument("--min-side", type=int, default=20, help="pixels, default %(default)s")
    parser.add_argument("--hash-distance", type=int, default=4, metavar="N", help=DISTANCE_HELP)
    parser.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="keep N of the chosen images, drawn at random (InfMAE, table 8: subsets of a corpus)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of --sample, default %(default)s")
    parser.add_argument("--report", help="JSON report; default OUT.report.json")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes, default %(default)s"
    )
    args = parser.parse_args()
    if not 0 <= args.hash_distance < 64:
        parser.error("--hash-distance must be 0 to 63")
    if args.sample is not None and args.sample < 1:
        parser.error("--sample must be at least 1")
    if args.frame_step < 0:
        parser.error("--frame-step must not be negative")
    if args.workers < 1:
        parser.error("--workers must be at least 1")
    args.sources = [os.path.abspath(source) for source in args.sources]
    args.out = os.path.abspath(args.out)
    args.report = os.path.abspath(args.report or f"{args.out}.report.json")
    problem = output_problem(args)
    if problem:
        parser.error(problem)
    return args


def output_problem(args: argparse.Namespace) -> str | None:
    """Why the outputs cannot be written where they were asked for; existing files are kept."""
    if args.copy:
        if os.path.exists(args.out) and (not os.path.isdir(args.out) or os.listdir(args.out)):
            return f"--out {args.out} exists; give a new or an empty folder"
        for source in args.sources:
            if os.path.commonpath([source, args.out]) == source:
                return f"--out {args.out} lies inside the source {source}; give a folder outside"
    elif os.path.exists(args.out):
        kind = "is a folder; add --copy, or give" if os.path.isdir(args.out) else "exists; give"
        return f"--out {args.out} {kind} the name of a new list file"
    if os.path.exists(args.report):
        return f"the report {args.report} exists; give another name by --report"
    return None


def collect(sources: list[str], frame_step: int) -> dict[str, str]:
    """Image or frame -> its source; an image that two sources hold belongs to the first.

    A recording whose frames cannot be counted stands for one image, which then cannot be read.
    """
    images: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for source in sources:
        suffixes = ALL_SUFFIXES if frame_step else IMAGE_SUFFIXES
        for path in find_images(source, suffixes, left_out):
            for name in frames_of(os.path.join(source, path), frame_step):
                images.setdefault(name, source)
    if left_out:
        print(f"left out: {by_suffix(left_out)}; read are {', '.join(suffixes)}")
    return images


def frames_of(path: str, frame_step: int) -> list[str]:
    try:
        recording = open_recording(path) if frame_step else None
    except UnreadableImageError:
        recording = None
    if recording is None:
        return [path]
    return [f"{path}#{index}" for index in range(0, len(recording), frame_step)]


def copy(name: str, target: Path) -> bool:
    """A file as it is; a frame as PNG, of floats as .npy. Whether pixels without a measurement got
    the lowest level."""
    pixels = read_frame(name)
    filled = np.ma.is_masked(pixels)
    if isinstance(pixels, bytes):
        pixels = decode(pixels, "counts").values
    elif filled:
        pixels = decode(pixels).values
    if pixels is None:
        shutil.copy2(name, target)
    elif pixels.dtype in (np.uint8, np.uint16):
        save_values(target, pixels)
    else:
        np.save(f"{target}.npy", pixels)
    return filled


def count_table(
    groups: dict[str, str], kept: list[ImageFacts], dropped: list[DroppedImage]
) -> list[dict]:
    """A row of counts for each group of images, and one for all."""
    counts = {group: Counter() for group in dict.fromkeys(groups.values())}
    for image in kept:
        counts[groups[image.path]]["kept"] += 1
    for image in dropped:
        counts[groups[image.path]][image.reason] += 1
    if len(counts) > 1:
        counts["all"] = sum(counts.values(), Counter())
    sampled = ["not sampled"] if any(row["not sampled"] for row in counts.values()) else []
    return [
        {"folder": group, "found": sum(row.values())}
        | {key: row[key] for key in (*REASONS, *sampled, "kept")}
        for group, row in counts.items()
    ]


def print_table(rows: list[dict]) -> None:
    width = max(len(row["folder"]) for row in rows)
    print("".join(f"{key:>15}" if key != "folder" else f"{key:{width}}" for key in rows[0]))
    for row in rows:
        print(
            "".join(
                f"{value:>15,}" if key != "folder" else f"{value:{width}}"
                for key, value in row.items()
            )
        )


def main() -> None:
    args = parse_args()
    try:
        source_of = collect(args.sources, args.frame_step)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    root = os.path.commonpath(args.sources)
    relative = {path: relative_path(path, root) for path in source_of}
    if not args.copy and (unfit := [path for path in source_of if unlistable(path)]):
        sys.exit(f"error: a list cannot hold the name {unfit[0]!r}; rename it, or use --copy")

    images = inspect_images(list(source_of), args.workers)
    kept, dropped = choose_images(
        images,
        min_side=args.min_side,
        hash_distance=args.hash_distance,
        progress=partial(track, description="Comparing    "),
    )

    if args.sample is not None:
        if args.sample > len(kept):
            sys.exit(f"error: --sample {args.sample}: only {len(kept)} images were chosen")
        drawn = set(random.Random(args.seed).sample(range(len(kept)), args.sample))
        dropped += [
            DroppedImage(image.path, "not sampled", f"seed {args.seed}")
            for i, image in enumerate(kept)
            if i not in drawn
        ]
        kept = [image for i, image in enumerate(kept) if i in drawn]

    if len(args.sources) > 1:
        groups = {path: relative_path(source, root) for path, source in source_of.items()}
    else:  # the first level of folders says more than one line would
        groups = {
            path: name.partition("/")[0] if "/" in name else "." for path, name in relative.items()
        }
    rows = count_table(groups, kept, dropped)
    print_table(rows)
    for image in [image for image in dropped if image.reason == "unreadable"][:10]:
        print(f"unreadable: {relative[image.path]}: {image.detail}")
    if coloured := [relative[image.path] for image in kept if image.coloured]:
        print(
            f"{len(coloured):,} kept images are coloured, the first is {coloured[0]}: where no"
            " palette is known they will be read by luma, which is no infrared measurement"
        )
    if not kept:
        sys.exit("error: no image is left, nothing was written")
    smallest, largest = (
        pick(kept, key=lambda image: image.width * image.height) for pick in (min, max)
    )
    print(f"sizes kept: {smallest.width} x {smallest.height} to {largest.width} x {largest.height}")
    if args.dry_run:
        print("dry run: nothing was written")
        return

    names = [relative[image.path] for image in kept]
    if args.copy:
        copies = {f"{name}{end}" for name in filter(split_frame, names) for end in (".png", ".npy")}
        if twins := copies.intersection(names):
            sys.exit(f"error: {min(twins)} is called as the copy of a frame will be: rename it")
        filled = []
        for name in track(names, description="Copying"):
            target = Path(args.out, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if copy(os.path.join(root, name), target):
                filled.append(name)
        if filled:
            print(
                f"{len(filled):,} copies have the lowest level where nothing was measured, the"
                f" first is {filled[0]}: a PNG cannot mark it"
            )
        use = f"data_root={args.out!r}"
    else:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        use = f"data_root={root!r}, ann_file={args.out!r}"
    report = dict(
        sources=args.sources,
        root=root,
        out=args.out,
        min_side=args.min_side,
        hash_distance=args.hash_distance,
        frame_step=args.frame_step,
        sample=args.sample,
        seed=args.seed,
        counts=rows,
        dropped=[
            asdict(image)
            | dict(
                path=relative[image.path],
                anchor=image.anchor and relative[image.anchor],
            )
            for image in dropped
        ],
        coloured=coloured,
    )
    Path(args.report).parent.mkdir(parents=True, exist_ok=True)
    Path(args.report).write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"report: {args.report}")
    print(f"use it: dataset=dict(type='mmspec.InfraredFolder', {use})")


if __name__ == "__main__":
    main()
