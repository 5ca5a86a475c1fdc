"""Metrics of salient object detection, on probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmspec.registry import METRICS

from .samples import scored_and_true
from .table import log_table

BETA_SQUARED = 0.3
ALPHA = 0.5
COLUMNS = ("S", "maxF", "meanF", "adpF", "maxE", "meanE", "adpE", "wF", "MAE")
SINGLE = ("S", "adpF", "adpE", "wF", "MAE")  # those that are no curves of thresholds
MEANINGS = {0: "background", 1: "salient"}
#: Of the curves, strictest first; a pixel is salient where its level of 0..255 reaches it.
THRESHOLDS = np.arange(255, -1, -1)


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

    Raises:
        ImportError: pysodmetrics is not installed.
        KeyError, ValueError: a sample that cannot be scored, see :mod:`mmspec.evaluation.samples`;
            the message names its image.
    """

    default_prefix = ""  # none, and no warning of it
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
            scores = score_image(probability, truth == 1).tobytes()
            salient = bool((truth == 1).any())
            self.results.append((sample.get("dataset_name", ""), scores, salient))

    def compute_metrics(self, results: list[tuple[str, bytes, bool]]) -> dict[str, float]:
        by_dataset: dict[str, list[tuple[bytes, bool]]] = {}
        for dataset, *scores in results:
            by_dataset.setdefault(dataset, []).append(scores)
        rows = []
        self.curves = {}
        for dataset, images in by_dataset.items():
            scores, salient = zip(*images)
            means = np.mean([np.frombuffer(values) for values in scores], axis=0)
            curves = SaliencyCurves(*means[len(SINGLE) :].reshape(4, -1))
            self.curves[dataset], row = curves, dict(zip(SINGLE, means.tolist()))
            for name, curve in (("F", curves.f_measure), ("E", curves.e_measure)):
                row |= {f"max{name}": float(curve.max()), f"mean{name}": float(curve.mean())}
            rows.append({"data": dataset or "-", "images": str(len(images))})
            rows[-1] |= {name: row[name] for name in COLUMNS}
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


def score_image(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Scores of a map (H, W) float64 in [0, 1] against its truth (H, W) bool.

    Returns:
        (5 + 4 * 256,) float64: ``SINGLE``, then precision, recall, F and E at ``THRESHOLDS``.
    """
    import py_sod_metrics as sod  # late: it brings scikit-learn, which no other task needs

    handlers = dict(
        f=sod.FmeasureHandler(with_dynamic=True, with_adaptive=True, beta=BETA_SQUARED),
        p=sod.PrecisionHandler(with_dynamic=True, with_adaptive=False),
        r=sod.RecallHandler(with_dynamic=True, with_adaptive=False),
    )
    # They keep what they saw, so that each image gets its own.
    measures = [sod.Smeasure(ALPHA), sod.Emeasure(), sod.WeightedFmeasure(), sod.MAE()]
    measures.append(sod.FmeasureV2(handlers))
    found, lowest, highest = {}, probability.min(), probability.max()
    if lowest < highest:
        probability = (probability - lowest) / (highest - lowest)
    for measure in measures:
        measure.step(probability, truth, normalize=False)
        found |= measure.get_results()
    single = [found["sm"], found["f"]["adaptive"], found["em"]["adp"], found["wfm"], found["mae"]]
    return np.concatenate([single, *(found[x]["dynamic"] for x in "prf"), found["em"]["curve"]])
