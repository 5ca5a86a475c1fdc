"""What whole gray levels lose of frames that are deeper than 8 bits.

    # error of 256 levels in each file's own unit
    python tools/analysis_tools/gray_depth.py table FLIR.jpg frames/*.png
    # a data set of 8 bits as a 14-bit camera would give it, a sun in the corner of every frame
    python tools/analysis_tools/gray_depth.py deepen data/sirst_v2/mixed data/deep/mixed --sun

The deepened value of a level is 24 * level + 7000, with noise of 4 counts (the fourteenth bit is
16,383); levels between the whole ones come from the noise alone. The sun, 4 x 4 pixels at 16,383,
stretches the span of a frame, so that a level of 8 bits is 37 counts and a faint target less than
one of them.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from mmspec.datasets import read_infrared
from mmspec.datasets.files import find_images
from mmspec.evaluation.table import markdown_table
from mmspec.explain import explained
from mmspec.thermal import read_thermal
from mmspec.thermal.scaling import Scaling, limits_of, to_gray

GAIN, OFFSET, NOISE, WHITE = 24, 7000, 4, 2**14 - 1


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table", help="error of whole levels, a line a file")
    table.add_argument("files", metavar="FILE", nargs="+")
    deepen = commands.add_parser("deepen", help="write 14-bit PNG of 8-bit images")
    deepen.add_argument("source", metavar="FOLDER")
    deepen.add_argument("out", metavar="OUT")
    deepen.add_argument("--sun", action="store_true", help="4 x 4 pixels at 16,383 in a corner")
    return parser, parser.parse_args()


def error_row(path: str) -> dict[str, str | float]:
    """What the default scaling to whole levels loses of a file, in the unit of its values."""
    image = read_thermal(path)
    if image.values.dtype == np.uint8:
        raise ValueError(f"{path}: 8 bits; whole levels lose nothing of it")
    low, high = limits_of([image], Scaling())
    whole, fractions = (
        to_gray(image, Scaling(float32=float32))[0].astype(np.float64) for float32 in (False, True)
    )
    step = (high - low) / 255
    return {
        "file": Path(path).name,
        "unit": image.unit,
        "a level": step,
        "rms error of whole levels": step * float(np.sqrt(np.mean((whole - fractions) ** 2))),
        "whole levels": str(len(np.unique(whole))),
        "levels with fractions": str(len(np.unique(fractions))),
    }


def deepen(gray: np.ndarray, sun: bool, draws: np.random.Generator) -> np.ndarray:
    """Levels (H, W) uint8 as counts (H, W) uint16 of a 14-bit camera."""
    counts = GAIN * gray.astype(np.float64) + OFFSET + draws.normal(0, NOISE, gray.shape)
    if sun:
        counts[:4, :4] = WHITE
    return counts.round().clip(0, WHITE).astype(np.uint16)


def main() -> None:
    parser, args = parse_args()
    with explained(parser):
        if args.command == "table":
            print(markdown_table([error_row(path) for path in args.files], digits=4))
            return
        source, out = Path(args.source), Path(args.out)
        if out.exists():
            parser.error(f"{out} is there already: give another folder")
        draws = np.random.default_rng(0)
        for name in (names := find_images(args.source)):
            file = (out / name).with_suffix(".png")
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), deepen(read_infrared(source / name), args.sun, draws))
        print(f"{len(names):,} frames of 14 bits in {out}", file=sys.stderr)


if __name__ == "__main__":
    main()
