"""The segmentation metric against counts done by hand and against mmseg's."""

import json
import logging

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric

from mmspec.evaluation import SegmentationMetric
from mmspec.evaluation.segmentation import table_row
from mmspec.evaluation.table import markdown_table
from mmspec.registry import DATASETS

CLASSES = ("Background", "Car", "Person")


def sample(truth, predicted) -> dict:
    return dict(
        img_path="a/00001D.png",
        gt_sem_seg=dict(data=torch.as_tensor(truth).to(torch.uint8)[None]),
        pred_sem_seg=dict(data=torch.as_tensor(predicted)[None]),
    )


def evaluate(samples: list[dict], classes=CLASSES, metric=None) -> dict:
    metric = SegmentationMetric() if metric is None else metric
    metric.dataset_meta = dict(classes=classes)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_by_hand():
    samples = [
        sample([[0, 0, 1, 1], [0, 0, 2, 255]], [[0, 1, 1, 1], [0, 0, 0, 2]]),
        sample([[2, 2]], [[2, 1]]),
    ]
    # Background: 3 of 4 found, one other predicted; car: both found, two others predicted; person:
    # 1 of 3 found.
    found = evaluate(samples)
    assert found == pytest.approx(
        {
            "IoU/Background": 100 * 3 / 5,
            "IoU/Car": 100 * 2 / 4,
            "IoU/Person": 100 * 1 / 3,
            "mIoU": 100 * (3 / 5 + 2 / 4 + 1 / 3) / 3,
            "mAcc": 100 * (3 / 4 + 1 + 1 / 3) / 3,
            "aAcc": 100 * 6 / 9,
        }
    )


def test_same_means_as_mmseg():
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(5):
        truth = rng.choice([0, 1, 2, 3, 255], (24, 32))
        wrong = rng.random(truth.shape) < 0.3
        samples.append(sample(truth, np.where(wrong | (truth == 255), rng.integers(0, 4), truth)))
    classes = (*CLASSES, "Bike")
    ours = evaluate(samples, classes)
    theirs = evaluate(samples, classes, IoUMetric())
    assert {name: round(ours[name], 2) for name in theirs} == theirs


def test_absent_class_has_no_iou_and_is_named(caplog):
    logger = MMLogger.get_instance("segmentation_metric", logger_name="segmentation_metric")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        found = evaluate([sample([[0, 1]], [[0, 1]])])
    assert np.isnan(found["IoU/Person"])
    assert found["mIoU"] == found["mAcc"] == 100
    assert "neither in truth nor in predictions, not in the means: Person" in caplog.text
    assert "| 100.0 | - | 100.0 | 100.0 | 100.0 |" in caplog.text


def test_row_in_the_order_of_table_1():
    classes = DATASETS.get("mmspec.MSRSDataset").METAINFO["classes"]
    metrics = {f"IoU/{name}": float(i) for i, name in enumerate(classes)}
    row = table_row(metrics | dict(mIoU=50.0, mAcc=60.0, aAcc=70.0), classes)
    assert list(row) == [
        *("Car", "Person", "Bike", "Curve", "Car Stop", "Guardrail", "Color Cone", "Bump"),
        *("Background", "mIoU", "mAcc"),
    ]
    assert list(row.values()) == [1, 2, 3, 4, 5, 6, 7, 8, 0, 50, 60]


def test_row_as_markdown_and_json():
    metrics = evaluate([sample([[0, 1, 2, 2]], [[0, 1, 2, 0]])])
    assert markdown_table([table_row(metrics, CLASSES)]) == (
        "| Car | Person | Background | mIoU | mAcc |\n"
        "| ---: | ---: | ---: | ---: | ---: |\n"
        "| 100.0 | 50.0 | 50.0 | 66.7 | 83.3 |"
    )
    assert json.loads(json.dumps(metrics)) == metrics


def test_label_outside_the_classes_is_named():
    with pytest.raises(ValueError, match=r"a/00001D.png: its label holds 7.*classes 0 to 2"):
        evaluate([sample([[0, 7]], [[0, 0]])])


def with_head(channels, predicted):
    return sample([[0, 1], [1, 0]], predicted) | dict(
        seg_logits=dict(data=torch.zeros(channels, 2, 2))
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (with_head(5, [[0, 1], [4, 3]]),
         "2 of 4 pixels are predicted as class 3, 4; the data set has 3 classes, 0 to 2, the head"
         " has 5 channels. Set num_classes"),
        # Under an ignored label too: the head is wrong wherever it says so.
        (sample([[255, 1]], [[3, 1]]), "1 of 2 pixels are predicted as class 3"),
        (sample([[0, 1]], [[-1, 1]]), "1 of 2 pixels are predicted as class -1"),
        (sample([[0, 1]], [[np.nan, 1.0]]), "1 of 2 pixels are predicted as class nan"),
        (sample([[0, 1]], [[0.5, 1.0]]), "1 of 2 pixels are predicted as class 0.5"),
        (sample([[0, 9], [9, 7]], [[0, 1], [1, 1]]),
         "its label holds 7, 9; the data set has classes 0 to 2 and 255 to ignore; wrong are 3 of"),
        (sample([[0, 1]], [[0], [1]]), "its label is 2 x 1 pixels, its scores 1 x 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_named(fault, message):
    with pytest.raises(ValueError, match=f"a/00001D.png: {message}"):
        evaluate([fault])


def test_what_is_absent_is_named():
    unlabelled, unpredicted = sample([[0]], [[0]]), sample([[0]], [[0]])
    del unlabelled["gt_sem_seg"], unpredicted["pred_sem_seg"]
    with pytest.raises(ValueError, match="a/00001D.png: no label.*LoadSegmentationLabels"):
        evaluate([unlabelled])
    with pytest.raises(KeyError, match="a/00001D.png: it came without 'pred_sem_seg'"):
        evaluate([unpredicted])
    with pytest.raises(ValueError, match="names no classes"):
        SegmentationMetric().process({}, [sample([[0]], [[0]])])


def test_a_sigmoid_head_and_an_image_to_ignore():
    nothing = sample([[255, 255]], [[0.0, 1.0]])
    assert evaluate([sample([[0, 1]], [[0.0, 1.0]]), nothing])["mIoU"] == 100
    assert all(np.isnan(value) for value in evaluate([nothing]).values())
