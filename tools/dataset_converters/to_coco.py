#!/usr/bin/env python
"""Write COCO files for detection data sets from the labels they come with."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from box_files import LabelFileError
from check_dataset import check_of, draw
from coco_layouts import LAYOUTS, M3FD_YOLO, Scene
from own_labels import OWN, SHEET, write_label_images

from mmspec.text_files import TextFileError

DESCRIPTION = """\
Write annotations/SPLIT.json (COCO) under the folder of a detection data set, for mmspec's classes.

  m3fd        M3FD_Detection: Annotation/*.xml, Ir/, Vis/                    M3FDDataset
  m3fd-yolo   M3FD as TarDAL keeps it: labels/*.txt, ir/, vi/                M3FDDataset
  llvip       LLVIP: Annotations/*.xml, infrared/{train,test}/, visible/     LLVIPDataset
  flir        FLIR aligned: Annotations/*_PreviewData.xml, JPEGImages/,
              align_train.txt, align_validation.txt                          FLIRDataset
  kaist       KAIST: annotations/set00/V000/I00001.txt, images/, imageSets/  KAISTDataset
  kaist-json  KAIST_annotation.json, the improved test annotations           KAISTDataset
  msrs        MSRS/{train,test}/{ir,vi}/ and MSRS-detection-label/           MSRSDetDataset

Labels of your own, in any folder, for InfraredDetDataset; class names from the tool's own file or
--classes, the split from --list, YOLO's data.yaml, folders called train, val and test, or drawn by
--seed:

  yolo        .txt beside the images or in labels/, boxes or outlines; data.yaml, classes.txt
  voc         Pascal VOC .xml anywhere
  labelme     LabelMe's .json: rectangles and polygons; one object by label and group_id
  cvat        CVAT's .xml ("CVAT for images 1.1"): boxes and polygons
  coco        any COCO .json (CVAT, Label Studio, Roboflow): boxes, polygons, run-length masks

Images must be there, their sizes are read (but for kaist-json, which has them). Boxes are
written as they are; the data sets clip or drop what lies outside and count it. Files that exist are
kept: give --overwrite or --out.
The same data, options and seed give the same bytes.
"""
SPLIT_HELP = """\
M3FD states no split, so one is drawn: names of images (without suffix) in the order of the SHA-256
of 'SEED:NAME', the first --test-share of them are the test set. Of 4,200 images at 0.2 that is
3,360 and 840. It does not depend on the version of Python nor on the order of files, and no name is
in both. Neighbouring frames of one scene may be on either side; other splits: --list.
"""
DECIMALS = 3


def to_coco(
    scenes: Sequence[Scene], classes: Sequence[str], note: str, left_out: Sequence[str] = ()
) -> tuple[dict, Counter[str]]:
    """A COCO file's content with ids from 1, and how many boxes of each category it leaves out."""
    images, annotations, skipped = [], [], Counter()
    numbers = {name: number for number, name in enumerate(classes, start=1)}
    for image_id, item in enumerate(scenes, start=1):
        visible = {"visible_file_name": item.visible_file_name} if item.visible_file_name else {}
        size = dict(width=item.width, height=item.height)
        images.append(dict(id=image_id, file_name=item.file_name, **visible, **size))
        for index, box in enumerate(item.boxes):
            if box.name in left_out:
                skipped[box.name] += 1
                continue
            if box.name not in numbers:
                raise LabelFileError(
                    f"{item.file_name}: object {index + 1} is a {box.name!r}; known:"
                    f" {', '.join((*classes, *left_out))}"
                )
            bbox = [round(v, DECIMALS) for v in (box.x, box.y, box.width, box.height)]
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=numbers[box.name],
                    bbox=bbox,
                    area=round(bbox[2] * bbox[3], DECIMALS),
                    iscrowd=int(box.ignored),
                )
                | (item.extra[index] if item.extra else {})
            )
    categories = [dict(id=number, name=name) for name, number in numbers.items()]
    content = dict(
        info=dict(description=note), images=images, annotations=annotations, categories=categories
    )
    return content, skipped


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=SPLIT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    layouts = parser.add_subparsers(dest="layout", required=True, metavar="LAYOUT")
    for name in (*LAYOUTS, *OWN):
        sub = layouts.add_parser(name)
        sub.add_argument("root", type=Path, metavar="ROOT", help="folder of the data set")
        sub.add_argument("--out", type=Path, help="folder to write to; default ROOT/annotations")
        sub.add_argument("--overwrite", action="store_true", help="replace files that exist")
        if name in ("m3fd", "m3fd-yolo", "flir", "kaist", *OWN):
            sub.add_argument(
                "--list",
                nargs="+",
                type=lambda text: tuple(text.split("=", 1)),
                metavar="SPLIT=FILE",
                help="lists of names under ROOT, such as train=meta/train.txt val=meta/val.txt",
            )
        if name.startswith("m3fd"):
            sub.add_argument("--seed", type=int, default=0, help="default %(default)s")
            sub.add_argument("--test-share", type=float, default=0.2, help="default %(default)s")
        if name in OWN:
            sub.add_argument("--seed", type=int, default=0, help="default %(default)s")
            help_ = "of a drawn split, default %(default)s"
            sub.add_argument("--val-share", type=float, default=0.2, metavar="SHARE", help=help_)
            sub.add_argument("--classes", nargs="+", metavar="NAME", help="class names in order")
            help_ = "write label PNGs from the outlines too, for segmentation"
            sub.add_argument("--label-images", action="store_true", help=help_)
        if name in OWN and name != "yolo":  # which always does
            help_ = "take images without labels as images with nothing to find"
            sub.add_argument("--unlabelled-are-empty", action="store_true", help=help_)
        if name == "m3fd-yolo":
            help_ = "names of the class numbers 0, 1, ...; default %(default)s, TarDAL's order"
            sub.add_argument("--classes", nargs="+", default=M3FD_YOLO, help=help_)
        if name == "kaist":
            help_ = "folder of the labels under ROOT, default %(default)s"
            sub.add_argument("--annotations", default="annotations", help=help_)
        if name == "kaist-json":
            help_ = "the file under ROOT, default %(default)s"
            sub.add_argument("--json", default="KAIST_annotation.json", help=help_)
    args = parser.parse_args()
    if not args.root.is_dir():
        parser.error(f"no folder {args.root}")
    for option in ("test_share", "val_share"):
        if not 0 < getattr(args, option, 0.5) < 1:
            parser.error(f"--{option.replace('_', '-')} must be between 0 and 1")
    if getattr(args, "list", None):
        if not all(len(item) == 2 for item in args.list):
            parser.error("--list takes SPLIT=FILE")
        args.list = dict(args.list)
    args.out = args.out or args.root / "annotations"
    return args


def main() -> None:
    args = parse_args()
    try:
        converted = {**LAYOUTS, **OWN}[args.layout](args.root, args)
        files = {args.out / f"{split}.json": scenes for split, scenes in converted.splits.items()}
        if (there := [path for path in files if path.exists()]) and not args.overwrite:
            raise LabelFileError(f"{there[0]} exists: give --overwrite, or --out")
        contents = {
            path: to_coco(scenes, converted.classes, converted.note, converted.left_out)
            for path, scenes in files.items()
        }
        label_images = []
        if getattr(args, "label_images", False):
            label_images = write_label_images(converted, args.root)
    except (LabelFileError, TextFileError, OSError) as error:
        sys.exit(f"error: {error}")
    args.out.mkdir(parents=True, exist_ok=True)
    for path, (content, skipped) in contents.items():
        path.write_text(json.dumps(content) + "\n", encoding="utf-8", newline="\n")
        boxes = Counter(box["category_id"] for box in content["annotations"] if not box["iscrowd"])
        ignored = sum(box["iscrowd"] for box in content["annotations"])
        told = [f"{boxes[entry['id']]:,} {entry['name']}" for entry in content["categories"]]
        told += [f"{ignored:,} to ignore"] * bool(ignored)
        told += [f"{count:,} {name} left out" for name, count in skipped.items()]
        print(f"{path}: {len(content['images']):,} images; {', '.join(told)}")
    print(converted.note)
    for line in label_images:
        print(line)
    if args.layout in OWN:
        print(f"classes = {tuple(converted.classes)!r}")
        options = dict(data_root=str(args.root), metainfo=dict(classes=tuple(converted.classes)))
        check = check_of(
            "InfraredDetDataset",
            dict(options, ann_file=os.path.relpath(next(iter(files)), args.root)),
        )
        check.read_all(1)
        draw(check.sheet(), args.out / SHEET)


if __name__ == "__main__":
    main()
