"""The README's config of an upstream detector: encoder, loader and normalisation act together."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmspec.registry import TRANSFORMS


@pytest.fixture
def cfg(tmp_path):
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(_base_ = .*?)```", readme, re.DOTALL)
    file = tmp_path / "user.py"
    file.write_text(block)
    return Config.fromfile(file)


def test_the_encoder_replaces_the_backbone(cfg):
    assert cfg.model.backbone.type == "mmspec.ConvViT"
    assert "depth" not in cfg.model.backbone
    assert cfg.model.data_preprocessor.mean == [108.375] * 3
    assert cfg.model.data_preprocessor.bgr_to_rgb is False
    assert cfg.default_hooks.head_classes.type == "mmspec.HeadClassesHook"
    assert cfg.default_hooks.checkpoint.type == "CheckpointHook"


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_frames_of_14_bits_keep_their_contrast(cfg, part, tmp_path):
    frame = np.linspace(7000, 9000, 64 * 80).reshape(64, 80).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    init_default_scope("mmdet")
    load = TRANSFORMS.build(cfg[f"{part}_dataloader"].dataset.pipeline[0])
    image = load(dict(img_path=str(tmp_path / "a.png")))["img"]
    assert image.shape == (64, 80, 3)
    assert 70 < image.std() < 75  # of 0 to 255 evenly; the frameworks' loader gives 2.3
