"""The hook that writes predicted and true boxes."""

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData
from PIL import Image

from mmspec.engine import DetectionPictureHook
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


def test_boxes_lie_where_they_should():
    image = np.zeros((300, 500), np.uint8)
    boxes = np.array([[20.0, 30, 60, 90], [100, 100, 140, 120]])
    picture = detection_picture(
        image, boxes, np.array([0.8, 0.2]), np.array([1, 0]), [([7.0, 8, 9, 9], 0, True)], CLASSES
    )
    left, right = picture[26:326, 4:504], picture[26:326, 508:1008]
    assert (left[30, 20:60] == COLOURS[1]).all() and (left[30:90, 59] == COLOURS[1]).all()
    assert not left[95:130, 90:150].any()  # below the threshold
    assert (right[8, 7:9] == 150).all()  # to be ignored
    names = {tuple(c) for c in picture[-20:].reshape(-1, 3).tolist()}
    assert COLOURS[1] in names and COLOURS[0] not in names and (150, 150, 150) in names


def test_a_box_without_area_is_drawn_as_a_point():
    picture = detection_picture(
        np.zeros((300, 500), np.uint8),
        np.array([[20.0, 30, 20, 30]]),
        np.array([0.8]),
        np.array([0]),
        None,
        CLASSES,
    )
    assert (picture[26 + 30, 4 + 20] == COLOURS[0]).all()
