#!/usr/bin/env python
"""Report the pairing and the duplicates of an RGB-thermal corpus, and list the pairs to use."""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
from corpus import ImageFacts, inspect_images, near_duplicates, relative_path, unlistable

from mmspec.datasets.files import without_suffix
from mmspec.datasets.rgbt_folder import RGBTFolder
from mmspec.thermal.recordings import split_frame

DESCRIPTION = """\
Check a corpus of aligned infrared and visible images, as RGBTFolder reads it.

The images of a pair have the same path below their folders but for the suffix; of a recording every
frame is an image. Reported are images without a partner, images that cannot be read, pairs of two
sizes, and near-duplicates: pairs whose perceptual hashes (pHash, 64 bits an image) differ in both
images together by at most --hash-distance bits from those of a pair kept before. Nothing is deleted
or changed; --out writes a list of the pairs that are left for RGBTFolder(ann_file=...).
"""
SIDES = ("infrared", "visible")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder of the corpus")
    parser.add_argument("--infrared", default="ir", help="its subfolder, default %(default)s")
    parser.add_argument("--visible", default="rgb", help="its subfolder, default %(default)s")
    parser.add_argument("--list", type=Path, help="look at the pairs named here, not at all")
    parser.add_argument("--out", type=Path, help="list file to write, one pair a line")
    parser.add_argument(
        "--hash-distance",
        type=int,
        default=8,
        metavar="N",
        help="of both images together, default %(default)s: what prepare_corpus.py allows an image",
    )
    parser.add_argument("--report", type=Path, help="JSON file to write, naming every image")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes, default %(default)s"
    )
    args = parser.parse_args()
    if not 0 <= args.hash_distance < 128:
        parser.error("--hash-distance must be 0 to 127")
    if args.workers < 1:
        parser.error("--workers must be at least 1")
    for path in (args.out, args.report):
        if path is not None and path.exists():
            parser.error(f"{path} exists; give the name of a new file")
    return args


def sort_out(
    pairs: list[tuple[ImageFacts, ImageFacts]],
) -> tuple[list[tuple[ImageFacts, ImageFacts]], dict[str, list[str]]]:
    """Pairs of one size whose images can be read, and what is wrong with the others."""
    good, faults = [], {"unreadable": [], "size mismatch": []}
    for infrared, visible in pairs:
        broken = [f"{image.path}: {image.fault}" for image in (infrared, visible) if image.fault]
        if broken:
            faults["unreadable"] += broken
        elif (infrared.width, infrared.height) != (visible.width, visible.height):
            sizes = (f"{x.path}: {x.width} x {x.height} pixels" for x in (infrared, visible))
            faults["size mismatch"].append(", ".join(sizes))
        else:
            good.append((infrared, visible))
    return good, faults


def names_of(pairs: list[tuple[ImageFacts, ImageFacts]], folders: dict[str, str]) -> list[str]:
    """A name for each pair; two paths where one cannot mean both, as of a frame."""
    names = [
        [relative_path(image.path, folders[side]) for side, image in zip(SIDES, pair)]
        for pair in pairs
    ]
    if all(without_suffix(a) == without_suffix(b) and not split_frame(a) for a, b in names):
        return [name for name, _ in names]
    return ["\t".join(relative_path(x.path, folders["img_path"]) for x in pair) for pair in pairs]


def main() -> None:
    args = parse_args()
    listed = str(args.list.resolve()) if args.list else ""
    dataset = RGBTFolder(str(args.root), args.infrared, args.visible, listed, lazy_init=True)
    broken: list[str] = []  # recordings
    dataset.leave_out = lambda error: broken.append(str(error))
    try:
        matched, unmatched = dataset.match_files()
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    folders = dataset.data_prefix
    facts = inspect_images([path for pair in matched for path in pair], args.workers)
    pairs, faults = sort_out(list(zip(facts[::2], facts[1::2])))
    hashes = np.array([[x.perceptual_hash for x in pair] for pair in pairs], np.uint64)
    anchors, distances = near_duplicates(hashes.reshape(-1, 2), args.hash_distance)
    duplicates = [
        f"{pairs[i][0].path}: {distance} bits from {pairs[anchor][0].path}"
        for i, (anchor, distance) in enumerate(zip(anchors.tolist(), distances.tolist()))
        if anchor != i
    ]
    kept = [pair for i, pair in enumerate(pairs) if anchors[i] == i]

    report = {
        f"{side} without {other}": [
            f"{fault.path}: {fault.reason}"
            for fault in unmatched
            if Path(folders[side]) in Path(fault.path).parents
        ]
        for side, other in (SIDES, SIDES[::-1])
    }
    if listed:
        report["listed, but absent"] = [
            f"{fault.path}: {fault.reason}"
            for fault in unmatched
            if fault.path.startswith(f"{listed}: ")
        ]
    faults["unreadable"] += broken
    report |= faults | {"near-duplicate": duplicates}
    print(f"{len(matched):>10,} pairs found")
    for title, entries in report.items():
        print(f"{len(entries):>10,} {title}")
        for entry in entries[:3]:
            print(f"           {entry}")
    print(f"{len(kept):>10,} pairs left")
    if not kept:
        sys.exit("error: no pair is left, nothing was written")
    if args.out is not None:
        lines = names_of(kept, folders)
        if unfit := [line for line in lines if unlistable(line)]:
            sys.exit(f"error: a list cannot hold the name {unfit[0]!r}; rename it")
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        print(
            f"use it: dataset=dict(type='mmspec.RGBTFolder', data_root={str(args.root)!r},"
            f" infrared={args.infrared!r}, visible={args.visible!r},"
            f" ann_file={str(args.out.resolve())!r})"
        )
    if args.report is not None:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        counts = {"found": len(matched), "left": len(kept)}
        args.report.write_text(json.dumps(counts | report, indent=1), encoding="utf-8")
        print(f"report: {args.report}")


if __name__ == "__main__":
    main()
