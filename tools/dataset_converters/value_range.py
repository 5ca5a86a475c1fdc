#!/usr/bin/env python
"""Propose one range of values that become black and white for all images of a data set."""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import mmspec
from mmspec.datasets.files import ALL_SUFFIXES, by_suffix, find_images
from mmspec.datasets.repeatable import evenly_spaced
from mmspec.thermal import ThermalImage, UnreadableImageError
from mmspec.thermal.recordings import VIDEOS

DESCRIPTION = """\
Read a folder of deep images (16-bit PNG and TIFF, float TIFF, .npy, .npz, radiometric JPEG, FLIR
recordings, 16-bit video) and propose the range of values, in the unit of the files, that training
shows from black to white: all but --clip percent of the pixels at either end, images counting
alike, rounded outwards. One range for all images keeps a temperature the same gray level in each of
them; the percentiles of each image, the default of the loader, do not. Files of 8 bits need no
range and are counted apart.
"""
SAMPLES = 20_000  # pixels of an image, evenly spaced


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="searched with its subfolders")
    parser.add_argument("--out", type=Path, help="picture of the histogram to write")
    help_ = "percent of the pixels beyond either end, default %(default)s; 0 for small targets"
    parser.add_argument("--clip", type=float, default=0.1, help=help_)
    parser.add_argument("--limit", type=int, default=1000, help="frames read, default %(default)s")
    parser.add_argument("--unit", choices=("celsius", "counts"), help="of radiometric files")
    args = parser.parse_args()
    if not 0 <= args.clip < 50 or args.limit < 1:
        parser.error("--clip is below 50 percent and --limit at least 1")
    if args.out is not None and args.out.exists():
        parser.error(f"{args.out} exists; give the name of a new file")
    return args


def frames(folder: Path, limit: int, unit: str | None) -> Iterator[tuple[Path, ThermalImage]]:
    """Frames of the files, evenly spaced over files and recordings; what cannot be read is said."""
    others: Counter[str] = Counter()
    paths = [folder / name for name in find_images(str(folder), ALL_SUFFIXES, others)]
    if others:
        print(f"left out, no images by their suffix: {by_suffix(others)}", file=sys.stderr)
    each = max(1, limit // len(paths))
    for path in evenly_spaced(paths, limit):
        try:
            first = _read(path, unit, 0)
            yield path, first
            eight = path.suffix.lower() in VIDEOS and first.values.dtype == np.uint8
            count = 1 if eight else min(each, first.frames)  # all its frames are of 8 bits
            for index in evenly_spaced(range(first.frames), count)[1:]:
                yield path, _read(path, unit, index)
        except (UnreadableImageError, ImportError) as error:
            print(f"left out: {error}", file=sys.stderr)


def _read(path: Path, unit: str | None, index: int) -> ThermalImage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # colours and the like: of 8 bits
        try:
            return mmspec.read_thermal(path, unit, index)
        except UnreadableImageError:
            if unit is None:
                raise
            return mmspec.read_thermal(path, None, index)  # no file of a camera has another unit


def measured(image: ThermalImage) -> np.ndarray:
    """A sample of the pixels that hold a measurement, evenly spaced: (N,) float64.

    The coldest and the hottest are in it: ``--clip 0`` clips no target of a few pixels.
    """
    values = image.values if image.absent is None else image.values[~image.absent]
    values = values[np.isfinite(values)].astype(np.float64)
    if (step := values.size // SAMPLES) < 2:
        return values
    return np.concatenate([values[::step], [values.min(), values.max()]])


def proposal(values: list[np.ndarray], clip: float) -> tuple[float, float]:
    """The range without ``clip`` percent at either end, every array counting alike, rounded."""
    pixels = np.concatenate(values)
    weights = np.concatenate([np.full(each.size, 1 / each.size) for each in values])
    order = pixels.argsort()
    shares = weights[order].cumsum() / len(values)
    low, high = (
        float(pixels[order[min(np.searchsorted(shares, share), pixels.size - 1)]])
        for share in (clip / 100, 1 - clip / 100)
    )
    # To two digits of the width, outwards: -12.34 to 56.78 becomes -13 to 57.
    step = 10.0 ** (np.floor(np.log10(high - low)) - 1) if high > low else 1.0
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    return round(low, 6), round(max(high, low + step), 6)


def odd_file(
    paths: list[Path], values: list[np.ndarray], clip: float, found: tuple[float, float]
) -> tuple[Path, tuple[float, float]] | None:
    """The file without which the range is at most half as wide, and that range; None: no such."""
    lowest = paths[np.argmin([each.min() for each in values])]
    highest = paths[np.argmax([each.max() for each in values])]
    narrow = []
    for path in (lowest, highest):
        others = [each for each, owner in zip(values, paths) if owner != path]
        low, high = proposal(others, clip) if others else found
        if 2 * (high - low) <= found[1] - found[0]:
            narrow.append((high - low, path, (low, high)))
    return min(narrow)[1:] if narrow else None


def draw(values: list[np.ndarray], unit: str, found: tuple[float, float], path: Path) -> None:
    figure = Figure((8, 4), layout="constrained")
    axes = figure.add_subplot()
    pixels = np.concatenate(values)
    weights = np.concatenate([np.full(each.size, 100 / each.size / len(values)) for each in values])
    axes.hist(pixels, bins=256, weights=weights, log=True, color="0.4")
    for value in found:
        axes.axvline(value, color="tab:red")
        axes.annotate(f"{value:g}", (value, 1), xycoords=("data", "axes fraction"), color="tab:red")
    axes.set(xlabel=unit, ylabel="pixels (%), log")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"picture: {path}")


def main() -> None:
    args = parse_args()
    kinds: Counter[str] = Counter()
    deep: dict[str, list[tuple[Path, np.ndarray]]] = {}
    try:
        for path, image in frames(args.folder, args.limit, args.unit):
            source = path.suffix[1:].upper() if image.source == "array" else image.source
            kinds[f"{source}, {image.values.dtype}, {image.unit}"] += 1
            if image.values.dtype != np.uint8:
                if (values := measured(image)).size:
                    deep.setdefault(image.unit, []).append((path, values))
                else:
                    print(f"left out: {path}: no pixel holds a measurement", file=sys.stderr)
    except OSError as error:
        sys.exit(f"error: {error}")
    for kind, count in kinds.most_common():
        eight = ": 8 bits, taken as they are, no range needed" if "uint8" in kind else ""
        print(f"{count:>8,} {kind}{eight}")
    if not deep:
        sys.exit("no deep image was found: no range is needed")
    if len(deep) > 1:
        counts = " and ".join(f"{len(values):,} in {unit}" for unit, values in deep.items())
        sys.exit(f"error: {counts}: one range cannot serve two units; give --unit, or part them")
    ((unit, read),) = deep.items()
    paths, values = map(list, zip(*read))
    low, high = proposal(values, args.clip)
    spans = np.array([np.percentile(each, (0.5, 50, 99.5)) for each in values])
    told = ", ".join(f"{low_:g} to {high_:g}" for low_, high_ in zip(spans.min(0), spans.max(0)))
    print(f"0.5 %, median and 99.5 % of single images ({unit}): {told}")
    below, above = (
        100 * np.mean([outside.mean() for outside in each])
        for each in ([one < low for one in values], [one > high for one in values])
    )
    print(f"clipped: {below:.3f} % of the pixels below {low:g}, {above:.3f} % above {high:g}")
    if odd := odd_file(paths, values, args.clip, (low, high)):
        path, (least, most) = odd
        print(f"one file makes the range so wide: without {path} it is {least:g} to {most:g}")
    print("for the config:")
    named = f', unit="{args.unit}"' if args.unit else ""
    print(f"    infrared_scale = dict(range=({low:g}, {high:g}){named})")
    if args.out is not None:
        draw(values, unit, (low, high), args.out)


if __name__ == "__main__":
    main()
