#!/usr/bin/env python
"""Find the test images that show a view of the training set, and list the others.

    python tools/dataset_converters/clean_split.py IRSTD1kDataset data/IRSTD-1k --out clean.txt

A test image is a near-duplicate if a training image shows nearly the same view. Both are looked at
as 256 x 256 gray after contrast equalisation. SIFT's keypoints (Lowe, IJCV 2004) that pass the
ratio test, with RootSIFT descriptors (Arandjelovic and Zisserman, CVPR 2012), agree in one shift,
rotation and scale (RANSAC; within 3 pixels, scale 0.8 to 1.25), by which the training image holds
a share of the test image. A frame a moment later, or after the camera turned a little, is found so;
a perceptual hash finds equal frames alone, and takes dark skies for one another.

Writes the names that are left, for the data set's ann_file, SmallTargetMetric(subsets=...) or
score.py --subset; OUT.report.json with every pair; and --sheet, the pairs to look at.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from mmspec.datasets.files import without_suffix
from mmspec.datasets.image_io import read_infrared
from mmspec.registry import DATASETS

SIDE = 256
KEYPOINTS = 400
RATIO = 0.8
WITHIN = 3.0  # pixels of SIDE
SCALES = (0.8, 1.25)

Keypoints = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class View:
    """How a training image shows a test image."""

    test: str
    train: str
    share: float  # of the test image that lies inside the training image
    agreeing: int  # keypoints


def keypoints_of(path: str) -> Keypoints:
    """Places (N, 2) in an image of SIDE x SIDE and RootSIFT descriptors (N, 128), both float32."""
    gray = cv2.resize(read_infrared(path), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    gray = cv2.createCLAHE(3, (8, 8)).apply(gray)
    sift = cv2.SIFT_create(nfeatures=KEYPOINTS, contrastThreshold=0.005)  # clouds are faint
    found, descriptors = sift.detectAndCompute(gray, None)
    if descriptors is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1))
    return np.float32([point.pt for point in found]), root


def view_of(test: Keypoints, train: Keypoints, least: int) -> tuple[float, int]:
    """Share of the test image that the training image holds, and keypoints that agree in it.

    0.0 and 0 where fewer than ``least`` agree.
    """
    (places, descriptors), (others, of_others) = test, train
    if min(len(places), len(others)) < max(least, 2):
        return 0.0, 0
    likeness = descriptors @ of_others.T
    rows, best = np.arange(len(places)), likeness.argmax(1)
    first = likeness[rows, best]
    likeness[rows, best] = -1
    # Of unit vectors the squared distance is 2 - 2 * likeness.
    passed = 1 - first < RATIO**2 * (1 - likeness.max(1))
    if passed.sum() < least:
        return 0.0, 0
    cv2.setRNGSeed(0)
    motion, agreeing = cv2.estimateAffinePartial2D(
        places[passed], others[best[passed]], ransacReprojThreshold=WITHIN
    )
    count = 0 if motion is None else int(agreeing.sum())
    if count < least or not SCALES[0] < np.hypot(*motion[:, 0]) < SCALES[1]:
        return 0.0, 0
    grid = np.stack(np.meshgrid(*[np.arange(4, SIDE, 8)] * 2), axis=-1).reshape(-1, 2)
    moved = grid @ motion[:, :2].T + motion[:, 2]
    return float(((moved >= 0) & (moved < SIDE)).all(axis=1).mean()), count


def nearest_views(
    tests: dict[str, str], trains: dict[str, str], least: int, progress=iter
) -> list[View]:
    """Of each test image that any training image shows the one that shows most of it.

    Args:
        tests, trains: paths by name.
        least: number of keypoints that must agree.
    """
    known = {name: keypoints_of(path) for name, path in trains.items()}
    views = []
    for name, path in progress(tests.items()):
        mine = keypoints_of(path)
        found = [
            View(name, other, *view_of(mine, theirs, least)) for other, theirs in known.items()
        ]
        views.append(max(found, key=lambda view: (view.share, view.agreeing)))
    views = [view for view in views if view.agreeing]
    return sorted(views, key=lambda view: -view.share)


def paths_of(name: str, root: str, split: str) -> dict[str, str]:
    """Paths of a split's images by the names that its lists give them."""
    if (known := DATASETS.get(f"mmspec.{name}")) is None:
        raise ValueError(f"no data set {name!r}: give the name of a class, such as IRSTD1kDataset")
    dataset = known(data_root=root, split=split, pipeline=[])
    folder = dataset.data_prefix["infrared_path"]
    paths = [dataset.get_data_info(i)["img_path"] for i in range(len(dataset))]
    return {without_suffix(os.path.relpath(path, folder)): path for path in paths}


def sheet(views: Iterable[View], tests: dict[str, str], trains: dict[str, str]) -> np.ndarray:
    """Test image and training image side by side, three pairs a row."""
    cells = []
    for view in views:
        pair = [read_infrared(x) for x in (tests[view.test], trains[view.train])]
        pair = np.hstack([cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for x in pair])
        cell = cv2.copyMakeBorder(pair, 18, 4, 0, 8, cv2.BORDER_CONSTANT, value=255)
        text = f"{view.test} | {view.train}   {100 * view.share:.0f} %, {view.agreeing} points"
        cells.append(cv2.putText(cell, text, (4, 13), 0, 0.42, 0, 1))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % 3)
    return np.vstack([np.hstack(cells[i : i + 3]) for i in range(0, len(cells), 3)])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", help="class of the data set")
    parser.add_argument("root", metavar="ROOT", help="its folder")
    parser.add_argument("--train", default="trainval", help="split, default %(default)s")
    parser.add_argument("--test", default="test", help="split, default %(default)s")
    parser.add_argument("--share", type=float, default=0.8,
                        help="of the view, least; default %(default)s")  # fmt: skip
    parser.add_argument("--agreeing", type=int, default=25,
                        help="keypoints that must agree, default %(default)s")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="list to write")
    parser.add_argument("--sheet", type=Path, help="picture of the near-duplicates to write")
    args = parser.parse_args()
    if not 0 < args.share <= 1:
        parser.error(f"--share {args.share}: above 0, at most 1")
    if args.agreeing < 3:
        parser.error(f"--agreeing {args.agreeing}: at least 3, any two points agree")
    return args


def main() -> None:
    args = parse_args()
    try:
        tests, trains = (paths_of(args.name, args.root, x) for x in (args.test, args.train))
        bar = partial(tqdm, desc="Comparing", leave=False)
        views = nearest_views(tests, trains, args.agreeing, bar)
    except (ImportError, KeyError, OSError, TypeError, ValueError) as error:
        sys.exit(f"error: {error}")
    twins = [view for view in views if view.share >= args.share]
    for view in twins:
        print(f"{view.test}: {view.train} holds {100 * view.share:.0f} % of it,"
              f" {view.agreeing} keypoints agree")  # fmt: skip
    at = ", ".join(f"{sum(x.share >= s for x in views)} by {s:.0%}" for s in (0.99, 0.9, 0.8, 0.7))
    print(f"{len(twins):,} of {len(tests):,} test images are near-duplicates ({at})")
    clean = [name for name in tests if name not in {view.test for view in twins}]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("".join(f"{name}\n" for name in clean), encoding="utf-8")
    settings = dict(data=args.name, train=args.train, test=args.test, share=args.share)
    settings |= dict(agreeing=args.agreeing, side=SIDE, ratio=RATIO, within=WITHIN, scales=SCALES)
    report = settings | dict(left_out=[x.test for x in twins], views=[asdict(x) for x in views])
    Path(f"{args.out}.report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"the {len(clean):,} others: {args.out}; every pair: {args.out}.report.json")
    if args.sheet and twins:
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet(twins, tests, trains)).save(args.sheet)
        print(f"picture: {args.sheet}")


if __name__ == "__main__":
    main()
