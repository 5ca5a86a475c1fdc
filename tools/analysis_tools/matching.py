#!/usr/bin/env python
"""Matching of infrared to visible images by frozen encoders, by heads trained on them, and by SIFT.

    python tools/analysis_tools/matching.py sift random infmae.pth --roadscene data/RoadScene
    python tools/analysis_tools/matching.py sift mspecgene.pth --registration data/SuperFusion \\
        --levels 1 2 --width 512 --device cuda --out matches
    python tools/analysis_tools/matching.py sift mspecgene.pth work_dirs/HEAD/iter_1000.pth \\
        --config configs/matching/HEAD.py --roadscene data/RoadScene

Dense features of both images, mutual nearest neighbours by cosine, the visible point refined
between cells, a homography by MAGSAC++. Printed are the mean matching accuracy and the area under
the curve of homography corner errors (mmspec.MatchingMetric), in pixels of the scaled images.

  --roadscene     aligned pairs of its test list; the infrared image is seen through a random
                  homography, the same in every run
  --registration  infrared images deformed by a known flow; a homography follows it within 1 to 3
                  pixels only, so that AUC cannot be full

Methods: a checkpoint (whatever mmspec.load_encoder reads), or one of a head that a config of
configs/matching has trained, with --config; "random", a ConvViT before any training;
"sift" with ratio test; "edges", a grid of points under the homography that correlates edges best
(mmspec.matching.align_by_edges); "same-place", each point onto the very same place, which is what
features that encode positions gain without seeing anything.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matching_pairs import MatchingPair, registration_pairs, roadscene_pairs
from mmengine.logging import MMLogger
from mmpretrain.structures import DataSample
from PIL import Image
from sift import match_sift
from torch import Tensor

import mmspec
from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.engine.launch import read_config
from mmspec.evaluation import MatchingMetric
from mmspec.evaluation.matching import match_errors, project
from mmspec.matching import (
    Matches,
    MatchingEncoder,
    align_by_edges,
    estimate_homography,
    match_features,
)
from mmspec.models.backbones import ConvViT, MaskedViT
from mmspec.models.matchers import PairMatcher
from mmspec.registry import MODELS
from mmspec.visualization.matching import match_picture

Method = Callable[[MatchingPair], Matches]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="+", metavar="METHOD", help="see above")
    parser.add_argument("--roadscene", type=Path, help="folder with test.txt and the images")
    parser.add_argument("--registration", type=Path, help="folder with RoadScene/ir_warp, vi, flow")
    parser.add_argument("--width", type=int, default=256, help="of the images, default %(default)s")
    parser.add_argument("--limit", type=int, help="pairs of each set, evenly spaced; default: all")
    parser.add_argument(
        "--levels", type=int, nargs="+", default=[1], choices=(1, 2, 3, 4),
        help="maps of a ConvViT: 1, at 1/4 of the image, to 4, at 1/32; of several the vectors are"
        " put together on the grid of the first; default 1. A ViT has one map. With 4 the sides of"
        " images are multiples of 32, not 16.",
    )  # fmt: skip
    parser.add_argument("--config", help="of the checkpoints that hold a matching head")
    parser.add_argument("--arch", default="tiny", help="of random, default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of random, default %(default)s")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="folder for pictures of the first pairs")
    parser.add_argument("--pictures", type=int, default=4, help="how many, default %(default)s")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    if not (args.roadscene or args.registration):
        parser.error("give --roadscene, --registration or both")
    if args.width < 32 or (args.limit is not None and args.limit < 1):
        parser.error("--width must be at least 32 and --limit at least 1")
    return args


def build_method(name: str, args: argparse.Namespace) -> Method:
    if name == "sift":
        return lambda pair: match_sift(pair.infrared, pair.visible)
    if name == "edges":
        return by_edges
    if name == "same-place":
        return same_place
    if name != "random":
        state, _ = mmspec.read_checkpoint(name)
        if any(key.startswith("head.embeddings.") for key in state):
            return partial(by_matcher, load_matcher(name, state, args))
    levels = [level - 1 for level in args.levels]
    if name == "random":
        torch.manual_seed(args.seed)
        backbone = ConvViT(args.arch)
        backbone.init_weights()
    else:
        backbone, report = mmspec.load_encoder(name)
        if isinstance(backbone, MaskedViT):
            levels = [0]
        print(report)
    return partial(by_encoder, MatchingEncoder(backbone.to(args.device), levels))


def by_encoder(encoder: MatchingEncoder, pair: MatchingPair) -> Matches:
    features = encoder(pair.infrared), encoder(pair.visible)
    return match_features(*features, pair.infrared.shape, pair.visible.shape[:2])


def load_matcher(name: str, state: dict[str, Tensor], args: argparse.Namespace) -> PairMatcher:
    if args.config is None:
        raise ValueError(f"{name} holds a matching head: give --config, that it was trained by")
    cfg = read_config(args.config)
    model = MODELS.build(cfg.model)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{name} was not trained by {args.config}: {error}") from error
    return model.to(args.device).eval()


def by_matcher(model: PairMatcher, pair: MatchingPair) -> Matches:
    image = np.concatenate([pair.infrared[..., None], pair.visible], axis=2)
    sample = DataSample(metainfo=dict(channels=("infrared", "red", "green", "blue")))
    data = dict(inputs=[torch.from_numpy(image).permute(2, 0, 1)], data_samples=[sample])
    (found,) = model.test_step(data)
    return Matches(found.infrared_points, found.visible_points, found.scores)


def by_edges(pair: MatchingPair) -> Matches:
    found = align_by_edges([pair.infrared], [pair.visible])
    points = _grid(pair)
    return Matches(points, project(points, found), np.zeros(len(points)))


def same_place(pair: MatchingPair) -> Matches:
    points = _grid(pair)
    return Matches(points, points, np.zeros(len(points)))


def _grid(pair: MatchingPair) -> np.ndarray:
    rows, columns = np.mgrid[: pair.infrared.shape[0] : 8, : pair.infrared.shape[1] : 8]
    points = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(float)
    # All are equally good: in the order of rows a picture of the first ones had the sky alone.
    return np.random.default_rng(0).permutation(points)


def label(names: Iterable[str]) -> dict[str, str]:
    """File names, with their folder where several methods have the same: iter_1000.pth."""
    files = Counter(Path(name).name for name in names)
    return {
        name: Path(name).name if files[Path(name).name] == 1 else "/".join(Path(name).parts[-2:])
        for name in names
    }


def sets(args: argparse.Namespace) -> Iterator[tuple[str, list[MatchingPair]]]:
    # The map at 1/32 covers an image of other sides only with a margin.
    scaled = dict(width=args.width, limit=args.limit, multiple=32 if 4 in args.levels else 16)
    if args.roadscene:
        yield "roadscene", list(roadscene_pairs(args.roadscene, **scaled))
    if args.registration:
        yield "registration", list(registration_pairs(args.registration, **scaled))


def evaluate(
    method: Method, pairs: list[MatchingPair], pictures: int, out: Path | None
) -> dict[str, float]:
    metric = MatchingMetric()
    for index, pair in enumerate(pairs):
        matches = method(pair)
        points = matches.infrared, matches.visible
        sample = dict(
            img_path=pair.name,
            img_shape=pair.infrared.shape,
            infrared_points=matches.infrared,
            visible_points=matches.visible,
            homography=estimate_homography(*points),
            truth=pair.truth,
        )
        metric.process({}, [sample])
        if out is not None and index < pictures:
            best = np.argsort(-matches.scores, kind="stable")
            points = [p[best] for p in points]
            errors = match_errors(*points, pair.truth)
            out.mkdir(parents=True, exist_ok=True)
            picture = match_picture(pair.infrared, pair.visible, *points, errors)
            Image.fromarray(picture).save(out / f"{index:02d}_{pair.name}.png")
    return metric.evaluate(len(pairs))


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel("ERROR")  # the table below tells all
    names = dict.fromkeys(args.methods)
    labels = label(names)
    width = max(8, *map(len, labels.values()))
    numbers: dict[str, dict[str, dict[str, float]]] = {}
    try:
        methods = {name: build_method(name, args) for name in names}
        for title, pairs in sets(args):
            height, image_width = pairs[0].infrared.shape
            print(f"\n{title}: {len(pairs)} pairs, the first of {image_width} x {height} pixels; %")
            for number, (name, method) in enumerate(methods.items()):
                shown = labels[name]
                folder = args.out / title / shown.removesuffix(".pth") if args.out else None
                found = evaluate(method, pairs, args.pictures, folder)
                numbers.setdefault(title, {})[name] = found
                if number == 0:
                    print(f"{'method':{width}}" + "".join(f"{key:>9}" for key in found))
                print(f"{shown:{width}}" + "".join(f"{v:>9.1f}" for v in found.values()))
    except (CheckpointError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    if args.out:
        print(f"\npictures: {args.out}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(numbers, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
