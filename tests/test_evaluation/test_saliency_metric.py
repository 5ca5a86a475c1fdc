"""Saliency metrics against cases done by hand, a slow reference and pysodmetrics on files."""

import logging
import math
import pickle
import sys

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.logging import MMLogger

from mmspec.evaluation import SaliencyMetric
from mmspec.evaluation.saliency import THRESHOLDS
from mmspec.evaluation.table import markdown_table
from mmspec.registry import METRICS

py_sod_metrics = pytest.importorskip("py_sod_metrics")

SIZE = (16, 16)
PIXELS = 256
NAMES = ["S", "maxF", "meanF", "adpF", "maxE", "meanE", "adpE", "wF", "MAE"]
#: F where all is predicted and a quarter is salient: precision 1/4, recall 1.
ALL = 1.3 * 0.25 / (0.3 * 0.25 + 1)
#: E of a map that is the same everywhere, and of a perfect one.
FLAT, PERFECT = 0.25 * PIXELS / (PIXELS - 1), PIXELS / (PIXELS - 1)


def box(columns=(4, 12)):
    """A quarter of the pixels, far enough from the border for the 7 x 7 window of wF."""
    mask = np.zeros(SIZE, bool)
    mask[4:12, slice(*columns)] = True
    return mask


def sample(truth, probability, name="a/1.png", **more):
    return dict(
        img_path=name,
        gt_sem_seg=dict(data=torch.as_tensor(truth).to(torch.uint8)[None]),
        seg_logits=dict(data=torch.as_tensor(probability, dtype=torch.float64)[None]),
        **more,
    )


def evaluate(*samples, metric=None):
    metric = metric or SaliencyMetric()
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_built_by_name_and_with_a_prefix():
    metric = METRICS.build(dict(type="mmspec.SaliencyMetric", prefix="sod"))
    found = evaluate(sample(box(), box()), metric=metric)
    assert list(found) == [f"sod/{name}" for name in NAMES]
    assert all(isinstance(value, float) for value in found.values())


@pytest.mark.parametrize("levels", [(0, 1), (0.1, 0.9), (0.4, 0.4001)])
def test_a_perfect_map_whatever_its_range(levels):
    lowest, highest = levels
    found = evaluate(sample(box(), lowest + (highest - lowest) * box()))
    assert found == pytest.approx(
        {
            "S": 1,
            "maxF": 1,
            "meanF": (255 + ALL) / 256,  # at threshold 0 all is predicted
            "adpF": 1,
            "maxE": PERFECT,
            "meanE": (255 * PERFECT + FLAT) / 256,
            "adpE": PERFECT,
            "wF": 1,
            "MAE": 0,
        },
        abs=1e-9,
    )


def test_an_inverted_map():
    assert evaluate(sample(box(), ~box())) == pytest.approx(
        {
            "S": 0,
            "maxF": ALL,
            "meanF": ALL / 256,
            "adpF": 0,
            "maxE": FLAT,
            "meanE": FLAT / 256,
            "adpE": 0,
            "wF": 0,
            "MAE": 1,
        },
        abs=1e-9,
    )


def test_a_constant_map_is_not_stretched():
    at = np.argwhere(box())
    distance = [
        min(math.hypot(row - r, column - c) for r, c in at) for row, column in np.argwhere(~box())
    ]
    false = sum(0.5 * (2 - 0.5 ** (d / 5)) for d in distance)  # farther errors weigh more
    precision, recall = 32 / (32 + false), 0.5
    assert evaluate(sample(box(), np.full(SIZE, 0.5))) == pytest.approx(
        {
            "S": 0.5 * 0.8,  # 2 * 0.5 / (0.5^2 + 1) of both sides, no structure
            "maxF": ALL,
            "meanF": ALL / 2,
            "adpF": 0,  # twice the mean is 1, which no pixel reaches
            "maxE": FLAT,
            "meanE": FLAT,
            "adpE": FLAT,
            "wF": 2 * precision * recall / (precision + recall),
            "MAE": 0.5,
        },
        abs=1e-9,
    )


def test_half_of_the_object():
    found = evaluate(sample(box(), box((4, 8))))
    half = 1.3 * 0.5 / (0.3 + 0.5)
    assert found["MAE"] == pytest.approx(32 / PIXELS)
    assert found["maxF"] == found["adpF"] == pytest.approx(half)
    assert found["meanF"] == pytest.approx((255 * half + ALL) / 256)


def test_truth_without_a_salient_pixel(caplog):
    logger = MMLogger.get_instance("saliency", logger_name="saliency")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        found = evaluate(sample(np.zeros(SIZE), box() * 0.5), sample(box(), box()))
    # Stretched, a quarter of the map is 1.
    assert found["S"] == pytest.approx((0.75 + 1) / 2)
    assert found["maxF"] == found["wF"] == pytest.approx(0.5)
    assert found["MAE"] == pytest.approx(0.125)
    assert found["adpE"] == pytest.approx((0.75 * PERFECT + PERFECT) / 2)
    assert "the data set: 1 of 2 images have no salient pixel" in caplog.text


def test_two_channels_are_a_softmax():
    logits = torch.randn(2, *SIZE, generator=torch.Generator().manual_seed(0)) * 5
    one = sample(box(), logits.double().softmax(0)[1])
    two = sample(box(), np.zeros(SIZE))
    two["seg_logits"]["data"] = logits
    assert evaluate(two) == pytest.approx(evaluate(one), abs=1e-9)


def test_each_data_set_on_its_own():
    good, bad = sample(box(), box(), dataset_name="A"), sample(box(), ~box(), dataset_name="B")
    metric = SaliencyMetric()
    found = evaluate(good, bad, good, sample(box(), box((4, 8))), metric=metric)
    assert set(found) == {f"{part}{name}" for part in ("A/", "B/", "") for name in NAMES}
    assert (found["A/MAE"], found["B/MAE"], found["MAE"]) == (0, 1, 0.125)
    assert list(metric.curves) == ["A", "B", ""]
    # The second evaluation forgets the first.
    assert list(evaluate(bad, metric=metric)) == [f"B/{name}" for name in NAMES]
    assert list(metric.curves) == ["B"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.index_put((torch.tensor(3), torch.tensor(4)), torch.tensor(math.nan)),
         r"b/7\.png: 1 of 256 scores are NaN or infinite"),
        (lambda p: p * 9 - 4, r"b/7\.png: one channel of scores from -4 to 5, not probabilities"),
        (lambda p: p[:8], r"b/7\.png: its label is 16 x 16 pixels, its scores 16 x 8"),
    ],
)  # fmt: skip
def test_scores_that_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        evaluate(sample(box(), change(torch.as_tensor(box()).float()), "b/7.png"))


def test_truth_and_channels_that_are_refused():
    with pytest.raises(
        ValueError, match=r"b/7\.png: its label holds 255; allowed: 0 background, 1 salient"
    ):
        evaluate(sample(np.where(box(), 255, 0), box(), "b/7.png"))
    three = sample(box(), box(), "b/7.png")
    three["seg_logits"]["data"] = torch.zeros(3, *SIZE)
    with pytest.raises(ValueError, match=r"b/7\.png: 3 channels"):
        evaluate(three)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "py_sod_metrics", None)
    with pytest.raises(ImportError, match=r"pip install 'pysodmetrics>=1.6'"):
        SaliencyMetric()


def test_table_of_several_data_sets():
    rows = [{"data": "A", "S": 0.9004, "MAE": 0.02}, {"data": "B", "S": math.nan, "MAE": 1.0}]
    assert markdown_table(rows, digits=3) == (
        "| data | S | MAE |\n| ---: | ---: | ---: |\n| A | 0.900 | 0.020 |\n| B | - | 1.000 |"
    )


# ---- a slow, obvious reference, and the package on what a file holds -----------------------------


def random_maps(count=4):
    """8-bit maps and masks of blobs, in several sizes."""
    rng = np.random.default_rng(3)
    for _ in range(count):
        size = tuple(rng.integers(12, 30, 2))
        truth = np.zeros(size, bool)
        row, column = rng.integers(0, 8, 2)
        truth[row : row + rng.integers(2, 12), column : column + rng.integers(2, 12)] = True
        levels = 30 + 120 * truth + rng.integers(-25, 60, size)
        yield truth, levels.astype(np.uint8)


def test_curves_and_max_f_of_a_slow_reference():
    metric = SaliencyMetric()
    maps = list(random_maps())
    found = evaluate(*(sample(truth, levels / 255) for truth, levels in maps), metric=metric)
    curves = metric.curves[""]
    best = 0
    for index, threshold in enumerate(THRESHOLDS.tolist()):
        precisions, recalls, fs = [], [], []
        for truth, levels in maps:
            low, high = levels.min() / 255, levels.max() / 255
            hits = predicted = 0
            for salient, level in zip(truth.ravel().tolist(), levels.ravel().tolist()):
                if int((level / 255 - low) / (high - low) * 255) >= threshold:
                    predicted += 1
                    hits += salient
            precision, recall = hits / predicted, hits / truth.sum()
            precisions.append(precision)
            recalls.append(recall)
            fs.append(1.3 * precision * recall / (0.3 * precision + recall) if hits else 0)
        assert curves.precision[index] == pytest.approx(np.mean(precisions), abs=1e-12)
        assert curves.recall[index] == pytest.approx(np.mean(recalls), abs=1e-12)
        assert curves.f_measure[index] == pytest.approx(np.mean(fs), abs=1e-12)
        best = max(best, np.mean(fs))
    assert found["maxF"] == pytest.approx(best, abs=1e-12)
    assert found["meanF"] == pytest.approx(curves.f_measure.mean(), abs=1e-12)
    assert (np.diff(curves.recall) >= 0).all() and curves.recall[-1] == 1


@pytest.mark.filterwarnings("ignore:This class will be removed")
def test_same_as_pysodmetrics_on_files():
    maps = list(random_maps())
    found = evaluate(*(sample(truth, levels / 255) for truth, levels in maps))
    names = ("Smeasure", "Emeasure", "WeightedFmeasure", "MAE", "Fmeasure")
    measures = {name: getattr(py_sod_metrics, name)() for name in names}
    for truth, levels in maps:
        for measure in measures.values():
            measure.step(levels, truth.astype(np.uint8) * 255)
    expected = {name: measure.get_results() for name, measure in measures.items()}
    f, e = expected["Fmeasure"]["fm"], expected["Emeasure"]["em"]
    assert found == pytest.approx(
        {
            "S": expected["Smeasure"]["sm"],
            "maxF": f["curve"].max(),
            "meanF": f["curve"].mean(),
            "adpF": f["adp"],
            "maxE": e["curve"].max(),
            "meanE": e["curve"].mean(),
            "adpE": e["adp"],
            "wF": expected["WeightedFmeasure"]["wfm"],
            "MAE": expected["MAE"]["mae"],
        },
        abs=1e-12,
    )


# ---- memory and processes ------------------------------------------------------------------------


def test_an_image_costs_the_same_whatever_its_size():
    costs = []
    for size in (SIZE, (150, 200)):
        metric = SaliencyMetric()
        truth = np.zeros(size, bool)
        truth[3:9, 3:9] = True
        metric.process({}, [sample(truth, np.random.default_rng(0).random(size))])
        costs.append(len(pickle.dumps(metric.results)))
    assert costs[0] == pytest.approx(costs[1], abs=16)
    assert costs[0] < 10_000


def five_samples():
    return [
        sample(truth, levels / 255, dataset_name="AB"[number % 2])
        for number, (truth, levels) in enumerate(random_maps(5))
    ]


def one_of_two(rank, folder):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    samples = five_samples()
    metric = SaliencyMetric()
    # mmengine's sampler fills the last round up with the first sample again.
    for index in (0, 2, 4) if rank == 0 else (1, 3, 0):
        metric.process({}, [samples[index]])
    torch.save((metric.evaluate(5), list(metric.curves)), f"{folder}/{rank}.pt")
    # Left to the interpreter's end, gloo's threads now and then abort the process.
    torch.distributed.destroy_process_group()


def test_two_processes_find_what_one_does(tmp_path):
    mp.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    alone = evaluate(*five_samples())
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in (0, 1)]
    assert found == [(alone, ["A", "B"]), (alone, [])]


@pytest.mark.parametrize("label", [0.5, math.nan])
def test_labels_between_classes_are_refused(label):
    odd = sample(box(), box(), "b/7.png")
    odd["gt_sem_seg"]["data"] = odd["gt_sem_seg"]["data"].float()
    odd["gt_sem_seg"]["data"][0, 3, 3] = label
    with pytest.raises(ValueError, match=rf"b/7\.png: its label holds {label};.*wrong are 1 of"):
        evaluate(odd)


def test_a_sample_without_scores_is_named():
    without = sample(box(), box(), "b/7.png")
    del without["seg_logits"]
    with pytest.raises(KeyError, match=r"b/7\.png: it came without 'seg_logits'"):
        evaluate(without)
