#!/usr/bin/env python
"""What white-hot or black-hot does to information-aware masks, score by score.

    python tools/analysis_tools/mask_polarity.py data/inf30 --limit 500

Printed are the share of an image's visible patches that its inverse (255 - image) shows too, of
which chance gives 1 / stride, and Spearman's correlation of the patches' scores in both.
'projection' is the score of InfMAE's released code, a frozen random convolution. Images are cropped
at the right and below to whole patches.
"""

import argparse
import os
import sys
from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from mmspec.datasets.files import find_images
from mmspec.datasets.image_io import UnreadableImageError, decode_infrared
from mmspec.datasets.repeatable import evenly_spaced
from mmspec.masking import SCORES, projection, select_by_rank


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="of infrared images")
    parser.add_argument("--limit", type=int, help="images, evenly spaced over the names")
    parser.add_argument("--stride", type=int, default=4, help="of the masks, default %(default)s")
    parser.add_argument("--patch-size", type=int, default=16, help="default %(default)s")
    args = parser.parse_args()
    if args.stride < 1 or args.patch_size < 1 or (args.limit is not None and args.limit < 1):
        parser.error("--stride, --patch-size and --limit must be at least 1")
    return args


def shared_and_correlation(
    score: Callable[[Tensor], Tensor], image: Tensor, stride: int
) -> tuple[float, float]:
    """Share of visible patches that image and inverse (1, 1, H, W) have in common; Spearman's."""
    scores = [score(each) for each in (image, 255 - image)]
    first, second = (set(select_by_rank(each, stride)[0].tolist()) for each in scores)
    constant = any(each.min() == each.max() for each in scores)
    correlation = np.nan if constant else spearmanr(*(each[0].numpy() for each in scores))[0]
    return len(first & second) / len(first), correlation


def main() -> None:
    args = parse_args()
    size = args.patch_size
    kernel = torch.randn(1, size, size, generator=torch.Generator().manual_seed(0))
    scores = {name: lambda x, f=score: f(x, size) for name, score in SCORES.items()}
    scores["projection"] = lambda x: projection(x / 255, kernel)
    found = {name: [] for name in scores}
    try:
        for name in evenly_spaced(find_images(args.folder), args.limit):
            gray, _ = decode_infrared(os.path.join(args.folder, name))
            height, width = (side - side % size for side in gray.shape)
            if height * width < args.stride * size**2:
                continue  # fewer patches than the stride
            image = torch.from_numpy(gray[:height, :width].copy())[None, None]
            for name, score in scores.items():
                found[name].append(shared_and_correlation(score, image, args.stride))
    except (FileNotFoundError, UnreadableImageError) as error:
        sys.exit(f"error: {error}")
    if not found["projection"]:
        sys.exit(f"error: {args.folder}: every image has fewer patches than the stride")
    print(f"{len(found['projection']):,} images; chance: {100 / args.stride:.1f} %")
    print(f"{'score':12}{'shared (%)':>12}{'Spearman':>12}")
    for name, values in found.items():
        shares, correlations = np.array(values).T
        print(f"{name:12}{100 * shares.mean():>12.1f}{np.nanmean(correlations):>12.3f}")


if __name__ == "__main__":
    main()
