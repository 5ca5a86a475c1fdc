"""The README's lines in a config of the installed mmdet: the encoder trains and predicts there."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from mmspec.models import ConvViT

pytest.importorskip("mmdet")

CONFIG = """
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['mmspec'])
model = dict(
    backbone=dict(_delete_=True, type='mmspec.ConvViT', arch='tiny',
        init_cfg=dict(type='mmspec.PretrainedEncoder', checkpoint='{checkpoint}')),
    neck=dict(in_channels=[48, 96, 224, 224]))
"""


def test_mask_rcnn_takes_the_encoder_by_config(tmp_path):
    from mmdet.registry import MODELS
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    torch.manual_seed(0)
    encoder = ConvViT("tiny", pretraining=True)
    state = {f"backbone.{name}": value for name, value in encoder.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "tiny.pth")
    (tmp_path / "config.py").write_text(CONFIG.format(checkpoint=tmp_path / "tiny.pth"))
    cfg = Config.fromfile(tmp_path / "config.py")

    image = torch.randint(0, 256, (3, 100, 130), dtype=torch.uint8)
    boxes = torch.tensor([[10.0, 20, 50, 60]])
    mask = np.zeros((1, 100, 130), dtype=np.uint8)
    mask[:, 20:60, 10:50] = 1
    shape = (100, 130)
    sample = DetDataSample(
        metainfo=dict(img_shape=shape, ori_shape=shape, pad_shape=shape, scale_factor=(1.0, 1.0)),
        gt_instances=InstanceData(
            bboxes=boxes, labels=torch.tensor([0]), masks=BitmapMasks(mask, 100, 130)
        ),
        ignored_instances=InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()),
    )
    with DefaultScope.overwrite_default_scope("mmdet"):
        detector = MODELS.build(cfg.model)
        detector.init_weights()
        for name, value in encoder.state_dict().items():
            if not name.startswith(("fuse", "norm")):
                assert torch.equal(detector.backbone.state_dict()[name], value), name
        optimizer = OptimWrapper(torch.optim.SGD(detector.parameters(), lr=0.001))
        batch = dict(inputs=[image], data_samples=[sample])
        logged = detector.train().train_step(batch, optimizer)
        assert all(torch.isfinite(value).all() for value in logged.values())
        assert not torch.equal(
            detector.backbone.embeds[0].proj.weight, encoder.embeds[0].proj.weight
        )
        result = detector.eval().test_step(batch)[0].pred_instances
    assert len(result.bboxes) == len(result.masks) == len(result.scores)
