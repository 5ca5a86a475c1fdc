#!/usr/bin/env python
"""Align the images of an infrared and a visible camera side by side, for RGBTFolder."""

import argparse
import csv
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

import mmspec
from mmspec.datasets.files import find_images, without_suffix
from mmspec.datasets.image_io import UnreadableImageError, decode_infrared, decode_visible
from mmspec.datasets.repeatable import evenly_spaced
from mmspec.datasets.rgbt_folder import match_pairs
from mmspec.matching import Agreement, agreement, align_by_edges, corner_places, random_homography
from mmspec.text_files import read_names
from mmspec.thermal.pictures import save_values
from mmspec.visualization.panels import resized, titled_grid, to_display

DESCRIPTION = """\
Find the homography from each infrared image to its visible one, warp the visible image onto the
infrared grid, crop both to what both cameras see, and write DIR/ir/NAME and DIR/rgb/NAME, as
RGBTFolder reads them. The infrared image is cropped only: 16 bits stay as they were measured.

Images are a pair by their name, or, with --by-time, by the time in their names (20240131_142530,
2024-01-31T14-25-30.250) or their EXIF, the nearest first. With --rig one homography serves all,
found of many frames together: for two cameras that do not move against each other and scenes that
are far away beside the distance of the lenses. Otherwise each pair has its own.

Without a model the edges of both images are correlated. With --config and --checkpoint of a
matching head (configs/matching) its homography is one more start for them. A pair is refused, not
written, where the parts of the view do not agree on it (--max-residual, --min-share), or where less
than half of the infrared image is common to both. Input files are only read. DIR/report.csv has a
line a pair, DIR/sheet.png the first pairs: checkerboards, and edges of the infrared image in red
over those of the visible one in cyan.
"""
EPILOG = """\
examples:
  register_pairs.py drone/thermal drone/wide --out data/drone --rig
  register_pairs.py flir visible --out data/pairs --by-time 0.5 --offset 3600
  register_pairs.py data/roadscene/cropinfrared data/roadscene/crop_LR_visible --evaluate 0.08 \\
      --list data/roadscene/test.txt

--evaluate takes pairs that are aligned, sees each infrared image through a random homography whose
corners move inwards by up to the given share of the sides, and writes nothing: it prints errors of
the corners, the share refused, and how many mismatched pairs (each image with the one half the list
away) are accepted.
"""
SHARE = 0.4  # of blocks; mismatched pairs of RoadScene have at most 0.35
RESIDUAL = 0.0125  # of the infrared image's width
COMMON = 0.5  # least share of the infrared image that is left
SHEET = 8  # pairs
_STAMP = re.compile(
    r"(\d{4})[-_]?(\d\d)[-_]?(\d\d)[-_T ]?(\d\d)[-_:h]?(\d\d)[-_:m]?(\d\d)"
    r"(?:[.,](\d{1,6})|[_-]?(\d{3})(?!\d)|(?!\d))"  # milliseconds; _0001 is a number, no fraction
)
COLUMNS = ("name", "visible", "written", "residual", "share", "correlation", "reason", "homography")


@dataclass(frozen=True)
class Pair:
    """An infrared and a visible file; images are read when they are asked for."""

    name: str
    infrared: str
    visible: str

    @cached_property
    def values(self) -> np.ndarray:
        """(H, W) as it was measured: temperatures, counts or gray levels."""
        return mmspec.read_thermal(self.infrared).values

    @cached_property
    def gray(self) -> np.ndarray:
        """(H, W) uint8."""
        return decode_infrared(self.values, self.infrared)[0]

    @cached_property
    def colours(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return decode_visible(Path(self.visible).read_bytes(), self.visible)


class Head:
    """Homographies of a matching head, by ``mmspec.Predictor``."""

    def __init__(self, config: str, checkpoint: str) -> None:
        self.predictor = mmspec.Predictor(config, checkpoint)

    def __call__(self, gray: np.ndarray, colours: np.ndarray) -> np.ndarray | None:
        """(3, 3) from pixels of the infrared image to those of the visible one, None of too few."""
        alike = cv2.resize(colours, gray.shape[::-1], interpolation=cv2.INTER_AREA)
        (found,) = self.predictor.predict((gray, np.ascontiguousarray(alike[..., ::-1])))
        if found.sample.homography is None:
            return None
        size = np.array(found.image.shape[-2:])
        to_input = _scaling(size / gray.shape)
        from_input = _scaling(np.array(colours.shape[:2]) / size)
        return from_input @ found.sample.homography @ to_input


def _scaling(factors: np.ndarray) -> np.ndarray:
    """(3, 3) that scales an image by factors of (H, W), between centres of pixels."""
    y, x = factors
    return np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("infrared", type=Path, metavar="IR_DIR")
    parser.add_argument("visible", type=Path, metavar="VISIBLE_DIR")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write, a new one")
    parser.add_argument("--resume", action="store_true", help="go on in DIR after a stop")
    parser.add_argument("--list", type=Path, help="of names of pairs; by default all")
    parser.add_argument("--rig", action="store_true", help="one homography for all pairs")
    parser.add_argument("--frames", type=int, default=12, help="of a rig, default %(default)s")
    parser.add_argument("--by-time", type=float, metavar="SECONDS", help="most between a pair")
    help_ = "added to visible times, where the clocks differ; default %(default)s"
    parser.add_argument("--offset", type=float, default=0.0, metavar="SECONDS", help=help_)
    help_ = "width of the infrared view in shares of the visible one's, default 0.75 1.1"
    parser.add_argument("--view", type=float, nargs=2, default=(0.75, 1.1), help=help_)
    parser.add_argument("--config", help="of a matching head")
    parser.add_argument("--checkpoint", help="of a matching head")
    help_ = "in infrared pixels; default 1.25 %% of the width"
    parser.add_argument("--max-residual", type=float, metavar="PIXELS", help=help_)
    help_ = "of blocks that lie where they should, default %(default)s"
    parser.add_argument("--min-share", type=float, default=SHARE, help=help_)
    parser.add_argument("--evaluate", type=float, metavar="SHIFT", help="see below")
    args = parser.parse_args()
    if (args.config is None) != (args.checkpoint is None):
        parser.error("--config and --checkpoint go together")
    if (args.out is None) == (args.evaluate is None):
        parser.error("give --out, or --evaluate")
    if not 0 < args.view[0] < args.view[1] or args.frames < 1:
        parser.error("--view takes two shares, the smaller first, and --frames at least 1")
    if args.list and args.by_time is not None:
        parser.error("--list names pairs, --by-time finds them: give one of both")
    if args.out is not None and args.out.exists() and not args.resume:
        parser.error(f"{args.out} exists: give a new folder, or --resume to go on in it")
    return args


def find_pairs(args: argparse.Namespace) -> tuple[list[Pair], dict[str, str]]:
    """The pairs, and for each image that has no partner the reason."""
    if args.by_time is None:
        names = read_names(args.list) if args.list else None
        folders = dict(infrared=str(args.infrared), visible=str(args.visible))
        pairs, faults = match_pairs(folders, names, str(args.list or ""))
        alone = {fault.path: fault.reason for fault in faults}
        return [Pair(_name(one[0], args.infrared), *one) for one in pairs], alone
    sides = [_times(folder) for folder in (args.infrared, args.visible)]
    return pair_by_time(*sides, args.by_time, args.offset, args.infrared)


def pair_by_time(
    infrared: dict[str, float],
    visible: dict[str, float],
    tolerance: float,
    offset: float,
    root: Path,
) -> tuple[list[Pair], dict[str, str]]:
    """Pairs of images whose times (seconds by path) are nearest, the nearest first, each once."""
    differences = [
        (abs(time - other - offset), path, partner)
        for path, time in infrared.items()
        for partner, other in visible.items()
        if abs(time - other - offset) <= tolerance
    ]
    taken: dict[str, str] = {}
    for _, path, partner in sorted(differences):
        if path not in taken and partner not in taken.values():
            taken[path] = partner
    alone = dict.fromkeys(infrared.keys() - taken, f"no visible image within {tolerance:g} s")
    unused = visible.keys() - taken.values()
    alone |= dict.fromkeys(unused, f"no infrared image within {tolerance:g} s")
    return [Pair(_name(path, root), path, taken[path]) for path in sorted(taken)], alone


def time_of(path: Path) -> float | None:
    """Seconds of the time in a file's name, else in its EXIF; None without."""
    if found := _STAMP.search(path.stem):
        *numbers, decimals, milliseconds = found.groups()
        fraction = decimals or milliseconds
        try:
            moment = datetime(*map(int, numbers))
        except ValueError:  # digits that are no date
            return None
        return (moment - datetime(1970, 1, 1)).total_seconds() + float(f"0.{fraction or 0}")
    try:
        with Image.open(path) as image:
            tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
        moment = datetime.strptime(tags[ExifTags.Base.DateTimeOriginal], "%Y:%m:%d %H:%M:%S")
    except (OSError, KeyError, ValueError):
        return None
    fraction = str(tags.get(ExifTags.Base.SubsecTimeOriginal, 0)).strip()
    return (moment - datetime(1970, 1, 1)).total_seconds() + float(f"0.{fraction or 0}")


def _times(folder: Path) -> dict[str, float]:
    paths = [folder / name for name in find_images(str(folder))]
    times = {str(path): time_of(path) for path in paths}
    if without := [path for path, time in times.items() if time is None]:
        raise UnreadableImageError.of(
            without[0], f"no time in its name or EXIF ({len(without):,} such files): pair by name"
        )
    return times


def _name(path: str, root: Path) -> str:
    return without_suffix(Path(os.path.relpath(path, root)).as_posix())


def aligned(
    gray: Sequence[np.ndarray],
    colours: Sequence[np.ndarray],
    view: tuple[float, float],
    head: Head | None,
) -> np.ndarray:
    """The homography (3, 3) of one pair, or of several of a rig together."""
    tried = [align_by_edges(gray, colours, view=view)]
    starts = [found for one in zip(gray, colours) if head and (found := head(*one)) is not None]
    if starts:
        shape = gray[0].shape
        corners = np.median([corner_places(start, shape) for start in starts], axis=0)
        if np.isfinite(corners).all():
            edges = corner_places(np.eye(3), shape)
            start = cv2.getPerspectiveTransform(edges.astype("f4"), corners.astype("f4"))
            tried.append(align_by_edges(gray, colours, [start]))

    def fit(homography: np.ndarray) -> float:
        return sum(agreement(*one, homography).correlation for one in zip(gray, colours))

    return max(tried, key=fit)


def refusal(found: Agreement, width: int, args: argparse.Namespace) -> str:
    """Why an alignment is not to be trusted, '' if it is."""
    limit = args.max_residual or RESIDUAL * width
    if found.share < args.min_share:
        return f"{found.share:.0%} of the view agrees, {args.min_share:.0%} is asked for"
    if found.residual > limit:
        return f"parts of the view are {found.residual:.1f} pixels off, {limit:.1f} are allowed"
    return ""


def common_box(homography: np.ndarray, gray: np.ndarray, colours: np.ndarray) -> tuple[int, ...]:
    """Top, left, below, right of a rectangle of the infrared image that the visible one covers."""
    covered = np.full(colours.shape[:2], 255, np.uint8)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    inside = cv2.warpPerspective(covered, homography, gray.shape[::-1], flags=flags) > 0
    box = [0, 0, *gray.shape]
    while box[0] < box[2] and box[1] < box[3]:
        part = inside[box[0] : box[2], box[1] : box[3]]
        bare = [1 - side.mean() for side in (part[0], part[:, 0], part[-1], part[:, -1])]
        worst = int(np.argmax(bare))
        if bare[worst] == 0:
            break
        box[worst] += 1 if worst < 2 else -1
    return tuple(box)


def register(pair: Pair, homography: np.ndarray, args: argparse.Namespace) -> dict:
    """A line of the report; writes the pair if the homography can be trusted."""
    found = agreement(pair.gray, pair.colours, homography)
    reason = refusal(found, pair.gray.shape[1], args)
    if not reason:
        top, left, below, right = common_box(homography, pair.gray, pair.colours)
        if (below - top) * (right - left) < COMMON * pair.gray.size:
            reason = "less than half of the infrared image is common to both"
        else:
            flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
            seen = cv2.warpPerspective(pair.colours, homography, pair.gray.shape[::-1], flags=flags)
            values = pair.values[top:below, left:right]
            save_values(args.out / "rgb" / pair.name, seen[top:below, left:right, ::-1])
            save_values(args.out / "ir" / pair.name, values)
    return dict(
        name=pair.name,
        visible=pair.visible,
        written=not reason,
        residual=round(found.residual, 2),
        share=round(found.share, 3),
        correlation=round(found.correlation, 3),
        reason=reason,
        homography=" ".join(f"{value:.9g}" for value in np.asarray(homography).ravel()),
    )


def rig_homography(pairs: list[Pair], args: argparse.Namespace, head: Head | None) -> np.ndarray:
    """One homography of evenly spaced frames together; kept in DIR/rig.json for --resume."""
    kept = args.out / "rig.json"
    if kept.exists():
        return np.array(json.loads(kept.read_text())["homography"])
    frames = [Pair(p.name, p.infrared, p.visible) for p in evenly_spaced(pairs, args.frames)]
    sizes = {(frame.gray.shape, frame.colours.shape) for frame in frames}
    if len(sizes) > 1:
        raise UnreadableImageError.of(
            frames[0].infrared, f"images of {len(sizes)} sizes are of no one rig: leave --rig out"
        )
    images = [frame.gray for frame in frames], [frame.colours for frame in frames]
    homography = aligned(*images, args.view, head)
    told = dict(homography=homography.tolist(), frames=[frame.name for frame in frames])
    kept.write_text(json.dumps(told, indent=1))
    return homography


def lines(pairs: list[Pair], args: argparse.Namespace, head: Head | None) -> Iterator[dict]:
    """Report lines of all pairs, one after the other."""
    shared = rig_homography(pairs, args, head) if args.rig else None
    for pair in pairs:
        one = Pair(pair.name, pair.infrared, pair.visible)  # its images go with it
        try:
            homography = shared
            if homography is None:
                homography = aligned([one.gray], [one.colours], args.view, head)
            yield register(one, homography, args)
        except UnreadableImageError as error:
            yield dict.fromkeys(COLUMNS, "") | dict(
                name=one.name, visible=one.visible, written=False, reason=str(error)
            )


def sheet(out: Path) -> np.ndarray | None:
    """The first pairs in ``out``: both images, a checkerboard of them, and their edges."""
    rows = []
    for path in sorted(path for path in (out / "ir").rglob("*") if path.is_file())[:SHEET]:
        rgb = out / "rgb" / path.relative_to(out / "ir").with_suffix(".png")
        pair = Pair(path.name, str(path), str(rgb))
        gain = np.percentile(pair.gray, (0.5, 99.5))
        shown = to_display(pair.gray, (gain[0], max(gain[1], gain[0] + 16)))
        colours = pair.colours
        tiles = np.add.outer(*(np.arange(side) // 48 for side in shown.shape[:2])) % 2 == 0
        edges = [cv2.Canny(image, 60, 160) for image in (shown, colours)]
        edges = [cv2.dilate(each, np.ones((2, 2), np.uint8)) for each in edges]
        overlay = np.stack([edges[0], edges[1], edges[1]], axis=-1)
        mixed = np.where(tiles[..., None], shown, colours)
        rows.append([resized(each, (360, 270)) for each in (shown, colours, mixed, overlay)])
    return titled_grid(rows, ("infrared", "visible", "both", "edges")) if rows else None


def evaluate(pairs: list[Pair], args: argparse.Namespace, head: Head | None) -> None:
    """Print errors of the corners, in pixels of images 256 wide, of each way of aligning."""
    ways = {"edges": None} | ({"head and edges": head} if head else {})
    table = {name: [] for name in (*(["head alone"] if head else []), *ways)}
    mismatched = []
    for number, pair in enumerate(pairs):
        pair = Pair(pair.name, pair.infrared, pair.visible)
        truth = random_homography(
            pair.gray.shape, np.random.default_rng((0, number)), args.evaluate
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shape = pair.gray.shape
        gray = cv2.warpPerspective(pair.gray, truth, shape[::-1], flags=flags)
        other = pairs[(number + len(pairs) // 2) % len(pairs)]
        other = Pair(other.name, other.infrared, other.visible).colours

        def judged(found: np.ndarray, colours: np.ndarray, gray=gray, truth=truth) -> tuple:
            error = corner_places(found, gray.shape) - corner_places(truth, gray.shape)
            error = np.linalg.norm(error, axis=1).mean() * 256 / gray.shape[1]
            fit = agreement(gray, colours, found)
            return error, not refusal(fit, gray.shape[1], args), fit.residual, fit.share

        for name, with_head in ways.items():
            found = aligned([gray], [pair.colours], args.view, with_head)
            table[name].append(judged(found, pair.colours))
            if with_head is head:
                wrong = aligned([gray], [other], args.view, with_head)
                mismatched.append(judged(wrong, other))
        if head:
            found = head(gray, pair.colours)
            table["head alone"].append(judged(np.eye(3) if found is None else found, pair.colours))
    print(f"{len(pairs)} pairs, corners moved by up to {args.evaluate:.0%} of the sides;", end=" ")
    print("errors in pixels of images 256 wide")
    print(f"{'':16}{'median':>8}{'< 3 px':>8}{'< 10 px':>8}{'refused':>9}{'median, accepted':>18}")
    for name, rows in table.items():
        errors, accepted = np.array(rows)[:, 0], np.array(rows)[:, 1] > 0
        shares = [f"{100 * share.mean():.0f} %" for share in (errors < 3, errors < 10, ~accepted)]
        kept = np.median(errors[accepted]) if accepted.any() else np.nan
        print(
            f"{name:16}{np.median(errors):>8.2f}{shares[0]:>8}{shares[1]:>8}{shares[2]:>9}{kept:>18.2f}"
        )
    wrong = sum(row[1] for row in mismatched)
    print(f"mismatched pairs: {wrong} of {len(mismatched)} accepted")


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(1)
    try:
        pairs, alone = find_pairs(args)
        if not pairs:
            sys.exit(f"error: no pair of {args.infrared} and {args.visible}")
        head = Head(args.config, args.checkpoint) if args.config else None
        if args.evaluate is not None:
            evaluate(pairs, args, head)
            return
        args.out.mkdir(parents=True, exist_ok=True)
        report, told = args.out / "report.csv", []
        if report.exists():
            with open(report, encoding="utf-8", newline="") as file:
                told = list(csv.DictReader(file))
        done = {line["name"] for line in told}
        with open(report, "a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if not told:
                writer.writeheader()
                for path, reason in sorted(alone.items()):
                    writer.writerow(dict(name=path, written=False, reason=reason))
            left = [pair for pair in pairs if pair.name not in done]
            for line in lines(left, args, head) if left else ():
                writer.writerow(line)
                file.flush()
                told.append(line)
                print(f"{line['name']}: {line['reason'] or 'written'}")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    written = [line for line in told if str(line["written"]) == "True"]
    print(
        f"{len(written):,} of {len(pairs):,} pairs written, {len(alone):,} images without partner"
    )
    print(f"report: {report}")
    if (picture := sheet(args.out)) is not None:
        Image.fromarray(picture).save(args.out / "sheet.png")
        print(f"look at it first: {args.out / 'sheet.png'}")
        print(f"use it: dataset=dict(type='mmspec.RGBTFolder', data_root={str(args.out)!r})")
    else:
        sys.exit("error: no pair could be aligned")


if __name__ == "__main__":
    main()
