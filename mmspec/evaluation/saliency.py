"""Metrics of salient object detection, on probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmspec.registry import METRICS

from .foreground import scored_and_true
from .table import log_table

BETA_SQUARED = 0.3
ALPHA = 0.5
MEANINGS = {0: "background", 1: "salient"}
#: Of the curves, strictest first; a pixel is salient where its level of 0..255 reaches it.
THRESHOLDS = np.arange(255, -1, -1)


@dataclass(frozen=True)
class ImageScores:
    """What is kept of an image: 8 KB, whatever its size.

    Attributes:
        single: (5,) float64: S, weighted F, MAE, adaptive F, adaptive E.
        curves: (4, 256) float64: precision, recall, F and E at :data:`THRESHOLDS`.
        salient: whether the truth has a salient pixel.
    """

    single: np.ndarray
    curves: np.ndarray
    salient: bool


@dataclass(frozen=True)
class SaliencyCurves:
    """Means over the images of a data set at :data:`THRESHOLDS`, each (256,) float64."""

    precision: np.ndarray
    recall: np.ndarray
    f_measure: np.ndarray
    e_measure: np.ndarray


@METRICS.register_module()
class SaliencyMetric(BaseMetric):
    """S, F, E, weighted F and MAE of saliency maps, at the size of the truth, by pysodmetrics.

    ===================  =======================================================================
    name                 definition
    ===================  =======================================================================
    S                    structure measure, alpha 0.5 (Fan et al., ICCV 2017)
    maxF, meanF, adpF    F with beta^2 = 0.3 (Achanta et al., CVPR 2009)
    maxE, meanE, adpE    enhanced alignment measure (Fan et al., IJCAI 2018)
    wF                   weighted F, beta 1 (Margolin et al., CVPR 2014)
    MAE                  mean absolute error (Perazzi et al., CVPR 2012)
    ===================  =======================================================================

    All from 0 to 1, means over images. ``max`` and ``mean`` are those of the data set's mean curve
    over 256 thresholds; ``adp`` takes the map at twice its mean. E of a perfect map of n pixels is
    n / (n - 1), as its authors define it.

    As in the field each map is stretched to its own minimum and maximum before it is scored (what
    pysodmetrics does to image files, and most code bases before they write them); a constant one
    stays as it is. Files hold 256 levels, here the probabilities are not rounded before. M-SpecGene
    scored hard masks, whose S and MAE are others.

    Of an image without a salient pixel F and wF are 0 whatever is predicted, S is one minus the
    mean of the map, E the share of pixels that are not predicted; it counts, and the log says so.

    Images are put together by the ``dataset_name`` that their data set gives them (``VT5000`` ...;
    among ``meta_keys`` of ``PackSegInputs``), which comes before the names of their numbers:
    ``VT5000/S``. So one test scores each of several data sets on its own. After an evaluation
    ``curves`` holds the :class:`SaliencyCurves` of each, in the main process.

    Samples are those of mmseg: ``seg_logits`` of one channel, which mmseg hands over as
    probabilities (after its sigmoid), or of two (background and salient, before softmax), and
    ``gt_sem_seg`` of 0 and 1; every pixel counts.

    Args:
        collect_device, prefix: see mmengine's ``BaseMetric``.

    Raises:
        ImportError: pysodmetrics is not installed.
        KeyError: a sample without scores.
        ValueError: scores that are not finite, no probabilities or of another size than the truth;
            no truth, or one with values other than 0 and 1. The messages name the image.
    """

    curves: dict[str, SaliencyCurves]

    def __init__(self, collect_device: str = "cpu", prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        try:
            import py_sod_metrics  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"SaliencyMetric needs pysodmetrics, which cannot be imported ({error}): pip"
                " install 'pysodmetrics>=1.6'"
            ) from error
        self.curves = {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            probability, truth = scored_and_true(sample, MEANINGS)
            scores = score_image(probability, truth == 1)
            self.results.append(
                (
                    sample.get("dataset_name", ""),
                    scores.single.tobytes(),
                    scores.curves.tobytes(),
                    scores.salient,
                )
            )

    def compute_metrics(self, results: list[tuple[str, bytes, bytes, bool]]) -> dict[str, float]:
        by_dataset: dict[str, list[tuple[bytes, bytes, bool]]] = {}
        for dataset, *scores in results:
            by_dataset.setdefault(dataset, []).append(scores)
        rows = []
        self.curves = {}
        for dataset, images in by_dataset.items():
            single, curves, salient = zip(*images)
            single = np.mean([np.frombuffer(values) for values in single], axis=0)
            curves = np.mean([np.frombuffer(values).reshape(4, -1) for values in curves], axis=0)
            self.curves[dataset] = SaliencyCurves(*curves)
            rows.append({"data": dataset or "-", "images": str(len(images))})
            rows[-1] |= _row(single, self.curves[dataset])
            if without := salient.count(False):
                print_log(
                    f"{dataset or 'the data set'}: {without:,} of {len(images):,} images have no"
                    " salient pixel, and so 0 for F and wF whatever is predicted",
                    logger="current",
                )
        log_table(*rows, digits=3)
        return {
            f"{dataset}/{name}" if dataset else name: value
            for dataset, row in zip(by_dataset, rows)
            for name, value in row.items()
            if not isinstance(value, str)
        }


def stretched(probability: np.ndarray) -> np.ndarray:
    """A map from 0 to 1, whatever its own range was; a constant one as it is."""
    lowest, highest = probability.min(), probability.max()
    if lowest == highest:
        return probability
    return (probability - lowest) / (highest - lowest)


def score_image(probability: np.ndarray, truth: np.ndarray) -> ImageScores:
    """Scores of one map (H, W) float64 in [0, 1] against its truth (H, W) bool."""
    # Late: it brings scikit-learn along, which no other task needs.
    from py_sod_metrics import (
        MAE,
        Emeasure,
        FmeasureHandler,
        FmeasureV2,
        PrecisionHandler,
        RecallHandler,
        Smeasure,
        WeightedFmeasure,
    )

    handlers = dict(
        f=FmeasureHandler(with_dynamic=True, with_adaptive=True, beta=BETA_SQUARED),
        p=PrecisionHandler(with_dynamic=True, with_adaptive=False),
        r=RecallHandler(with_dynamic=True, with_adaptive=False),
    )
    # They keep what they saw, so that each image gets its own.
    measures = [Smeasure(ALPHA), Emeasure(), WeightedFmeasure(), MAE(), FmeasureV2(handlers)]
    found = {}
    probability = stretched(probability)
    for measure in measures:
        measure.step(probability, truth, normalize=False)
        found |= measure.get_results()
    single = [found["sm"], found["wfm"], found["mae"], found["f"]["adaptive"], found["em"]["adp"]]
    curves = [*(found[name]["dynamic"] for name in "prf"), found["em"]["curve"]]
    return ImageScores(np.array(single), np.stack(curves), bool(truth.any()))


def _row(single: np.ndarray, curves: SaliencyCurves) -> dict[str, float]:
    s, weighted_f, mae, adaptive_f, adaptive_e = single.tolist()
    return {
        "S": s,
        "maxF": float(curves.f_measure.max()),
        "meanF": float(curves.f_measure.mean()),
        "adpF": adaptive_f,
        "maxE": float(curves.e_measure.max()),
        "meanE": float(curves.e_measure.mean()),
        "adpE": adaptive_e,
        "wF": weighted_f,
        "MAE": mae,
    }
