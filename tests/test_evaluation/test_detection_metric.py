"""The detection metric against counts done by hand, pycocotools and mmdet's."""

import math
import sys

import numpy as np
import pytest
import torch

from mmspec.evaluation import DetectionMetric
from mmspec.evaluation.detection import _backend, table_row

CLASSES = ("Person", "Car", "Bus")


def sample(truth, predicted, image=0) -> dict:
    """truth: (box, label, ignore); predicted: (box, score, label)."""
    boxes, scores, labels = zip(*predicted) if predicted else ((), (), ())
    return dict(
        img_id=image,
        img_path=f"ir/{image:05d}.png",
        ori_shape=(480, 640),
        instances=[dict(bbox=b, bbox_label=c, ignore_flag=i) for b, c, i in truth],
        pred_instances=dict(
            bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            scores=torch.tensor(scores, dtype=torch.float32),
            labels=torch.tensor(labels, dtype=torch.int64),
        ),
    )


def evaluate(samples: list[dict], metric=None) -> dict:
    metric = DetectionMetric() if metric is None else metric
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def random_samples(count: int = 12) -> list[dict]:
    rng = np.random.default_rng(0)

    def boxes(number):
        corner = rng.uniform(0, 300, (number, 2))
        return np.concatenate([corner, corner + rng.uniform(8, 200, (number, 2))], 1)

    samples = []
    for image in range(count):
        true = boxes(rng.integers(1, 8))
        labels = rng.integers(0, 2, len(true))  # no bus
        truth = [(b.tolist(), int(c), int(rng.random() < 0.1)) for b, c in zip(true, labels)]
        near = true + rng.normal(0, 6, true.shape)
        found = [
            (b.tolist(), float(rng.random()), int(c))
            for b, c in zip(
                np.concatenate([near, boxes(4)]), np.concatenate([labels, rng.integers(0, 3, 4)])
            )
        ]
        samples.append(sample(truth, found, image))
    return samples


def test_by_hand():
    person, car = [10.0, 10, 50, 90], [100.0, 100, 200, 200]
    missed, small = [300.0, 300, 400, 400], [5.0, 5, 15, 15]
    samples = [
        sample(
            [(person, 0, 0), (car, 1, 0), (missed, 1, 0)],
            # A car whose IoU is 0.9 x 1 / 1 = 0.9, one false person below the true one.
            [
                (person, 0.9, 0),
                ([100.0, 100, 200, 190], 0.8, 1),
                ([400.0, 10, 440, 90], 0.3, 0),
            ],
        ),
        sample([(small, 0, 0)], [], 1),
    ]
    found = evaluate(samples)
    # One of two cars with precision 1 gives recalls 0 to 0.50: 51 of the 101 points.
    half = 100 * 51 / 101
    assert found["AP50/Person"] == pytest.approx(half)  # one of two, the false one comes later
    assert found["AP50/Car"] == pytest.approx(half)
    assert math.isnan(found["AP50/Bus"])
    assert found["AP50"] == pytest.approx(half)
    # Persons count at all ten IoUs, cars (0.9) at nine of them.
    assert found["mAP"] == pytest.approx((half + half * 0.9) / 2, abs=1e-9)
    assert found["AP_small"] == 0
    assert list(table_row(found, CLASSES)) == [*CLASSES, "mAP", "AP50", "AP_small"]


def test_ignored_truth_costs_nothing():
    box, crowd = [10.0, 10, 50, 90], [100.0, 100, 300, 300]
    found = evaluate(
        [sample([(box, 0, 0), (crowd, 0, 1)], [(box, 0.5, 0), ([150.0, 150, 200, 200], 0.9, 0)])]
    )
    assert found["AP50/Person"] == 100


def test_no_prediction_and_no_truth():
    nothing = evaluate([sample([([0.0, 0, 9, 9], 0, 0)], [])])
    assert nothing["mAP"] == nothing["AR100"] == nothing["AP50/Person"] == 0
    empty = evaluate([sample([], [([0.0, 0, 9, 9], 0.5, 0)])])
    assert math.isnan(empty["mAP"])


def test_same_numbers_without_faster_coco_eval(monkeypatch):
    pytest.importorskip("faster_coco_eval")
    fast = evaluate(random_samples())
    assert _backend()[0].__module__.startswith("faster_coco_eval")
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    assert _backend()[0].__module__.startswith("pycocotools")
    slow = evaluate(random_samples())
    assert 5 < fast["mAP"] < 95
    assert slow == pytest.approx(fast, nan_ok=True, abs=1e-9)


def test_same_means_as_mmdet():
    from mmdet.evaluation import CocoMetric

    ours = evaluate(random_samples())
    mmdet = evaluate(random_samples(), CocoMetric(prefix=""))
    names = dict(
        mAP="mAP",
        AP50="mAP_50",
        AP75="mAP_75",
        AP_small="mAP_s",
        AP_medium="mAP_m",
        AP_large="mAP_l",
    )
    for name, theirs in names.items():
        value = next(v for k, v in mmdet.items() if k.endswith(f"bbox_{theirs}"))
        assert ours[name] == pytest.approx(100 * value, abs=0.051), name


def test_samples_without_truth_say_what_to_do():
    without = sample([], [], 7)
    del without["instances"]
    with pytest.raises(KeyError, match=r"ir/00007.png.*meta_keys"):
        evaluate([without])


def test_values_that_are_not_finite():
    broken = sample([], [([0.0, 0, math.nan, 9], 0.5, 0)], 3)
    with pytest.raises(ValueError, match="ir/00003.png"):
        evaluate([broken])
