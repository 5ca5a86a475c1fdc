"""Random batches as the data loaders of mmdet, mmseg and mmpretrain make them."""

from typing import Any

import numpy as np
import torch


def batch(framework: str, config: dict, size: int, training: bool) -> dict[str, Any]:
    """What ``train_step`` (training) or ``test_step`` of a config's model takes.

    Two images to train, one to predict (guided anchors take no more). Of masks, those that the
    config's own pipelines load.
    """
    model = config["model"]
    semi_supervised = framework == "mmdet" and "detector" in model
    inner = model["detector"] if semi_supervised else model
    count = 2 if training else 1
    samples = [_SAMPLES[framework](inner, size, i, _loads_masks(config)) for i in range(count)]
    shapes = [getattr(sample, "img_shape", (size, size)) for sample in samples]
    images = [torch.randint(0, 256, (3, *shape), dtype=torch.uint8) for shape in shapes]
    data = dict(inputs=images, data_samples=samples)
    if semi_supervised and training:
        branches = ("sup", "unsup_teacher", "unsup_student")
        data = {key: dict.fromkeys(branches, value) for key, value in data.items()}
    return data


def _loads_masks(part: Any) -> bool:
    if isinstance(part, dict):
        if part.get("with_mask") or part.get("type") == "LoadPanopticAnnotations":
            return True
        part = part.values()
    elif not isinstance(part, (list, tuple)):
        return False
    return any(_loads_masks(item) for item in part)


def _detection(model: dict, size: int, i: int, masks: bool) -> Any:
    from mmdet.structures import DetDataSample, ReIDDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData, PixelData

    lanes = (model.get("head") or {}).get("type") == "CLRHead"
    shape = (320, 800) if lanes else (size, size)
    if model["type"] == "BaseReID":
        person = ReIDDataSample(metainfo=dict(img_shape=(256, 128)))
        return person.set_gt_label(i)
    boxes = torch.tensor([[0.1, 0.1, 0.6, 0.5], [0.3, 0.4, 0.9, 0.95]]) * size
    filled = np.zeros((2, *shape), dtype=np.uint8)
    semantic = torch.zeros(1, *shape, dtype=torch.long)
    for k, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
        filled[k, y1:y2, x1:x2] = 1
        semantic[0, y1:y2, x1:x2] = k
    sample = DetDataSample(
        metainfo=dict(
            img_id=i,
            img_path="",
            img_shape=shape,
            ori_shape=shape,
            pad_shape=shape,
            batch_input_shape=shape,
            scale_factor=(1.0, 1.0),
            flip=False,
            flip_direction=None,
            org_width=shape[1],
            org_height=shape[0],
            border=np.zeros(4, dtype=np.float32),
            homography_matrix=np.eye(3, dtype=np.float32),
        ),
        gt_instances=InstanceData(bboxes=boxes, labels=torch.tensor([0, 0])),
        ignored_instances=InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
        ),
    )
    if masks:
        sample.gt_instances.masks = BitmapMasks(filled, *shape)
    roi_head = model.get("roi_head") or {}
    if "semantic_head" in roi_head:  # HTC's, at 1/8
        semantic = semantic[:, ::8, ::8]
    sample.gt_sem_seg = PixelData(sem_seg=semantic)
    if roi_head and "rpn_head" not in model:  # Fast R-CNN's, from a file
        sample.proposals = InstanceData(bboxes=boxes * 0.9, scores=torch.ones(2))
    if lanes:  # one of four: two scores, start, angle, length, points
        lines = np.zeros((4, 78), dtype=np.float32)
        lines[1:, 0] = 1
        lines[0] = [0, 1, 0, 400, 0.3, 50, *[400] * 72]
        sample.lines_array = lines
    return sample


def _segmentation(model: dict, size: int, i: int, masks: bool) -> Any:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    shape = (size, size)
    sample = SegDataSample(
        metainfo=dict(
            img_path="",
            img_shape=shape,
            ori_shape=shape,
            pad_shape=shape,
            flip=False,
            flip_direction=None,
        )
    )
    labels = torch.zeros(1, *shape, dtype=torch.long)
    labels[:, : size // 2] = 1
    sample.gt_sem_seg = PixelData(data=labels)
    sample.gt_edge_map = PixelData(data=(labels == 1).float())
    return sample


def _classification(model: dict, size: int, i: int, masks: bool) -> Any:
    from mmpretrain.structures import DataSample

    head = model.get("head") or {}
    if "MultiLabel" in head.get("type", ""):
        score = torch.zeros(head["num_classes"])
        score[i] = 1
        return DataSample().set_gt_score(score)
    return DataSample().set_gt_label(i)


_SAMPLES = dict(mmdet=_detection, mmseg=_segmentation, mmpretrain=_classification)
