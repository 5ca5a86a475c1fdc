"""The README's lines in configs of the installed mmdet: the encoder trains and predicts there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from mmspec.models.backbones import ConvViT

pytest.importorskip("mmdet")
pytestmark = pytest.mark.stack

LINES = """
_base_ = 'mmdet::{base}'
custom_imports = dict(imports=['mmspec'])
model = dict(
    backbone=dict(_delete_=True, {backbone},
        init_cfg=dict(type='mmspec.PretrainedEncoder', checkpoint='{checkpoint}')),
    neck=dict({neck}))
"""
FOUR_MAPS = dict(
    backbone="type='mmspec.ConvViT', arch='tiny'",
    neck="in_channels=[48, 96, 224, 224]",
)
ONE_MAP = dict(
    backbone="type='mmspec.ConvViT', arch='tiny', out_indices=(2,), window_size=3",
    neck="_delete_=True, type='mmspec.SimpleFPN', in_channels=224",
)
VIT = dict(
    backbone="type='mmpretrain.ViTSAM', img_size=128, out_channels=0, window_size=3, "
    "arch=dict(embed_dims=64, num_layers=2, num_heads=2, feedforward_channels=64, "
    "global_attn_indexes=[1])",
    neck="_delete_=True, type='mmspec.SimpleFPN', in_channels=64",
)
# Config of mmdet, and the lines for its backbone and neck.
CASES = {
    "Mask R-CNN": ("mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", FOUR_MAPS),
    "Faster R-CNN": ("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", FOUR_MAPS),
    "RetinaNet": ("retinanet/retinanet_r50_fpn_1x_coco.py", FOUR_MAPS),
    "FCOS": ("fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", FOUR_MAPS),
    "Mask R-CNN, one map": ("mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", ONE_MAP),
    "Mask R-CNN, plain ViT": ("mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", VIT),
}


def pretrained(folder: Path, case: str) -> tuple[Path, dict[str, torch.Tensor]]:
    """A checkpoint as pre-training leaves it, and what of it the backbone must hold."""
    torch.manual_seed(0)
    if case.endswith("plain ViT"):
        from mmpretrain.models.backbones import VisionTransformer

        arch = dict(embed_dims=64, num_layers=2, num_heads=2, feedforward_channels=64)
        encoder = VisionTransformer(arch, img_size=224, patch_size=16)
        outside = ("cls_token", "pos_embed", "ln1")
    else:
        encoder = ConvViT("tiny", pretraining=True)
        outside = ("fuse", "norm")
    state = encoder.state_dict()
    path = folder / "epoch_400.pth"
    torch.save({"state_dict": {f"backbone.{k}": v for k, v in state.items()}}, path)
    return path, {k: v for k, v in state.items() if not k.startswith(outside)}


def batch() -> dict:
    """An image (3, 64, 90) with one box and its mask."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    shape = (64, 90)
    mask = np.zeros((1, *shape), dtype=np.uint8)
    mask[:, 20:60, 10:50] = 1

    sample = DetDataSample(
        metainfo=dict(img_shape=shape, ori_shape=shape, pad_shape=shape, scale_factor=(1.0, 1.0)),
        gt_instances=InstanceData(
            bboxes=torch.tensor([[10.0, 20, 50, 60]]),
            labels=torch.tensor([0]),
            masks=BitmapMasks(mask, *shape),
        ),
        ignored_instances=InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()),
    )
    image = torch.randint(0, 256, (3, *shape), dtype=torch.uint8)
    return dict(inputs=[image], data_samples=[sample])


@pytest.mark.parametrize("case", CASES)
def test_it_trains_and_predicts(case, tmp_path):
    from mmdet.registry import MODELS

    checkpoint, expected = pretrained(tmp_path, case)
    base, lines = CASES[case]
    text = LINES.format(base=base, checkpoint=checkpoint, **lines)
    (tmp_path / "config.py").write_text(text)
    cfg = Config.fromfile(tmp_path / "config.py")
    if "R-CNN" in case:  # 64 regions instead of 1000 and more: for the test's time
        cfg.model.train_cfg.rpn_proposal.max_per_img = cfg.model.test_cfg.rpn.max_per_img = 64

    with DefaultScope.overwrite_default_scope("mmdet"):
        detector = MODELS.build(cfg.model)
        detector.init_weights()
        for name, value in expected.items():
            assert torch.equal(detector.backbone.state_dict()[name], value), name
        optimizer = OptimWrapper(torch.optim.SGD(detector.parameters(), lr=0.001))
        data = batch()
        logged = detector.train().train_step(data, optimizer)
        assert all(torch.isfinite(value).all() for value in logged.values())
        learned = detector.backbone.state_dict()
        assert all(not torch.equal(learned[k], v) for k, v in expected.items() if "qkv.weight" in k)
        if case in ("RetinaNet", "FCOS"):
            detector.bbox_head.test_cfg.score_thr = 0.0
        result = detector.eval().test_step(data)[0].pred_instances
    assert len(result.bboxes) == len(result.labels) == len(result.scores)
    assert ("masks" in result) == case.startswith("Mask")
    if case in ("RetinaNet", "FCOS"):
        assert len(result.bboxes) > 0
