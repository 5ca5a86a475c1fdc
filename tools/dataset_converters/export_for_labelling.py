#!/usr/bin/env python
"""Write 8-bit views of deep infrared files, to label in any program."""

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mmspec
from mmspec.datasets.files import (
    ALL_SUFFIXES,
    IMAGE_SUFFIXES,
    by_suffix,
    find_images,
    without_suffix,
)
from mmspec.datasets.modality import settle_scale
from mmspec.engine.launch import LaunchError, read_config
from mmspec.registry import TRANSFORMS
from mmspec.thermal import ThermalImage, UnreadableImageError
from mmspec.thermal.image import UNITS
from mmspec.thermal.pictures import save_values
from mmspec.thermal.scaling import Scaling, to_gray

DESCRIPTION = """\
Write OUT/NAME.png, 8 bits, of every deep file FOLDER/NAME.* (16-bit PNG and TIFF, float, .npy,
radiometric JPEG), and OUT/NAME/000000.png, ... of the frames of recordings and of TIFF files of
several pages: label these, and train on what was measured. Labels go by name; put their files, or
their folder labels/, into FOLDER and run to_coco.py on it.

Gray levels are those that training sees: of --config's loader, or by --range, or between each
image's percentiles, the loader's default. Files of 8 bits are written as they are.

What to_coco.py and the data sets take for a picture, or do not find, is written once more by
--deep DIR, as it was measured (16-bit PNG, or TIFF of floating point) and under the same names:
radiometric JPEG, .npy, and the frames of recordings. Then FOLDER is DIR.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="searched with its subfolders")
    parser.add_argument("--out", type=Path, required=True, help="folder of the views, a new one")
    parser.add_argument("--deep", type=Path, metavar="DIR", help="folder of the values, a new one")
    parser.add_argument("--config", help="whose loader scales")
    help_ = "values that become black and white, see value_range.py"
    parser.add_argument("--range", type=float, nargs=2, metavar=("LOW", "HIGH"), help=help_)
    parser.add_argument("--unit", choices=UNITS, help="of radiometric files, default celsius")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="N-th frame alone")
    args = parser.parse_args()
    if args.config and args.range:
        parser.error("--config has a range of its own: give one of both")
    if args.every < 1:
        parser.error("--every is at least 1")
    for path in filter(None, (args.out, args.deep)):
        if path.exists():
            parser.error(f"{path} exists; give the name of a new folder")
    return args


def scaling_of(config: str) -> Scaling:
    """The scaling of the loader in a config's training pipeline.

    Raises:
        LaunchError: no such config, no loader of infrared images in it, or one that scales by all
            images of a folder.
    """

    def loaders(node: object, scale: dict | None = None) -> Iterator[tuple[dict, dict | None]]:
        """Loading steps, each with the setting of its data set."""
        if isinstance(node, dict):
            scale = node.get("infrared_scale", scale)
            if str(node.get("type", "")).endswith("LoadInfraredImageFromFile"):
                yield node, scale
        children = node.values() if isinstance(node, dict) else node
        for child in children if isinstance(node, dict | list | tuple) else ():
            yield from loaders(child, scale)

    for step, scale in loaders(read_config(config).to_dict().get("train_dataloader", {})):
        loader = TRANSFORMS.build(step)
        settle_scale([loader], scale)
        if loader.scaling.sequence:
            raise LaunchError(f"{config}: sequence=True is for another folder; give a --range here")
        return replace(loader.scaling, float32=False)
    raise LaunchError(f"{config}: no LoadInfraredImageFromFile in train_dataloader")


def views(
    folder: Path, scaling: Scaling, every: int, broken: list[Path]
) -> Iterator[tuple[str, Path, ThermalImage]]:
    """Name of a view without suffix, its file, and what was measured.

    Files that cannot be read are told, and added to ``broken``.
    """
    how = dict(unit=scaling.unit, palette=scaling.palette)
    names: dict[str, str] = {}
    others: Counter[str] = Counter()
    files = find_images(str(folder), ALL_SUFFIXES, others)
    if others:
        print(f"left out: {by_suffix(others)}; read are {', '.join(ALL_SUFFIXES)}", file=sys.stderr)
    for found in files:
        path = folder / found
        name = without_suffix(found)
        name = name if name != found else found.rsplit(".", 1)[0]
        if name in names:
            raise UnreadableImageError.of(
                path, f"has the name of {names[name]} but for the suffix: rename one of the two"
            )
        names[name] = found
        try:
            image = mmspec.read_thermal(path, **how)
            if image.frames == 1:
                yield name, path, image
                continue
            for index in range(0, image.frames, every):
                frame = f"{name}/{index:06d}"  # stills of this name come later: '.' before '/'
                names[frame] = f"frame {index} of {found}"
                yield frame, path, mmspec.read_thermal(path, frame=index, **how)
        except UnreadableImageError as error:
            print(f"left out: {error}", file=sys.stderr)
            broken.append(path)


def main() -> None:
    args = parse_args()
    count, deep, broken = 0, 0, []
    try:
        scaling = scaling_of(args.config) if args.config else Scaling(args.range)
        scaling = replace(scaling, unit=args.unit or scaling.unit)
        for name, source, image in views(args.folder, scaling, args.every, broken):
            gray, remarks = to_gray(image, scaling)
            for remark in remarks:
                print(f"{source}: {remark}", file=sys.stderr)
            save_values(args.out / name, gray)
            count += 1
            picture = source.suffix.lower() in IMAGE_SUFFIXES and image.frames == 1
            if args.deep and not (picture and "radiometric" not in image.source):
                save_values(args.deep / name, image.values)
                deep += 1
    except (LaunchError, ImportError, OSError, ValueError) as error:
        for written in filter(None, (args.out, args.deep)):  # a second try needs new folders
            shutil.rmtree(written, ignore_errors=True)
        sys.exit(f"error: {error}")
    print(f"{args.out}: {count:,} views of 8 bits; label them")
    if deep:
        print(f"{args.deep}: {deep:,} files as they were measured")
    print(
        f"then: to_coco.py yolo (or voc, labelme, cvat, coco) {args.deep if deep else args.folder}"
    )
    if broken:
        sys.exit(f"error: {len(broken):,} files could not be read, see above, and have no view")


if __name__ == "__main__":
    main()
