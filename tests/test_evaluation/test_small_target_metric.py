"""Small-target metrics against cases done by hand and a slow reference."""

import logging
import math
import pickle
from collections import deque

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.logging import MMLogger

from mmspec.evaluation import SmallTargetMetric
from mmspec.evaluation.small_target import (
    BINS,
    find_components,
    match_targets,
    roc_curve,
    score_histogram,
)
from mmspec.registry import METRICS

SIZE = (64, 64)


def mask(*boxes, size=SIZE):
    """Pixels of boxes (row, column, height, width)."""
    pixels = np.zeros(size, np.uint8)
    for row, column, height, width in boxes:
        pixels[row : row + height, column : column + width] = 1
    return pixels


def sample(truth, probability, name="a/1.png"):
    return dict(
        img_path=name,
        gt_sem_seg=dict(data=torch.as_tensor(truth).to(torch.uint8)[None]),
        seg_logits=dict(data=torch.as_tensor(probability, dtype=torch.float32)[None]),
    )


def evaluate(*samples, metric=None):
    metric = metric or SmallTargetMetric()
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def of_masks(truth, predicted):
    return evaluate(sample(truth, predicted * 0.8 + 0.1))


def test_built_by_name_and_never_called_miou():
    metric = METRICS.build(dict(type="mmspec.SmallTargetMetric", prefix="irstd"))
    found = evaluate(sample(mask((1, 1, 2, 2)), mask((1, 1, 2, 2))), metric=metric)
    assert list(found) == [f"irstd/{name}" for name in ("IoU", "nIoU", "F1", "Pd", "Fa", "AUC")]


def test_a_hit():
    found = of_masks(mask((10, 10, 2, 3)), mask((10, 10, 2, 2)))
    assert found == pytest.approx(
        {
            "IoU": 100 * 4 / 6,
            "nIoU": 100 * 4 / 6,
            "F1": 100 * 2 * 1 * (4 / 6) / (1 + 4 / 6),
            "Pd": 100,
            "Fa": 0,
            # 4 of 6 target pixels above all background, 2 tied with it.
            "AUC": 4 / 6 + 2 / 6 / 2,
        }
    )


@pytest.mark.parametrize(
    ("truth", "predicted", "distance", "hit"),
    [
        # Centroids (5, 14.5) and (5.1, 17.4), of ten pixels each.
        (mask((5, 10, 1, 10)), mask((5, 13, 1, 9), (6, 21, 1, 1)), math.hypot(0.1, 2.9), True),
        (mask((10, 10, 3, 3)), mask((10, 13, 3, 3)), 3.0, False),
        (mask((10, 10, 3, 3)), mask((12, 12, 3, 3)), math.sqrt(8), True),
    ],
)
def test_near_misses(truth, predicted, distance, hit):
    alarms, targets = find_components(predicted == 1), find_components(truth == 1)
    assert np.hypot(*(alarms.centroids - targets.centroids)[0]) == pytest.approx(distance)
    found = of_masks(truth, predicted)
    assert found["Pd"] == 100 * hit
    assert found["Fa"] == pytest.approx(0 if hit else 1e6 * predicted.sum() / truth.size)


@pytest.mark.parametrize("shift", [(0, 3), (3, 0)])
def test_exactly_three_pixels_is_a_miss_whatever_the_rounding(shift):
    # Centroids with thirds are not floats; their distance must not round to under 3.
    for row in range(40):
        truth, predicted = np.zeros((2, *SIZE), bool)
        for r, c in ((0, 0), (0, 1), (1, 1)):
            truth[row + r, row + c] = predicted[row + r + shift[0], row + c + shift[1]] = True
        assert match_targets(find_components(predicted), find_components(truth)).tolist() == [-1]


def test_two_predictions_near_one_target():
    truth = mask((20, 20, 5, 5))
    predicted = mask((20, 20, 2, 5), (23, 20, 2, 5))
    found = of_masks(truth, predicted)
    assert found["Pd"] == 100
    assert found["Fa"] == pytest.approx(1e6 * 10 / 64**2)  # one serves, the other is false
    assert found["IoU"] == 100 * 20 / 25


def test_one_prediction_serves_one_target():
    found = of_masks(mask((20, 20, 1, 1), (20, 22, 1, 1)), mask((20, 21, 1, 1)))
    assert found["Pd"] == 50
    assert found["Fa"] == 0


def test_matching_is_greedy_in_raster_order():
    # The first target takes the first prediction, although the second one is nearer to it.
    predicted = find_components(mask((10, 10, 1, 1), (11, 12, 1, 1)) == 1)
    true = find_components(mask((11, 12, 1, 1), (12, 14, 1, 1)) == 1)
    assert match_targets(predicted, true).tolist() == [0, 1]


def test_equal_area_false_alarms_count():
    truth = mask((5, 5, 2, 2))
    predicted = mask((5, 5, 2, 2), (40, 40, 2, 2), (50, 10, 2, 2))
    assert of_masks(truth, predicted)["Fa"] == pytest.approx(1e6 * 8 / 64**2)


def test_diagonal_neighbours_are_one_target():
    found = of_masks(mask((5, 5, 1, 1), (6, 6, 1, 1)), mask((5, 5, 1, 1), (6, 6, 1, 1)))
    assert len(find_components(mask((5, 5, 1, 1), (6, 6, 1, 1)) == 1)) == 1
    assert found["Pd"] == found["IoU"] == 100


def test_empty_truth_with_and_without_false_alarm():
    hit = sample(mask((5, 5, 2, 2)), mask((5, 5, 2, 2)))
    empty = sample(mask(), mask() + 0.2)
    alarm = sample(mask(), mask((1, 1, 1, 3)))
    found = evaluate(hit, empty, alarm)
    assert found["nIoU"] == pytest.approx(100 * (1 + 1 + 0) / 3)
    assert found["IoU"] == pytest.approx(100 * 4 / 7)
    assert found["Fa"] == pytest.approx(1e6 * 3 / (3 * 64**2))
    assert found["Pd"] == 100


def test_nothing_labelled_is_undefined_and_said(caplog):
    logger = MMLogger.get_instance("small_target", logger_name="small_target")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        found = evaluate(sample(mask(), mask() + 0.1))
    assert all(math.isnan(found[name]) for name in ("IoU", "F1", "Pd", "AUC"))
    assert found["nIoU"] == 100 and found["Fa"] == 0
    assert "IoU, F1, Pd, AUC: undefined, as 0 targets of 0 pixels" in caplog.text


def test_empty_prediction():
    found = of_masks(mask((5, 5, 2, 2)), mask())
    assert found == {"IoU": 0, "nIoU": 0, "F1": 0, "Pd": 0, "Fa": 0, "AUC": 0.5}


def test_all_ones_are_one_component():
    found = of_masks(mask((31, 31, 2, 2)), mask((0, 0, 64, 64)))
    assert found["Pd"] == 100 and found["Fa"] == 0  # centroids agree
    assert found["IoU"] == 100 * 4 / 64**2
    found = of_masks(mask((5, 5, 2, 2)), mask((0, 0, 64, 64)))
    assert found["Pd"] == 0 and found["Fa"] == 1e6


def test_the_threshold_is_one_half_exclusive():
    at, above = mask() + 0.5, mask() + 0.5 + 1e-6
    truth = mask((0, 0, 64, 64))
    assert evaluate(sample(truth, at))["IoU"] == 0
    assert evaluate(sample(truth, above))["IoU"] == 100


def test_another_threshold():
    truth = mask((5, 5, 2, 2))
    assert evaluate(sample(truth, truth * 0.25), metric=SmallTargetMetric(0.2))["IoU"] == 100
    assert evaluate(sample(truth, truth * 0.25), metric=SmallTargetMetric(0.25))["IoU"] == 0


def test_subsets_are_scored_beside_all(tmp_path):
    (tmp_path / "clean.txt").write_text("a/1\n3.png\n")
    truth = mask((5, 5, 2, 2))
    images = [(truth, "data/a/1.png"), (mask(), "data/a/2.png"), (truth, "data/b/3.png")]
    samples = [sample(truth, found, name) for found, name in images]
    subsets = dict(clean=str(tmp_path / "clean.txt"))
    metric = SmallTargetMetric(subsets=subsets)
    found = evaluate(*samples, metric=metric)
    assert found["Pd"] == pytest.approx(200 / 3) and found["clean/Pd"] == 100
    assert metric.roc.area == found["AUC"] < found["clean/AUC"]
    clean = evaluate(samples[0], samples[2])
    assert {name: found[f"clean/{name}"] for name in clean} == clean
    with pytest.raises(
        ValueError, match="subset 'clean': 1 of 2 names fit no tested image, .* is 3$"
    ):
        evaluate(*samples[:2], metric=SmallTargetMetric(subsets=subsets))
    twice = sample(truth, truth, "data/c/3.png")
    with pytest.raises(ValueError, match="clean': 3 may be data/b/3.png or data/c/3.png"):
        evaluate(*samples, twice, metric=SmallTargetMetric(subsets=subsets))


def test_two_channels_are_a_softmax():
    truth = mask((10, 10, 3, 3))
    logits = torch.randn(2, *SIZE, generator=torch.Generator().manual_seed(0)) * 5
    two = sample(truth, logits.softmax(0)[1])
    two["seg_logits"]["data"] = logits
    one = sample(truth, logits.softmax(0)[1])
    assert evaluate(two) == pytest.approx(evaluate(one), abs=1e-4)
    two["seg_logits"]["data"] = logits.half()
    assert evaluate(two)["Pd"] == evaluate(one)["Pd"]


def test_ignored_pixels_count_nowhere():
    truth, predicted = mask((10, 10, 2, 2), (30, 30, 2, 2)), mask((10, 10, 2, 2), (50, 50, 4, 4))
    truth[28:34, 28:34] = 255
    truth[48:58, 48:58] = 255
    found = of_masks(truth, predicted)
    assert found["IoU"] == found["Pd"] == 100 and found["Fa"] == 0
    assert found["AUC"] == 1
    predicted[0, 0] = 1
    assert of_masks(truth, predicted)["Fa"] == pytest.approx(1e6 / (64**2 - 36 - 100))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.index_put((torch.tensor(3), torch.tensor(4)), torch.tensor(math.nan)),
         r"b/7\.png: 1 of 4,096 scores are NaN or infinite"),
        (lambda p: p / 0, r"b/7\.png: 4,096 of 4,096 scores are NaN"),
        (lambda p: p * 9 - 4, r"b/7\.png: one channel of scores from -4 to 5, not probabilities"),
        (lambda p: p[:32], r"b/7\.png: its label is 64 x 64 pixels, its scores 64 x 32"),
    ],
)  # fmt: skip
def test_scores_that_are_refused(change, message):
    scores = torch.as_tensor(mask((5, 5, 2, 2))).float()
    with pytest.raises(ValueError, match=message):
        evaluate(sample(mask(), change(scores), "b/7.png"))


def test_labels_and_channels_that_are_refused():
    with pytest.raises(ValueError, match=r"b/7\.png: its label holds 2, 38;"):
        evaluate(sample(mask() + 2 + 36 * mask((1, 1, 1, 1)), mask(), "b/7.png"))
    three = sample(mask(), mask(), "b/7.png")
    three["seg_logits"]["data"] = torch.zeros(3, *SIZE)
    with pytest.raises(ValueError, match=r"b/7\.png: 3 channels"):
        evaluate(three)
    unlabelled = sample(mask(), mask(), "b/7.png")
    del unlabelled["gt_sem_seg"]
    with pytest.raises(ValueError, match=r"b/7\.png: no label.*LoadSegmentationLabels"):
        evaluate(unlabelled)


def test_same_as_an_independent_implementation():
    """Numbers of pyirstdmetrics 1.0.1 (MIT), which asks for numpy < 2, on the same two images."""
    truths = [
        mask((10, 10, 3, 4), (30, 40, 2, 2), (50, 20, 5, 1)),
        mask((20, 20, 4, 4), (40, 50, 1, 1)),
    ]
    # A hit a pixel off, a miss, a hit of twice the size, a false alarm of the area of the miss; two
    # parts of one target, of which one hits, a hit at 2.9 pixels, a false alarm of its area.
    predictions = [
        mask((10, 11, 3, 4), (31, 45, 2, 2), (49, 20, 5, 2), (5, 55, 2, 2)),
        mask((19, 20, 3, 4), (23, 20, 2, 4), (42, 51, 2, 2), (60, 3, 2, 2)),
    ]
    found = evaluate(*(sample(t, p * 0.8 + 0.1) for t, p in zip(truths, predictions)))
    del found["AUC"]  # not among theirs
    assert found == pytest.approx(
        {
            "IoU": 35.2112676056338,
            "nIoU": 35.28708133971292,
            "F1": 52.083333333333336,
            "Pd": 80,
            "Fa": 2441.40625,
        }
    )


# ---- a slow, obvious reference -------------------------------------------------------------------


def slow_components(pixels):
    """Lists of pixels of the 8-connected components, found in raster order."""
    left = {(r, c) for r in range(len(pixels)) for c in range(len(pixels[0])) if pixels[r][c]}
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        component, queue = [], deque([start])
        while queue:
            r, c = queue.popleft()
            component.append((r, c))
            for near in [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    queue.append(near)
        found.append(component)
    return found


def slow_metrics(pairs):
    both = either = predicted_total = true_total = pixels = targets = hits = alarm_pixels = 0
    image_scores = []
    for truth, predicted in pairs:
        intersection = int((truth & predicted).sum())
        union = int((truth | predicted).sum())
        both, either = both + intersection, either + union
        predicted_total, true_total = predicted_total + predicted.sum(), true_total + truth.sum()
        pixels += truth.size
        image_scores.append(intersection / union if union else 1)
        free = slow_components(predicted)
        for target in slow_components(truth):
            targets += 1
            for alarm in free:
                # Squared distance of centroids times the squared product of areas: whole numbers.
                n, m = len(target), len(alarm)
                rows = m * sum(r for r, _ in target) - n * sum(r for r, _ in alarm)
                columns = m * sum(c for _, c in target) - n * sum(c for _, c in alarm)
                if rows**2 + columns**2 < 9 * (n * m) ** 2:
                    hits += 1
                    free.remove(alarm)
                    break
        alarm_pixels += sum(len(alarm) for alarm in free)
    precision, recall = both / predicted_total, both / true_total
    return {
        "IoU": 100 * both / either,
        "nIoU": 100 * sum(image_scores) / len(image_scores),
        "F1": 100 * 2 * precision * recall / (precision + recall),
        "Pd": 100 * hits / targets,
        "Fa": 1e6 * alarm_pixels / pixels,
    }


def random_pairs(seed):
    """Masks of blobs, predictions that hit, stray and miss; some noise, some empty."""
    rng = np.random.default_rng(seed)
    for _ in range(6):
        size = tuple(rng.integers(12, 48, 2))
        truth, predicted = np.zeros((2, *size), bool)
        for _ in range(rng.integers(0, 9)):
            row, column, height, width = rng.integers(0, (*size, 4, 4))
            truth[row : row + height + 1, column : column + width + 1] = True
            down, right = rng.integers(-3, 4, 2)
            row, column = max(row + down, 0), max(column + right, 0)
            predicted[row : row + height + 1, column : column + width + 1] |= rng.random() < 0.8
        predicted ^= rng.random(size) < rng.choice([0, 0.02, 0.3])
        yield truth, predicted


@pytest.mark.parametrize("seed", range(40))
def test_same_as_a_slow_reference(seed):
    pairs = list(random_pairs(seed))
    found = evaluate(*(sample(truth, predicted * 0.7 + 0.2) for truth, predicted in pairs))
    expected = slow_metrics(pairs)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_components_are_in_raster_order(seed):
    pixels = np.random.default_rng(seed).random((40, 50)) < 0.2
    components, slow = find_components(pixels), slow_components(pixels)
    assert components.areas.tolist() == [len(component) for component in slow]
    for index, component in enumerate(slow):
        assert set(map(tuple, np.argwhere(components.labels == index + 1))) == set(component)
        assert components.centroids[index] == pytest.approx(np.mean(component, axis=0))


# ---- ROC -----------------------------------------------------------------------------------------


def exact_area(scores, target):
    positive, negative = scores[target][:, None], scores[~target][None]
    return ((positive > negative) + 0.5 * (positive == negative)).mean()


@pytest.mark.parametrize("spread", [0.05, 1, 4])
def test_area_is_within_its_stated_error(spread):
    rng = np.random.default_rng(7)
    logits = rng.normal(-6, 3 * spread, 3000)
    target = rng.random(3000) < 0.02
    logits[target] += 4 * spread
    scores = 1 / (1 + np.exp(-logits))
    curve = roc_curve(score_histogram(scores, target))
    assert abs(curve.area - exact_area(scores, target)) <= curve.area_error
    assert curve.area_error < (0.2 if spread == 0.05 else 0.01)


def test_area_is_exact_for_scores_in_different_bins():
    rng = np.random.default_rng(1)
    scores = rng.choice([0, 1e-9, 1e-4, 0.01, 0.3, 0.5, 0.9, 0.9999, 1], 400)
    target = rng.random(400) < 0.2 + 0.5 * scores
    curve = roc_curve(score_histogram(scores, target))
    assert curve.area == pytest.approx(exact_area(scores, target), abs=1e-12)
    for rate in (curve.false_positive_rate, curve.true_positive_rate):
        assert rate.shape == (BINS + 1,) and rate[0] == 0 and rate[-1] == pytest.approx(1)
        assert (np.diff(rate) >= 0).all()


def test_a_missed_target_in_the_dark_is_ranked():
    # Both background and target are far under 0.001: bins of the probability could not tell them.
    scores = np.r_[np.full(1000, 1e-7), np.full(5, 1e-4)]
    curve = roc_curve(score_histogram(scores, np.arange(1005) >= 1000))
    assert curve.area == 1 and curve.area_error == 0


# ---- memory and processes ------------------------------------------------------------------------


def test_an_image_costs_the_same_whatever_its_size():
    costs = []
    for size in ((16, 16), (700, 900)):
        metric = SmallTargetMetric()
        truth = mask((5, 5, 2, 2), size=size)
        scores = np.random.default_rng(0).random(size)
        metric.process({}, [sample(truth, scores)])
        costs.append(len(pickle.dumps(metric.results)))
    assert costs[0] == pytest.approx(costs[1], abs=16)
    assert costs[0] < 10_000


def five_samples():
    return [
        sample(truth, np.clip(predicted * 0.5 + noise, 0, 1))
        for seed in range(9, 14)
        for truth, predicted in [next(random_pairs(seed))]
        for noise in [np.random.default_rng(seed).random(truth.shape) * 0.5]
    ]


def one_of_two(rank, folder):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    samples = five_samples()
    metric = SmallTargetMetric()
    # mmengine's sampler fills the last round up with the first sample again.
    for index in (0, 2, 4) if rank == 0 else (1, 3, 0):
        metric.process({}, [samples[index]])
    torch.save(metric.evaluate(5), f"{folder}/{rank}.pt")
    # Left to the interpreter's end, gloo's threads now and then abort the process.
    torch.distributed.destroy_process_group()


def test_two_processes_find_what_one_does(tmp_path):
    mp.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    alone = evaluate(*five_samples())
    for rank in (0, 1):
        assert torch.load(tmp_path / f"{rank}.pt", weights_only=False) == alone


@pytest.mark.parametrize("label", [0.5, math.nan])
def test_labels_between_classes_are_refused(label):
    odd = sample(mask(), mask(), "b/7.png")
    odd["gt_sem_seg"]["data"] = odd["gt_sem_seg"]["data"].float()
    odd["gt_sem_seg"]["data"][0, 3, 3] = label
    with pytest.raises(ValueError, match=rf"b/7\.png: its label holds {label};.*wrong are 1 of"):
        evaluate(odd)


def test_a_sample_without_scores_is_named():
    without = sample(mask(), mask(), "b/7.png")
    del without["seg_logits"]
    with pytest.raises(KeyError, match=r"b/7\.png: it came without 'seg_logits'"):
        evaluate(without)
