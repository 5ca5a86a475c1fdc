#!/usr/bin/env python
"""Score files of predictions, of whatever program, as tools/test.py scores a model.

    python tools/analysis_tools/score.py CONFIG.py RESULTS
    python tools/analysis_tools/score.py data/m3fd/annotations/test.json yolov8.json

The data set, its split and its metrics are those of the config's test; of a COCO annotation file
its images and classes by COCO's average precision. RESULTS is what the test is of:

  boxes            a JSON list of COCO results (image_id, category_id, bbox, score), or a folder of
                   YOLO's .txt files (ultralytics predict save_txt=True save_conf=True)
  segmentation     a folder of PNGs with the number of the class in each pixel
  small targets,   a folder of score maps, 8- or 16-bit gray, or shares from 0 to 1 in .npy or
  salient objects  .npz; of masks, 0 and 255, all is exact but AUC, which wants scores

or the folder that `python -m mmspec predict` wrote (small targets: with --probabilities; boxes:
with --score-thr 0, as average precision counts them all). A result has its image's name. Images
without a result, results of other images, other sizes, ids or classes end the program by name; in a
list of COCO results and in YOLO's files, an image without any has no detection.
"""

import argparse
import sys
from pathlib import Path

from mmengine import dump
from result_files import chosen, read_test, results_of
from tqdm import tqdm

from mmspec.explain import explained


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("truth", metavar="CONFIG", help="a config, or a COCO annotation file")
    parser.add_argument("results", metavar="RESULTS", help="a folder, or a JSON file of boxes")
    parser.add_argument("--subset", metavar="LIST", help="score the images of this list alone")
    parser.add_argument("--threshold", type=float, help="of small targets' scores; default 0.5")
    parser.add_argument("--suffix", default="", help="at the end of names, such as _pred")
    parser.add_argument("--extra", action="store_true", help="leave other images' results aside")
    parser.add_argument("--coded", action="store_true",
                        help="labels are the data set's own values, not class numbers")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the numbers here")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE",
                        help="test_dataloader.dataset.data_root=..., say")  # fmt: skip
    return parser, parser.parse_args()


def main() -> None:
    parser, args = parse_args()
    try:
        with explained(parser):
            test = read_test(args.truth, args.cfg_options)
        if args.threshold is not None:
            thresholds = [x for x in test.evaluator.metrics if hasattr(x, "threshold")]
            if not thresholds:
                parser.error("--threshold is for small targets")
            if not 0 <= args.threshold < 1:
                parser.error(f"--threshold {args.threshold}: scores are from 0 to 1")
            thresholds[0].threshold = args.threshold
        images = chosen(test.images, args.subset)
        results = results_of(
            args.results, test, images, suffix=args.suffix, extra=args.extra, coded=args.coded
        )
        for image in tqdm(images, "Scoring", leave=False):
            sample = image.sample()
            test.evaluator.process([sample | results(image, sample)])
        results.check()
        metrics = test.evaluator.evaluate(len(images))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyError as error:
        sys.exit(f"error: {error.args[0]}")
    if args.out:  # JSON has no NaN
        told = {k: None if v != v else v for k, v in metrics.items()}
        dump(told, args.out, file_format="json")


if __name__ == "__main__":
    main()
