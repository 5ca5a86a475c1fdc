"""mmdet's own Mask R-CNN and Cascade R-CNN, made small: one training step and one prediction."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

import mmspec.ops

mmspec.ops.install()
mmdet = pytest.importorskip("mmdet")
pytestmark = pytest.mark.stack

from mmdet.registry import MODELS  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402
from mmdet.structures.bbox import bbox_overlaps  # noqa: E402
from mmdet.structures.mask import BitmapMasks  # noqa: E402

CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs" / "_base_" / "models"
SIZE = 128
CLASSES = 3


def small_detector(name: str) -> torch.nn.Module:
    """mmdet's base config ``name`` with a ResNet-18 of 8 channels and heads of 16."""
    model = Config.fromfile(CONFIGS / f"{name}.py").model
    model.backbone.update(depth=18, base_channels=8, frozen_stages=-1, init_cfg=None)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    model.rpn_head.update(in_channels=16, feat_channels=16)
    model.roi_head.bbox_roi_extractor.out_channels = 16
    for head in one_or_more(model.roi_head.bbox_head):
        head.update(in_channels=16, fc_out_channels=32, num_classes=CLASSES)
    if "mask_head" in model.roi_head:
        model.roi_head.mask_roi_extractor.out_channels = 16
        for head in one_or_more(model.roi_head.mask_head):
            head.update(num_convs=1, in_channels=16, conv_out_channels=16, num_classes=CLASSES)
    model.train_cfg.rpn_proposal.update(nms_pre=200, max_per_img=50)
    model.test_cfg.rpn.update(nms_pre=200, max_per_img=50)
    model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=20)
    torch.manual_seed(0)
    detector = MODELS.build(model)
    detector.init_weights()
    return detector


def one_or_more(heads: dict | list) -> list:
    """Cascade R-CNN has a list of heads where Mask R-CNN has one."""
    return heads if isinstance(heads, list) else [heads]


def scene() -> tuple[torch.Tensor, DetDataSample]:
    """A dark image (3, 128, 128) with two bright squares, their boxes, classes and masks."""
    image = torch.full((3, SIZE, SIZE), 40, dtype=torch.uint8)
    boxes = torch.tensor([[10.0, 20, 50, 60], [70, 64, 120, 112]])
    masks = np.zeros((2, SIZE, SIZE), dtype=np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
        image[:, y1:y2, x1:x2] = 220
    shape = (SIZE, SIZE)
    sample = DetDataSample(
        metainfo=dict(img_shape=shape, ori_shape=shape, pad_shape=shape, scale_factor=(1.0, 1.0)),
        gt_instances=InstanceData(
            bboxes=boxes, labels=torch.tensor([0, 2]), masks=BitmapMasks(masks, SIZE, SIZE)
        ),
        ignored_instances=InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()),
    )
    return image, sample


@pytest.fixture(params=["mask-rcnn_r50_fpn", "cascade-rcnn_r50_fpn", "cascade-mask-rcnn_r50_fpn"])
def detector(request):
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield small_detector(request.param)


def test_a_training_step_moves_every_part(detector):
    image, sample = scene()
    before = {name: value.detach().clone() for name, value in detector.named_parameters()}
    optimizer = OptimWrapper(torch.optim.SGD(detector.parameters(), lr=0.01))
    logged = detector.train().train_step(dict(inputs=[image], data_samples=[sample]), optimizer)

    assert all(torch.isfinite(value).all() for value in logged.values())
    for part in ("backbone.conv1", "neck", "rpn_head", "roi_head"):
        moved = [
            not torch.equal(value, before[name])
            for name, value in detector.named_parameters()
            if name.startswith(part)
        ]
        assert any(moved), part
    assert all(torch.isfinite(value).all() for value in detector.parameters())


def test_each_roi_loss_reaches_the_backbone(detector):
    image, sample = scene()
    batch = detector.train().data_preprocessor(
        dict(inputs=[image], data_samples=[sample]), training=True
    )
    losses = detector(**batch, mode="loss")
    roi_losses = {k: v for k, v in losses.items() if "loss" in k and "rpn" not in k}
    assert len(roi_losses) >= 3
    for name, loss in roi_losses.items():
        (gradient,) = torch.autograd.grad(loss, detector.backbone.conv1.weight, retain_graph=True)
        assert torch.isfinite(gradient).all(), name
        assert gradient.abs().sum() > 0, name


def test_predicts_boxes_and_masks(detector):
    image, sample = scene()
    (result,) = detector.eval().test_step(dict(inputs=[image], data_samples=[sample]))

    found = result.pred_instances
    assert 0 < len(found) <= 20
    assert found.bboxes.shape == (len(found), 4)
    assert found.bboxes.min() >= 0
    assert found.bboxes.max() <= SIZE
    assert found.labels.max() < CLASSES
    assert (found.scores.diff() <= 0).all()
    if detector.roi_head.with_mask:
        assert found.masks.shape == (len(found), SIZE, SIZE)
        assert found.masks.dtype == torch.bool
    for label in found.labels.unique():
        boxes = found.bboxes[found.labels == label]
        overlaps = bbox_overlaps(boxes, boxes).fill_diagonal_(0)
        assert overlaps.max() <= 0.5 + 1e-4  # the threshold of the config's test_cfg
