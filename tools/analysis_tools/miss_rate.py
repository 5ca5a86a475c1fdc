#!/usr/bin/env python
"""KAIST's log-average miss rate of files of detections.

    python tools/analysis_tools/miss_rate.py KAIST_annotation.json MBNet_result.txt other.json
    python tools/analysis_tools/miss_rate.py ... --settings Reasonable near far --out curves.png

Files of detections are .txt, a line "number of the image from 1,x,y,width,height,score" for each
detection, or .json, COCO results. Prints the miss rates in percent of all, day and night images;
lower is better. --out draws the curves of the first setting.

KAIST's Python evaluation has habits that change the numbers: pedestrians in images without a
detection are not counted, the one of annotation id 0 is never found, and three more (see
mmspec.evaluation.miss_rate.evaluate_miss_rate). --as-reference turns all of them on, to compare
with numbers that were computed by it.
"""

import argparse
import sys
from pathlib import Path

from kaist_files import read_detections, read_truth

from mmspec.evaluation.miss_rate import (
    DEFAULT_SETTINGS,
    SETTINGS,
    TIMES,
    MissRateCurve,
    evaluate_miss_rate,
)
from mmspec.text_files import TextFileError
from mmspec.visualization.curves import save_miss_rate_curves


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "annotation", type=Path, help="KAIST_annotation.json, or a COCO file with 'occlusion'"
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="result", help="detections")
    parser.add_argument(
        "--settings", nargs="+", choices=SETTINGS, default=DEFAULT_SETTINGS, metavar="SETTING",
        help=f"out of {', '.join(SETTINGS)}; default: the first {len(DEFAULT_SETTINGS)}",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="picture to write (.png, .pdf, .svg)")
    parser.add_argument(
        "--as-reference", action="store_true", help="with the habits of KAIST's evaluation"
    )
    return parser.parse_args()


def short_names(paths: list[Path]) -> list[str]:
    """What tells the files apart in a legend."""
    for naming in (lambda path: path.stem, lambda path: path.name):
        names = [naming(path) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def table(curves: dict[tuple[str, str], MissRateCurve], settings: list[str]) -> str:
    width = max(map(len, settings))
    lines = [f"{'setting':{width}}{'pedestrians':>13}" + "".join(f"{t:>8}" for t in TIMES)]
    for setting in settings:
        found = [curves.get((setting, time)) for time in TIMES]
        cells = ["-" if curve is None else f"{100 * curve.log_average:.2f}" for curve in found]
        objects = found[0].objects if found[0] else 0
        lines.append(f"{setting:{width}}{objects:>13,}" + "".join(f"{cell:>8}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    args = parse_args()
    settings = list(dict.fromkeys(args.settings))
    names = short_names(args.results)
    panels: dict[str, dict[str, MissRateCurve]] = {time: {} for time in TIMES}
    try:
        truth = read_truth(args.annotation)
        for name, path in zip(names, args.results):
            detections = read_detections(path, truth)
            curves = evaluate_miss_rate(truth, detections, settings, args.as_reference)
            print(f"{path}: {len(detections):,} detections, {len(truth.frames):,} images;"
                  " log-average miss rate in %")  # fmt: skip
            print(table(curves, settings), end="\n\n")
            for time in TIMES:
                if (settings[0], time) in curves:
                    panels[time][name] = curves[settings[0], time]
    except (OSError, TextFileError) as error:
        sys.exit(f"error: {error}")
    except KeyError as error:
        sys.exit(f"error: {error.args[0]}")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        save_miss_rate_curves({time: c for time, c in panels.items() if c}, args.out, settings[0])
        print(f"picture: {args.out}")


if __name__ == "__main__":
    main()
