"""KAIST's log-average miss rate of pedestrians."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.evaluator import BaseMetric

from mmspec.registry import METRICS

from .kaist import NOT_TOLD, Detections, Truth, frame_of, is_night
from .samples import field_of, name_of, predicted_boxes, rows_of_images, true_boxes
from .table import log_table

#: False positives per image at which miss rates are averaged, rounded as KAIST's evaluation has it.
FPPI_POINTS = (0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1.0)
TIMES = ("All", "Day", "Night")
IOU = 0.5
BORDER = 5  # pixels; truth that reaches this far to the edge of its image may be cut off
MAX_DETECTIONS = 1000  # an image
_MIN_RATE = 1e-10  # whose logarithm stands for that of no miss


@dataclass(frozen=True)
class Setting:
    """Which of the true pedestrians a detector is to find; all others are to be ignored.

    Attributes:
        heights: least and greatest, in pixels, both inclusive.
        occlusions: levels: 0 none, 1 partial, 2 heavy.
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
        min_rate: whose logarithm stands for that of no miss.
    """

    fppi: np.ndarray
    miss_rate: np.ndarray
    at_points: np.ndarray
    objects: int
    images: int
    min_rate: float = _MIN_RATE

    @property
    def log_average(self) -> float:
        """The log-average miss rate in [0, 1], geometric mean of ``at_points``."""
        with np.errstate(divide="ignore"):
            return float(np.exp(np.log(self.at_points.clip(self.min_rate)).mean()))


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

    Truth is what the data set read (``instances`` among ``meta_keys`` of ``PackDetInputs``), with
    the ``occlusion`` of each box in its annotation file, unless the settings count all its levels;
    ``tools/dataset_converters/to_coco.py kaist-json`` writes such a file. Day and night are told by
    the sets of KAIST in the names of the images. ``tools/analysis_tools/miss_rate.py`` scores files
    of results, also with the habits of KAIST's Python evaluation.

    Args:
        settings: names among :data:`SETTINGS`.
        collect_device, prefix: see mmengine's ``BaseMetric``; the prefix is 'MR' unless given.

    Raises:
        KeyError: a data set or sample without the occlusion that a setting needs, or a sample
            without truth; the message names the file or image and the way out.
        ValueError: an unknown setting, a predicted or true label other than 0, a box or score that
            is not finite, a box whose corners are reversed, an occlusion other than 0, 1 and 2. The
            messages of samples name the image.
    """

    default_prefix = "MR"
    curves: dict[tuple[str, str], MissRateCurve]

    def __init__(
        self,
        settings: Sequence[str] = DEFAULT_SETTINGS,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if unknown := [name for name in settings if name not in SETTINGS]:
            raise ValueError(f"settings: unknown {unknown}; known: {', '.join(SETTINGS)}")
        self.settings = tuple(settings)
        self.curves = {}

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        """What is known of the data set, before a training, not hours later at its validation."""
        self._dataset_meta = dataset_meta
        if untold := (dataset_meta or {}).get("without_occlusion"):
            _check_occlusion(self.settings, np.array([NOT_TOLD]), np.array([False]), untold)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            found = predicted_boxes(sample, num_classes=1)
            result = (frame_of(name_of(sample)), *self._truth_of(sample), found.tobytes())
            self.results.append(result)

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        frames, sizes, true, found = zip(*results)
        image, rows = rows_of_images(true)
        truth = Truth(
            frames,
            np.array(sizes),
            image,
            to_xywh(rows[:, :4]),
            rows[:, 4].astype(np.int64),
            rows[:, 5] > 0,
            np.zeros(len(rows), bool),
        )
        image, rows = rows_of_images(found)
        detections = Detections(image, to_xywh(rows[:, :4]), rows[:, 5])
        self.curves = evaluate_miss_rate(truth, detections, self.settings)
        metrics = {
            f"{setting}/{time}": 100 * self.curves[setting, time].log_average
            if (setting, time) in self.curves
            else math.nan
            for setting in self.settings
            for time in TIMES
        }
        log_table(metrics)
        return metrics

    def _truth_of(self, sample: dict) -> tuple[tuple[int, int], bytes]:
        """Width and height of the image; x1, y1, x2, y2, occlusion, ignored of its true boxes."""
        true = true_boxes(sample, 1)
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
        truth: of all images.
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
    detections = detections.ranked(MAX_DETECTIONS, as_reference)
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
    """What each detection is: 1 a hit, 0 a false positive, -1 ignored.

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
    min_rate = 0.0 if as_reference else _MIN_RATE
    return MissRateCurve(fppi, miss_rate, at_points, objects, images, min_rate)
