"""The hook that writes predicted and true boxes, and the miss-rate curves."""

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData
from PIL import Image

from mmspec.engine import DetectionPictureHook
from mmspec.evaluation import DetectionMetric, MissRateMetric
from mmspec.visualization.curves import save_miss_rate_curves
from mmspec.visualization.detection import detection_picture
from mmspec.visualization.segmentation import COLOURS

CLASSES = ("person", "car")


def sample(truth: bool) -> BaseDataElement:
    found = InstanceData(
        bboxes=torch.tensor([[10.0, 10, 30, 40], [0, 0, 5, 5]]),
        scores=torch.tensor([0.9, 0.1]),
        labels=torch.tensor([1, 0]),
    )
    result = BaseDataElement(metainfo=dict(img_path="somewhere/a.png", ori_shape=(60, 80)))
    result.set_data(dict(pred_instances=found))
    if truth:
        instance = dict(bbox=[12.0, 9, 33, 41], bbox_label=0, ignore_flag=0)
        result.set_metainfo(dict(instances=[instance]))
    return result


class Images:
    metainfo: ClassVar = dict(classes=CLASSES)

    def __len__(self) -> int:
        return 3


def test_one_picture_an_image(tmp_path):
    hook = DetectionPictureHook(num_images=2)
    images = SimpleNamespace(dataset=Images())
    runner = SimpleNamespace(work_dir=str(tmp_path), test_dataloader=images)
    hook.before_test_epoch(runner)
    inputs = [torch.zeros(3, 30, 40, dtype=torch.uint8)] * 3
    hook.after_test_iter(
        runner, 0, dict(inputs=inputs), [sample(True), sample(False), sample(True)]
    )
    files = sorted((tmp_path / "detections" / "test").iterdir())
    assert [f.name for f in files] == ["0000_a.png", "0001_a.png"]
    with Image.open(files[0]) as both, Image.open(files[1]) as alone:
        assert both.size[0] == 2 * 484 + 4  # 80 pixels shown six times as wide
        assert alone.size[0] == 484 + 4


@pytest.mark.parametrize(
    ("channels", "shown"),
    [
        (("infrared", "infrared", "infrared", "red", "green", "blue"), ["infrared", "visible"]),
        (("infrared", "red", "green", "blue"), ["infrared", "visible"]),
        (("infrared",) * 3, ["infrared"]),
        (("blue", "green", "red"), ["visible"]),
        (("red", "green", "blue"), ["visible"]),
    ],
)
def test_both_images_of_a_pair_and_what_else_was_loaded(channels, shown):
    result = sample(True)
    result.set_metainfo(dict(channels=channels))
    levels = dict(infrared=0, red=10, green=20, blue=30)
    image = torch.stack([torch.full((30, 40), levels[c], dtype=torch.uint8) for c in channels])
    picture = DetectionPictureHook().draw(image, result, CLASSES)
    scale, height, width = 6, 6 * 60, 6 * 80  # of 60 x 80 pixels, drawn six times as large
    assert picture.shape == (22 + 4 + len(shown) * (height + 4) + 20, 4 + 2 * (width + 4), 3)
    for row, name in enumerate(shown):
        panel = picture[26 + row * (height + 4) :][:height, 4 : 4 + width]
        assert (panel[-1, -1] == ((0, 0, 0) if name == "infrared" else (10, 20, 30))).all()
        assert (panel[10 * scale, 10 * scale : 30 * scale] == COLOURS[1]).all()


def miss_rate_metric(images: int) -> MissRateMetric:
    """After an evaluation of a hit by day and a miss by night."""
    metric = MissRateMetric(settings=("near", "Reasonable"))
    box = [100.0, 100, 140, 180]
    for number in range(images):
        found = dict(
            bboxes=torch.tensor([box]),
            scores=torch.tensor([0.9 - 0.5 * number]),
            labels=torch.tensor([0]),
        )
        truth = dict(bbox=[x + 300 * number for x in box], bbox_label=0, occlusion=0, ignore_flag=0)
        path = f"images/{('set06', 'set09')[number]}/V000/lwir/I00019.jpg"
        result = dict(img_path=path, ori_shape=(512, 640), instances=[truth], pred_instances=found)
        metric.process({}, [result])
    if images:
        metric.evaluate(images)
    return metric


@pytest.mark.parametrize(("images", "times"), [(2, ["All", "Day", "Night"]), (1, ["All", "Day"])])
def test_miss_rate_curves_of_a_test(tmp_path, monkeypatch, images, times):
    drawn = []
    monkeypatch.setattr(
        "mmspec.engine.pictures.save_miss_rate_curves",
        lambda panels, path: drawn.append(panels) or save_miss_rate_curves(panels, path),
    )
    evaluator = SimpleNamespace(metrics=[DetectionMetric(), miss_rate_metric(images)])
    runner = SimpleNamespace(work_dir=str(tmp_path), test_evaluator=evaluator)
    DetectionPictureHook().after_test_epoch(runner)
    # No pedestrian is near.
    (panels,) = drawn
    assert list(panels) == times and all(list(panels[t]) == ["Reasonable"] for t in times)
    assert panels["All"]["Reasonable"].images == images
    assert panels["Day"]["Reasonable"].miss_rate.tolist() == [0]
    with Image.open(tmp_path / "detections/test/miss_rate.png") as picture:
        assert picture.size == (len(times) * 480, 468)
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    # A line in matplotlib's first colour; without a miss it would be below the axis.
    assert ((np.abs(pixels - (31, 119, 180)).max(axis=1) < 4).sum() > 100) == (images == 2)


def test_no_curves_without_a_miss_rate(tmp_path):
    for metrics in ([DetectionMetric()], [miss_rate_metric(0)]):
        evaluator = SimpleNamespace(metrics=metrics)
        runner = SimpleNamespace(work_dir=str(tmp_path), test_evaluator=evaluator)
        DetectionPictureHook(out_dir=str(tmp_path)).after_test_epoch(runner)
        assert not list(tmp_path.rglob("*.png"))


def test_boxes_lie_where_they_should():
    image = np.zeros((300, 500), np.uint8)
    boxes = np.array([[20.0, 30, 60, 90], [100, 100, 140, 120]])
    picture = detection_picture(
        [image], boxes, np.array([0.8, 0.2]), np.array([1, 0]), [([7.0, 8, 9, 9], 0, True)], CLASSES
    )
    left, right = picture[26:326, 4:504], picture[26:326, 508:1008]
    assert (left[30, 20:60] == COLOURS[1]).all() and (left[30:90, 59] == COLOURS[1]).all()
    assert not left[95:130, 90:150].any()  # below the threshold
    assert (right[8, 7:9] == 150).all()  # to be ignored
    names = {tuple(c) for c in picture[-20:].reshape(-1, 3).tolist()}
    assert COLOURS[1] in names and COLOURS[0] not in names and (150, 150, 150) in names


def test_a_box_without_area_is_drawn_as_a_point():
    picture = detection_picture(
        [np.zeros((300, 500), np.uint8)],
        np.array([[20.0, 30, 20, 30]]),
        np.array([0.8]),
        np.array([0]),
        None,
        CLASSES,
    )
    assert (picture[26 + 30, 4 + 20] == COLOURS[0]).all()


@pytest.mark.parametrize(
    ("threshold", "title"),
    [
        (0.3, "prediction, score 0.3 and more"),
        (0.95, "nothing of score 0.95; the best has 0.9"),
        (None, "nothing of score 0.3"),
    ],
)
def test_where_nothing_is_drawn_the_title_says_how_near_it_was(threshold, title, monkeypatch):
    titles = []
    monkeypatch.setattr(
        "mmspec.visualization.detection.titled_grid",
        lambda rows, names, entries: titles.append(names),
    )
    found = sample(truth=False).pred_instances
    found = found if threshold else found[:0]
    arrays = found.bboxes.numpy(), found.scores.numpy(), found.labels.numpy()
    image = np.zeros((60, 80, 3), np.uint8)
    detection_picture([image], *arrays, None, CLASSES, threshold or 0.3)
    assert titles == [(title,)]
