#!/usr/bin/env python
"""Where a detector of small targets fails: its worst images, and what the targets it misses share.

    python tools/analysis_tools/small_targets.py CONFIG.py CHECKPOINT.pth --out DIR
    python tools/analysis_tools/small_targets.py CONFIG.py FOLDER_OF_SCORE_MAPS --out DIR

Score maps may be any program's, see score.py. Prints the metrics of the test and the images with
the most errors (missed targets and false alarms; of equally many the least IoU first). Writes

  pictures/01_NAME.png   these images: input, truth, scores, hits, misses and false alarms
  curves.png             Pd over the size of a target and over its contrast, 95 % intervals
  small_targets.json     these curves, and every target and image in numbers

Contrast is the signal-to-clutter ratio |mean of the target - mean around it| / deviation around it,
around being the target's box and 20 pixels on each side but for targets (Gao et al., TIP 2013), in
gray levels; a deviation below one level counts as one. Bins hold equally many targets.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from result_files import Test, TestImage, chosen, read_test, results_of
from tqdm import tqdm

from mmspec.apis import Predictor
from mmspec.conventions import IGNORE_INDEX
from mmspec.datasets.image_io import read_infrared
from mmspec.evaluation.samples import scored_and_true
from mmspec.evaluation.small_target import (
    MEANINGS,
    THRESHOLD,
    Components,
    SmallTargetMetric,
    find_components,
    match_targets,
)
from mmspec.evaluation.table import markdown_table
from mmspec.explain import explained
from mmspec.visualization.curves import save_rate_curves
from mmspec.visualization.small_target import small_target_picture

MARGIN = 20  # pixels
BINS = 8
_Z = 1.96  # of 95 %


def contrast_of(image: np.ndarray, targets: Components, index: int) -> float:
    """Signal-to-clutter ratio of a target in a gray image (H, W)."""
    inside = targets.labels == index + 1
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    box = tuple(slice(max(x[0] - MARGIN, 0), x[-1] + MARGIN + 1) for x in (rows, columns))
    around = image[box][targets.labels[box] == 0].astype(np.float64)
    if not around.size:
        return math.nan
    return float(abs(image[inside].mean() - around.mean()) / max(around.std(), 1))


def describe(
    image: np.ndarray, probability: np.ndarray, truth: np.ndarray, threshold: float
) -> tuple[dict, list[dict]]:
    """An image in numbers, and its targets; all arrays are (H, W)."""
    counted = truth != IGNORE_INDEX
    above = (probability > threshold) & counted
    targets, alarms = find_components(truth == 1), find_components(above)
    found = match_targets(alarms, targets)
    false = np.setdiff1d(np.arange(len(alarms)), found)
    union = (above | (truth == 1)).sum()
    row = dict(
        IoU=100 * float((above & (truth == 1)).sum() / union) if union else 100.0,
        targets=len(targets),
        missed=int((found < 0).sum()),
        false_alarms=len(false),
        false_pixels=int(alarms.areas[false].sum()),
    )
    each = [
        dict(
            x=round(float(x), 2),
            y=round(float(y), 2),
            area=int(targets.areas[i]),
            contrast=contrast_of(image, targets, i),
            peak=float(probability[targets.labels == i + 1].max()),
            hit=bool(found[i] >= 0),
        )
        for i, (y, x) in enumerate(targets.centroids)
    ]
    return row, each


def rate_over(values: Sequence[float], hits: Sequence[bool]) -> dict[str, np.ndarray]:
    """Hit rate in bins of equally many targets, with Wilson's interval; ``at`` is their median.

    Equal values share a bin.
    """
    values, hits = np.asarray(values, np.float64), np.asarray(hits, bool)
    known = np.isfinite(values)
    values, hits = values[known], hits[known]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    place = np.searchsorted(edges[1:-1], values, side="right")
    rows = []
    for number in np.unique(place):
        of_bin = hits[place == number]
        count, rate = len(of_bin), of_bin.mean()
        middle = (rate + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
        reach = _Z * math.sqrt(rate * (1 - rate) / count + _Z**2 / (4 * count**2))
        reach /= 1 + _Z**2 / count
        rows.append(
            (np.median(values[place == number]), rate, middle - reach, middle + reach, count)
        )
    return dict(zip(("at", "rate", "low", "high", "targets"), np.array(rows).T))


def predictions(
    args: argparse.Namespace, test: Test, images: Sequence[TestImage]
) -> Iterator[dict]:
    """Data samples of a test, with scores."""
    if Path(args.source).is_dir():
        results = results_of(args.source, test, images, suffix=args.suffix, extra=args.extra)
        for image in images:
            sample = image.sample()
            yield sample | results(image, sample)
        results.check()
        return
    predictor = Predictor(args.config, args.source, args.device, options=args.cfg_options)
    found = predictor.predict([image.info["img_path"] for image in images])
    for image, prediction in zip(images, found):
        yield image.sample() | dict(seg_logits=dict(data=prediction.sample.seg_logits.data))


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", metavar="CONFIG", help="whose test set it is")
    parser.add_argument("source", metavar="SOURCE", help="a checkpoint, or a folder of score maps")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="default %(default)s")
    parser.add_argument("--worst", type=int, default=10, help="images drawn, default %(default)s")
    parser.add_argument("--subset", metavar="LIST", help="the images of this list alone")
    parser.add_argument("--suffix", default="", help="at the end of names, such as _pred")
    parser.add_argument("--extra", action="store_true", help="leave other images' maps aside")
    parser.add_argument("--device", help="cpu, cuda (a GPU if there is one)")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE",
                        help="settings that replace the config's")  # fmt: skip
    args = parser.parse_args()
    if args.worst < 1:
        parser.error(f"--worst {args.worst}: at least 1")
    if not 0 <= args.threshold < 1:
        parser.error(f"--threshold {args.threshold}: scores are from 0 to 1")
    return parser, args


def analyse(args: argparse.Namespace) -> None:
    test = read_test(args.config, args.cfg_options)
    if not any(isinstance(metric, SmallTargetMetric) for metric in test.evaluator.metrics):
        raise ValueError(f"{args.config}: its test has no SmallTargetMetric")
    images = chosen(test.images, args.subset)
    metric, rows, targets = SmallTargetMetric(args.threshold), [], []
    seen = {}
    found = tqdm(predictions(args, test, images), total=len(images))
    for image, sample in zip(images, found, strict=True):
        metric.process({}, [sample])
        probability, truth = scored_and_true(sample, MEANINGS)
        gray = read_infrared(image.info["img_path"])
        row, each = describe(gray, probability, truth, args.threshold)
        rows.append(dict(image=image.name) | row)
        targets += [dict(image=image.name) | target for target in each]
        seen[image.name] = gray, truth, probability.astype(np.float32)
        worst = sorted(rows, key=lambda x: (-x["missed"] - x["false_alarms"], x["IoU"]))
        if len(worst) > args.worst:  # whatever the size of the test, few are kept
            seen.pop(worst[-1]["image"], None)
            seen = {x["image"]: seen[x["image"]] for x in worst[: args.worst] if x["image"] in seen}
    if not targets:
        raise ValueError(f"{args.config}: no image of the test has a target")
    metrics = metric.evaluate(len(images))
    print(markdown_table([{k: str(v) if isinstance(v, int) else v for k, v in row.items()}
                          for row in worst[: args.worst]]))  # fmt: skip
    (args.out / "pictures").mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(worst[: args.worst], start=1):
        picture = small_target_picture(*seen[row["image"]], args.threshold)
        name = row["image"].replace("/", "_")
        Image.fromarray(picture).save(args.out / f"pictures/{number:02d}_{name}.png")
    hits = [target["hit"] for target in targets]
    curves = {
        name: rate_over([target[key] for target in targets], hits)
        for name, key in (("size (pixels)", "area"), ("contrast (SCR)", "contrast"))
    }
    save_rate_curves(curves, args.out / "curves.png")
    told = {name: {k: v.tolist() for k, v in curve.items()} for name, curve in curves.items()}
    content = dict(metrics=metrics, threshold=args.threshold, curves=told)
    content |= dict(images=worst, targets=targets)
    text = json.dumps(content, indent=1).replace("NaN", "null")
    (args.out / "small_targets.json").write_text(text, encoding="utf-8")
    for name, curve in curves.items():
        pairs = zip(curve["at"], curve["rate"])
        print(f"Pd over {name}: " + ", ".join(f"{at:.3g}: {100 * r:.0f} %" for at, r in pairs))
    print(f"pictures, curves and numbers: {args.out}")


def main() -> None:
    parser, args = parse_args()
    try:
        with explained(parser):
            analyse(args)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
