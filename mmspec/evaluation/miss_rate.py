"""KAIST's log-average miss rate of pedestrians."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmspec.datasets.sizes import size_fault
from mmspec.registry import METRICS

from .kaist_files import (
    NOT_TOLD,
    Detections,
    FileFormatError,
    Truth,
    frame_of,
    is_night,
    read_truth,
)
from .samples import TRUTH_OF_BOXES, field_of, name_of, predicted_boxes, true_boxes
from .table import markdown_row

#: False positives per image at which miss rates are averaged, rounded as KAIST's evaluation has it.
FPPI_POINTS = (0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1.0)
TIMES = ("All", "Day", "Night")
IOU = 0.5
BORDER = 5  # pixels; truth that reaches this far to the edge of its image may be cut off
MOST_DETECTIONS = 1000  # an image
_LEAST_RATE = 1e-10  # whose logarithm stands for that of no miss


@dataclass(frozen=True)
class Setting:
    """Which of the true pedestrians a detector is to find; all others are to be ignored.

    Attributes:
        heights: Least and greatest, in pixels, both inclusive.
        occlusions: Levels: 0 none, 1 partial, 2 heavy.
    """

    heights: tuple[float, float]
    occlusions: tuple[int, ...]

    @property
    def needs_occlusion(self) -> bool:
        return set(self.occlusions) != {0, 1, 2}


#: The first eight are the experiments of KAIST (Hwang et al., CVPR 2015) with the "All" of its
#: leaderboard, the last two are of that leaderboard's Python evaluation.
SETTINGS = {
    "Reasonable": Setting((55, math.inf), (0, 1)),
    "All": Setting((20, math.inf), (0, 1, 2)),
    "near": Setting((115, math.inf), (0,)),
    "medium": Setting((45, 115), (0,)),
    "far": Setting((1, 45), (0,)),
    "none": Setting((1, math.inf), (0,)),
    "partial": Setting((1, math.inf), (1,)),
    "heavy": Setting((1, math.inf), (2,)),
    "Reasonable_small": Setting((50, 75), (0, 1)),
    "Reasonable_occ=heavy": Setting((50, math.inf), (2,)),
}
DEFAULT_SETTINGS = tuple(SETTINGS)[:8]


@dataclass(frozen=True)
class MissRateCurve:
    """Miss rate over false positives per image, from the strictest threshold to the laxest.

    Attributes:
        fppi: (D,) float64, after each of the D detections that count.
        miss_rate: (D,) float64 in [0, 1].
        at_points: (9,) float64, at :data:`FPPI_POINTS`.
        objects: number of pedestrians to be found.
        images: number of images.
        least: rate whose logarithm stands for that of no miss.
    """

    fppi: np.ndarray
    miss_rate: np.ndarray
    at_points: np.ndarray
    objects: int
    images: int
    least: float = _LEAST_RATE

    @property
    def log_average(self) -> float:
        """The log-average miss rate in [0, 1], geometric mean of ``at_points``."""
        with np.errstate(divide="ignore"):
            return float(np.exp(np.log(self.at_points.clip(self.least)).mean()))


@METRICS.register_module()
class MissRateMetric(BaseMetric):
    """KAIST's log-average miss rate in percent, of boxes of one class.

    Returns ``MR/SETTING/TIME`` for each of ``settings`` and All, Day and Night. A setting without a
    pedestrian, or a time of day that no image has, is NaN. After an evaluation ``curves`` holds the
    :class:`MissRateCurve` of each, in the main process, for ``save_miss_rate_curves``.

    Detections match at IoU 0.5, each in the order of scores the true box it overlaps most, and each
    true box once; what then lies by half of its own area in a box to be ignored does not count, the
    rest are false positives. To be ignored are boxes that the annotation marks, of another height
    or occlusion than the setting's, or less than 5 pixels from the edge of the image. Miss rates at
    nine numbers of false positives per image from 0.01 to 1 are averaged geometrically, each at the
    laxest threshold that gives no more false positives, and is 1 if there is none; no miss at all
    counts as 1e-10. An image without a true box counts by its false positives, one without a
    detection by its misses.

    KAIST's Python evaluation has the same rules and habits besides, which ``as_reference`` turns
    on, see :func:`evaluate_miss_rate`.

    Truth comes from ``ann_file``, or else from what the data set read (``instances`` among
    ``meta_keys`` of ``PackDetInputs``); an instance then needs ``occlusion`` unless the settings
    count all its levels. Day and night are told by the sets of KAIST in the names of the images.

    Args:
        ann_file: KAIST's annotation JSON, or a COCO file whose images have the names of KAIST's and
            whose boxes have ``occlusion`` (``tools/dataset_converters/to_coco.py kaist-json``).
            Images are found in it by their name, as set06/V000/I00019.
        settings: names among :data:`SETTINGS`.
        as_reference: with the habits of KAIST's Python evaluation; needs ``ann_file``.
        collect_device: 'cpu' or 'gpu', where ranks put their results together.
        prefix: of the names, 'MR' unless given.

    Raises:
        FileFormatError: ``ann_file`` cannot be used.
        KeyError: ``ann_file`` or a sample without the occlusion that a setting needs, a sample
            without truth or of an image that ``ann_file`` does not have; the message names the file
            or image and the way out.
        ValueError: an unknown setting, ``as_reference`` without ``ann_file``, a predicted or true
            label other than 0, a box or score that is not finite, a box whose corners are reversed,
            an occlusion other than 0, 1 and 2. The messages of samples name the image.
    """

    default_prefix = "MR"
    curves: dict[tuple[str, str], MissRateCurve]

    def __init__(
        self,
        ann_file: str | None = None,
        settings: Sequence[str] = DEFAULT_SETTINGS,
        as_reference: bool = False,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if unknown := [name for name in settings if name not in SETTINGS]:
            raise ValueError(f"settings: unknown {unknown}; known: {', '.join(SETTINGS)}")
        if as_reference and ann_file is None:
            raise ValueError("as_reference needs ann_file: it goes by the ids of annotations")
        self.settings = tuple(settings)
        self.as_reference = as_reference
        self.ann_file = ann_file
        self.truth = None if ann_file is None else read_truth(ann_file)
        if self.truth is not None and (without := self.truth.frames.count(None)):
            raise FileFormatError(
                f"{ann_file}: {without:,} images have no name of KAIST's, as set06/V000/I00019; by"
                " what is one to find them?"
            )
        if self.truth is not None:  # now, not hours later at the first validation
            _check_occlusion(self.settings, self.truth.occlusion, self.truth.ignored, ann_file)
            self._place = {frame: index for index, frame in enumerate(self.truth.frames)}
        self.curves = {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            true = ()
            if self.truth is None:
                true = self._truth_of(sample)
            else:
                self._check_size(sample)
            found = predicted_boxes(sample, num_classes=1)[:, [0, 1, 2, 3, 5]]
            # As bytes: NumPy's arrays, each in a piece of its own, would leave the heap in shreds.
            self.results.append((frame_of(name_of(sample)), found.tobytes(), *true))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        frames, found, *true = zip(*results)
        if self.truth is None:
            sizes, boxes = true
            boxes = [np.frombuffer(rows).reshape(-1, 6) for rows in boxes]
            columns = zip(
                *((to_xywh(b[:, :4]), b[:, 4].astype(np.int64), b[:, 5] > 0) for b in boxes)
            )
            truth = Truth.of_images(frames, sizes, *columns)
        else:
            truth = self.truth.select(frames)
            if len(frames) < (listed := len(self.truth.frames)):
                print_log(
                    f"miss rates of {len(frames):,} of the {listed:,} images of {self.ann_file}",
                    logger="current",
                    level=logging.WARNING,
                )
        found = [np.frombuffer(rows).reshape(-1, 5) for rows in found]
        detections = Detections.of_images(
            [to_xywh(rows[:, :4]) for rows in found], [rows[:, 4] for rows in found]
        )
        self.curves = evaluate_miss_rate(truth, detections, self.settings, self.as_reference)
        metrics = {
            f"{setting}/{time}": 100 * self.curves[setting, time].log_average
            if (setting, time) in self.curves
            else math.nan
            for setting in self.settings
            for time in TIMES
        }
        print_log("\n" + markdown_row(metrics), logger="current")
        return metrics

    def _check_size(self, sample: dict) -> None:
        """Raises ValueError where the boxes of ``ann_file`` are for an image of another size."""
        index = self._place.get(frame_of(name_of(sample)))
        if index is None or "ori_shape" not in sample:
            return
        height, width = sample["ori_shape"][:2]
        if reason := size_fault((width, height), tuple(self.truth.sizes[index])):
            raise ValueError(f"{name_of(sample)}: {reason} ({self.ann_file})")

    def _truth_of(self, sample: dict) -> tuple[tuple[int, int], bytes]:
        """Width and height of the image; x1, y1, x2, y2, occlusion, ignored of its true boxes."""
        true = true_boxes(sample, 1, f"Give the metric ann_file=..., or else: {TRUTH_OF_BOXES}")
        occlusion = np.array([one.get("occlusion", NOT_TOLD) for one in sample["instances"]])
        if (wrong := ~np.isin(occlusion, (NOT_TOLD, 0, 1, 2))).any():
            raise ValueError(
                f"{name_of(sample)}: an occlusion is {occlusion[wrong][0]}; it is 0 (none), 1"
                " (partial) or 2 (heavy)"
            )
        _check_occlusion(self.settings, occlusion, true[:, 5] > 0, name_of(sample))
        height, width = field_of(sample, "ori_shape", "name it in meta_keys of PackDetInputs")[:2]
        return (width, height), np.column_stack([true[:, :4], occlusion, true[:, 5]]).tobytes()


def _check_occlusion(
    settings: Sequence[str], occlusion: np.ndarray, ignored: np.ndarray, name: str
) -> None:
    needing = [setting for setting in settings if SETTINGS[setting].needs_occlusion]
    if needing and (~ignored & (occlusion == NOT_TOLD)).any():
        raise KeyError(
            f"{name}: a true box has no 'occlusion', by which {', '.join(needing)} choose. Take an"
            " annotation that has it, KAIST_annotation.json say, or the setting All alone"
        )


def to_xywh(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) of corners x1, y1, x2, y2 as x, y, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def evaluate_miss_rate(
    truth: Truth,
    detections: Detections,
    settings: Sequence[str] = DEFAULT_SETTINGS,
    as_reference: bool = False,
) -> dict[tuple[str, str], MissRateCurve]:
    """Curves by (setting, time), without those that have no pedestrian to be found.

    Args:
        truth: of :func:`~mmspec.evaluation.kaist_files.read_truth`, say.
        detections: of its images.
        settings: names among :data:`SETTINGS`.
        as_reference: with the habits of KAIST's Python evaluation (``evaluation_script.py`` of
            sejong-rcv/MLPD-Multi-Label-Pedestrian-Detection):

            * pedestrians in images without a detection are not counted, although the images are;
            * the pedestrian whose annotation has the id 0 is never found, and what finds it is
              false: the id also stands for "nothing found";
            * where an image's detections do not come by falling score, their boxes change places,
              see :meth:`Detections.ranked`;
            * a point that even the strictest threshold exceeds, as in fewer than 100 images may be,
              takes the miss rate of the laxest one, not 1;
            * without a miss at one of the points the average is 0.

            One habit more is left out: it changes the truth's flags in place, so that of several
            settings run on one copy each inherits what those before it ignored. Here, as in its
            own program, each setting starts from the truth as it was read.

    Raises:
        KeyError: a setting chooses by occlusion, which a true box does not tell.
    """
    _check_occlusion(settings, truth.occlusion, truth.ignored, "the annotation")
    night = [is_night(frame) for frame in truth.frames]
    chosen = {
        "All": np.ones(len(night), bool),
        "Day": np.array([is_it is False for is_it in night]),
        "Night": np.array([is_it is True for is_it in night]),
    }
    detections = detections.ranked(MOST_DETECTIONS, as_reference)
    pairs = find_pairs(truth, detections)
    counted = np.isin(truth.image, detections.image) if as_reference else True
    never_found = truth.of_id_0 & as_reference
    curves = {}
    for name in settings:
        ignored = ignored_truth(truth, SETTINGS[name])
        outcome = match_detections(detections, pairs, ignored, never_found)
        for time, images in chosen.items():
            objects = int((~ignored & images[truth.image] & counted).sum())
            if objects:
                of_time = outcome[images[detections.image]]
                curves[name, time] = miss_rate_curve(
                    of_time, objects, int(images.sum()), as_reference
                )
    return curves


@dataclass(frozen=True)
class Pairs:
    """Detections and true boxes of one image that overlap by half, as indices; best scores first.

    Attributes:
        detection, truth: (P,) int64.
        iou: (P,) float64, intersection over union.
        iof: (P,) float64, intersection over the area of the detection, for boxes to be ignored.
    """

    detection: np.ndarray
    truth: np.ndarray
    iou: np.ndarray
    iof: np.ndarray


def find_pairs(truth: Truth, detections: Detections) -> Pairs:
    """All pairs with IoU or IoF of at least 0.5."""
    found = []
    by_image = np.argsort(truth.image, kind="stable")
    starts = np.searchsorted(truth.image[by_image], np.arange(len(truth.frames) + 1))
    order = np.argsort(detections.image, kind="stable")
    for indices in np.split(order, np.flatnonzero(np.diff(detections.image[order])) + 1):
        if not len(indices):
            continue
        image = detections.image[indices[0]]
        true = by_image[starts[image] : starts[image + 1]]
        first, second = detections.boxes[indices, None], truth.boxes[None, true]
        begin = np.maximum(first[..., :2], second[..., :2])
        end = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
        intersection = (end - begin).clip(0).prod(axis=-1)
        areas = [boxes[..., 2:].prod(axis=-1) for boxes in (first, second)]
        with np.errstate(invalid="ignore", divide="ignore"):  # a detection of no area overlaps none
            iof = np.nan_to_num(intersection / areas[0])
            iou = np.nan_to_num(intersection / (areas[0] + areas[1] - intersection))
        rows, columns = np.nonzero((iou >= IOU) | (iof >= IOU))
        found.append((indices[rows], true[columns], iou[rows, columns], iof[rows, columns]))
    if not found:
        return Pairs(*np.zeros((2, 0), np.int64), *np.zeros((2, 0)))
    columns = [np.concatenate(column) for column in zip(*found)]
    first_to_last = np.argsort(columns[0], kind="stable")
    return Pairs(*(column[first_to_last] for column in columns))


def ignored_truth(truth: Truth, setting: Setting) -> np.ndarray:
    """Which true boxes are to be ignored, (N,) bool; ``truth`` stays as it is."""
    x, y, width, height = truth.boxes.T
    image_width, image_height = truth.sizes[truth.image].T
    ignored = truth.ignored | (height < setting.heights[0]) | (height > setting.heights[1])
    if setting.needs_occlusion:
        ignored |= ~np.isin(truth.occlusion, setting.occlusions)
    ignored |= (x < BORDER) | (y < BORDER)
    return ignored | (x + width > image_width - BORDER) | (y + height > image_height - BORDER)


def match_detections(
    detections: Detections, pairs: Pairs, ignored: np.ndarray, never_found: np.ndarray
) -> np.ndarray:
    """What each detection is: 1 a hit, 0 a false positive, -1 of no account.

    Args:
        detections: best scores first.
        pairs: of :func:`find_pairs`.
        ignored: (N,) bool, of :func:`ignored_truth`.
        never_found: (N,) bool; what finds such a box is false.

    Returns:
        (D,) int64.
    """
    outcome = np.zeros(len(detections), np.int64)
    outcome[pairs.detection[ignored[pairs.truth] & (pairs.iof >= IOU)]] = -1
    possible = ~ignored[pairs.truth] & (pairs.iou >= IOU)
    candidates: dict[int, list[tuple[float, int]]] = {}
    for detection, iou, true in zip(
        *(column[possible].tolist() for column in (pairs.detection, pairs.iou, pairs.truth))
    ):
        candidates.setdefault(detection, []).append((iou, true))
    taken: set[int] = set()
    for detection, boxes in candidates.items():  # in the order of the pairs: best scores first
        if left := [box for box in boxes if box[1] not in taken]:
            found = max(left)[1]
            taken.add(found)
            outcome[detection] = not never_found[found]
    return outcome


def miss_rate_curve(
    outcome: np.ndarray, objects: int, images: int, as_reference: bool = False
) -> MissRateCurve:
    """The curve of detections.

    Args:
        outcome: (D,) of :func:`match_detections`, best scores first.
        objects: pedestrians to be found, at least one.
        images: number of images, at least one.
        as_reference: see :func:`evaluate_miss_rate`.
    """
    hit = outcome[outcome >= 0] == 1
    fppi = (~hit).cumsum() / images
    miss_rate = 1 - hit.cumsum() / objects
    # Index 0 stands for the threshold that no detection passes.
    last = np.searchsorted(fppi, FPPI_POINTS, side="right")
    of_none = miss_rate[-1:] if as_reference and len(hit) else [1.0]
    at_points = np.concatenate([of_none, miss_rate])[last]
    least = 0.0 if as_reference else _LEAST_RATE
    return MissRateCurve(fppi, miss_rate, at_points, objects, images, least)
