#!/usr/bin/env python
"""Draw a rendered scene as each effect of ``InfraredSensor`` leaves it.

python tools/visualization/augmentations.py --out docs/augmentations.png
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from mmspec.datasets.repeatable import isolated_random
from mmspec.datasets.scenes import render_scene
from mmspec.datasets.transforms import InfraredSensor

SHOWN = dict(
    blur=1.5, noise=0.12, fixed_pattern=0.12, columns=0.12, dead_pixels=0.01, gain=0.5, offset=0.8,
    equalization=1.0, steps=8,
)  # fmt: skip
WIDTH = 4  # pictures a row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--seed", type=int, default=80, help="of the scene")
    args = parser.parse_args()
    image = render_scene(args.seed, (192, 256), family="street_day").image
    tiles = []
    for name in ("as rendered", *SHOWN, "polarity", "defaults"):
        options = dict.fromkeys(SHOWN) | dict(polarity=float(name == "polarity"))
        if name in SHOWN:
            options[name] = (1.0, SHOWN[name], SHOWN[name])
        with isolated_random(args.seed + 1):
            step = InfraredSensor(**({} if name == "defaults" else options))
            tile = step(dict(img=image.copy()))["img"]
        label = f"{name} {SHOWN[name]}" if name in SHOWN else name
        bar = np.zeros((20, tile.shape[1]), np.uint8)
        cv2.putText(bar, label, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 255, 1, cv2.LINE_AA)
        tiles.append(np.vstack([bar, tile]))
    rows = [np.hstack(tiles[k : k + WIDTH]) for k in range(0, len(tiles), WIDTH)]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.out), np.vstack(rows))


if __name__ == "__main__":
    main()
