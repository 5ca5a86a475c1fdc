"""KAIST's log-average miss rate of pedestrians."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmspec.registry import METRICS

from .average_precision import HIT, NO_ACCOUNT, BoxTable, best_of_each, match
from .kaist import NOT_TOLD, Detections, Truth, frame_of, is_night
from .samples import field_of, name_of, predicted_boxes, rows_of_images, true_boxes
from .table import log_table

#: False positives per image at which miss rates are averaged, rounded as KAIST's evaluation has it.
FPPI_POINTS = (0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1.0)
TIMES = ("All", "Day", "Night")
IOU = 0.5
BORDER = 5  # pixels; truth that reaches this far to the edge of its image may be cut off
MAX_DETECTIONS = 1000  # an image
MIN_RATE = 1e-10  # whose logarithm stands for that of no miss


#: Which of the true pedestrians a detector is to find, all others are to be ignored: least and
#: greatest height in pixels, both inclusive, and occlusion, 0 none, 1 partial, 2 heavy (None: any).
#: The first eight are the experiments of KAIST (Hwang et al., CVPR 2015) with the "All" of its
#: leaderboard, the last two are of that leaderboard's Python evaluation.
SETTINGS = {
    "Reasonable": (55, math.inf, (0, 1)),
    "All": (20, math.inf, None),
    "near": (115, math.inf, (0,)),
    "medium": (45, 115, (0,)),
    "far": (1, 45, (0,)),
    "none": (1, math.inf, (0,)),
    "partial": (1, math.inf, (1,)),
    "heavy": (1, math.inf, (2,)),
    "Reasonable_small": (50, 75, (0, 1)),
    "Reasonable_occ=heavy": (50, math.inf, (2,)),
}
DEFAULT_SETTINGS = tuple(SETTINGS)[:8]


@dataclass(frozen=True)
class MissRateCurve:
    """Miss rate over false positives per image, from the strictest threshold to the laxest."""

    fppi: np.ndarray  # (D,) float64, after each of the D detections that count
    miss_rate: np.ndarray  # (D,) float64 in [0, 1]
    at_points: np.ndarray  # (9,) float64, at FPPI_POINTS; no miss at all is MIN_RATE
    objects: int  # number of pedestrians to be found
    images: int

    @property
    def log_average(self) -> float:
        """The log-average miss rate in [0, 1], geometric mean of ``at_points``."""
        with np.errstate(divide="ignore"):
            return float(np.exp(np.log(self.at_points).mean()))


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
        base: see mmengine's ``BaseMetric``.

    Raises:
        KeyError, ValueError: an unknown setting, a data set or sample without the occlusion that a
            setting needs, or a sample that cannot be scored, see :mod:`mmspec.evaluation.samples`;
            the message names the file or image.
    """

    default_prefix = "MR"
    curves: dict[tuple[str, str], MissRateCurve]

    def __init__(self, settings: Sequence[str] = DEFAULT_SETTINGS, **base: Any) -> None:
        super().__init__(**base)
        if unknown := [name for name in settings if name not in SETTINGS]:
            raise ValueError(f"settings: unknown {unknown}; known: {', '.join(SETTINGS)}")
        self.settings = tuple(settings)
        self.curves = {}

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        """Refuse what cannot be scored before a training, not hours later at its validation."""
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
        occlusion, ignored = rows[:, 4].astype(np.int64), rows[:, 5] > 0
        boxes, of_id_0 = to_xywh(rows[:, :4]), np.zeros(len(rows), bool)
        truth = Truth(frames, np.array(sizes), image, boxes, occlusion, ignored, of_id_0)
        image, rows = rows_of_images(found)
        detections = Detections(image, to_xywh(rows[:, :4]), rows[:, 5])
        self.curves = evaluate_miss_rate(truth, detections, self.settings)
        metrics = {f"{name}/{time}": math.nan for name in self.settings for time in TIMES}
        metrics |= {"/".join(key): 100 * x.log_average for key, x in self.curves.items()}
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
    needing = [setting for setting in settings if SETTINGS[setting][2]]
    if needing and (~ignored & (occlusion == NOT_TOLD)).any():
        raise KeyError(
            f"{name}: a true box has no 'occlusion', by which {', '.join(needing)} choose. Take an"
            " annotation that has it, KAIST_annotation.json say, or the setting All alone"
        )


def to_xywh(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) of corners x1, y1, x2, y2 as x, y, width, height."""
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def evaluate_miss_rate(
    truth: Truth,
    detections: Detections,
    settings: Sequence[str] = DEFAULT_SETTINGS,
    as_reference: bool = False,
) -> dict[tuple[str, str], MissRateCurve]:
    """Curves by (setting, time), without those that have no pedestrian to be found.

    Args:
        truth, detections: of all images.
        settings: names among :data:`SETTINGS`.
        as_reference: with the habits of KAIST's Python evaluation (``evaluation_script.py`` of
            sejong-rcv/MLPD-Multi-Label-Pedestrian-Detection):

            * pedestrians in images without a detection are not counted, although the images are;
            * the pedestrian whose annotation has the id 0 is never found, and what finds it is
              false: the id also stands for "nothing found";
            * where an image's detections do not come by falling score, their boxes change places,
              as the overlaps are sorted by score twice;
            * a point that even the strictest threshold exceeds, as in fewer than 100 images may be,
              takes the miss rate of the laxest one, not 1;
            * without a miss at one of the points the average is 0.

            One habit is left out: of several settings run on one copy of the truth each inherits
            what those before it ignored. Here, as in its own program, each starts anew.

    Raises:
        KeyError: a setting chooses by occlusion, which a true box does not tell.
    """
    _check_occlusion(settings, truth.occlusion, truth.ignored, "the annotation")
    night = [is_night(frame) for frame in truth.frames]
    sets = dict(zip(TIMES, ((True, False, None), (False,), (True,))))
    chosen = {time: np.array([is_it in known for is_it in night]) for time, known in sets.items()}
    if as_reference:
        detections = _sorted_twice(detections)
    found, true = best_of_each(_table(detections), MAX_DETECTIONS), _table(truth)
    best_first = np.argsort(-found.scores, kind="stable")
    image = found.image[best_first]
    counted = np.isin(truth.image, image) if as_reference else True
    curves = {}
    for name in settings:
        ignored = _ignored(truth, *SETTINGS[name])
        worth = np.where(ignored, NO_ACCOUNT, ~(truth.of_id_0 & as_reference))
        outcome = match(found, true, ignored, worth[:, None], np.array([IOU]))
        outcome = outcome[best_first, 0, 0]
        for time, images in chosen.items():
            if objects := int((~ignored & images[truth.image] & counted).sum()):
                of_time, number = outcome[images[image]], int(images.sum())
                curves[name, time] = miss_rate_curve(of_time, objects, number, as_reference)
    return curves


def _table(boxes: Truth | Detections) -> BoxTable:
    scores = getattr(boxes, "scores", boxes.image)  # of truth they mean nothing here
    return BoxTable(boxes.image, 0 * boxes.image, boxes.boxes[:, :2], boxes.boxes[:, 2:], scores)


def _sorted_twice(detections: Detections) -> Detections:
    """As KAIST's evaluation has them, which sorts the overlaps of an image by score once more."""
    by_image = np.argsort(detections.image, kind="stable")
    ranked = np.lexsort((-detections.scores, detections.image))
    boxes = detections.boxes.copy()
    boxes[ranked] = detections.boxes[ranked[np.argsort(by_image)[ranked]]]
    return Detections(detections.image, boxes, detections.scores)


def _ignored(
    truth: Truth, least: float, most: float, occlusions: tuple[int, ...] | None
) -> np.ndarray:
    """Which true boxes are to be ignored under a setting, (N,) bool."""
    height = truth.boxes[:, 3]
    ends = truth.boxes[:, :2] + truth.boxes[:, 2:]
    at_edge = (truth.boxes[:, :2] < BORDER) | (ends > truth.sizes[truth.image] - BORDER)
    ignored = truth.ignored | (height < least) | (height > most) | at_edge.any(axis=1)
    return ignored | ~np.isin(truth.occlusion, occlusions) if occlusions else ignored


def miss_rate_curve(
    outcome: np.ndarray, objects: int, images: int, as_reference: bool = False
) -> MissRateCurve:
    """The curve of detections, (D,) ``HIT``, ``FALSE`` or ``NO_ACCOUNT``, best scores first.

    Args:
        objects: number of pedestrians to be found, at least one.
        images: number of images, at least one.
        as_reference: see :func:`evaluate_miss_rate`.
    """
    hit = outcome[outcome != NO_ACCOUNT] == HIT
    fppi = (~hit).cumsum() / images
    miss_rate = 1 - hit.cumsum() / objects
    # Index 0 stands for the threshold that no detection passes.
    last = np.searchsorted(fppi, FPPI_POINTS, side="right")
    of_none = miss_rate[-1:] if as_reference and len(hit) else [1.0]
    at_points = np.concatenate([of_none, miss_rate])[last]
    at_points = at_points.clip(0 if as_reference else MIN_RATE)
    return MissRateCurve(fppi, miss_rate, at_points, objects, images)
