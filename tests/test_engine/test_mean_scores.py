"""Tests of the mean score of several views (``tools/test.py --tta``)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from torch import nn

from mmspec.engine.launch import LaunchError, augment_tests, build_runner, read_config
from mmspec.registry import MODELS, TRANSFORMS

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def config(tmp_path, name="irstd/unet-s4_fcn_1xb16-1k_synthetic-64x64.py"):
    cfg = read_config(str(CONFIGS / name))
    cfg.launcher, cfg.work_dir, cfg.load_from, cfg.resume = "none", str(tmp_path), None, False
    return cfg


def small(tmp_path):
    cfg = config(tmp_path)
    cfg.model.backbone.base_channels = 2
    cfg.model.decode_head.in_channels = cfg.model.decode_head.channels = 2
    cfg.test_dataloader.dataset.length = 2
    cfg.test_dataloader.num_workers = 0
    return cfg


def test_scores_are_the_mean_of_the_views_brought_back(tmp_path):
    cfg = small(tmp_path)
    plain = build_runner(cfg)
    torch.save({"state_dict": plain.model.state_dict()}, tmp_path / "weights.pth")
    cfg = small(tmp_path)
    cfg.load_from = str(tmp_path / "weights.pth")
    augment_tests(cfg)
    runner = build_runner(cfg)
    runner.load_or_resume()
    model, single = runner.model.eval(), plain.model.eval()
    seen = []
    for batch, views in zip(plain.test_dataloader, runner.test_dataloader):
        (image,) = batch["inputs"]
        expected = 0
        for dims in ((), (-1,), (-2,)):
            turned = {**batch, "inputs": [image.flip(dims)]}
            with torch.no_grad():
                expected = expected + single.test_step(turned)[0].seg_logits.data.flip(dims) / 3
        with torch.no_grad():
            (found,) = model.test_step(views)
        torch.testing.assert_close(found.seg_logits.data, expected)
        predicted = expected > single.decode_head.threshold
        assert torch.equal(found.pred_sem_seg.data, predicted.to(expected))
        truth = batch["data_samples"][0].gt_sem_seg.data
        assert torch.equal(found.gt_sem_seg.data, truth)
        seen.append(found.seg_logits.data.shape)
    assert len(seen) == 2
    assert set(runner.test()) >= {"IoU", "Pd", "Fa"}


def test_flips_are_told_where_a_config_has_keys_of_its_own(tmp_path):
    cfg = small(tmp_path)
    cfg.test_dataloader.dataset.pipeline[-1].meta_keys = ("img_path", "ori_shape", "img_shape")
    augment_tests(cfg)
    views = next(iter(build_runner(cfg).test_dataloader))
    told = [sample.metainfo["flip"] for (sample,) in views["data_samples"]]
    assert told == [False, True, True]


def test_further_scales_are_brought_back_to_the_image(tmp_path):
    cfg = small(tmp_path)
    augment_tests(cfg, [1.5])
    runner = build_runner(cfg)
    views = next(iter(runner.test_dataloader))
    sizes = [tuple(view[0].shape[-2:]) for view in views["inputs"]]
    height, width = sizes[0]
    assert sizes == 3 * [(height, width)] + 3 * [(round(1.5 * height), round(1.5 * width))]
    with torch.no_grad():
        (found,) = runner.model.eval().test_step(views)
    assert found.seg_logits.data.shape == (1, height, width)


def test_truth_stays_at_its_own_size(tmp_path):
    cfg = small(tmp_path)
    augment_tests(cfg, [1.5])
    init_default_scope("mmseg")
    views = TRANSFORMS.build(cfg.test_dataloader.dataset.pipeline[-1])
    image, truth = np.zeros((32, 64, 3), np.uint8), np.zeros((20, 40), np.uint8)
    sample = dict(img=image, img_shape=(32, 64), ori_shape=(20, 40), seg_fields=["gt_seg_map"])
    found = views(dict(sample, gt_seg_map=truth))
    assert found["data_samples"][0].gt_sem_seg.data.shape == (1, 20, 40)
    assert found["inputs"][0].shape == (3, 32, 64)
    assert not found["data_samples"][0].flip


def test_of_several_classes_it_is_the_mean_of_probabilities():
    init_default_scope("mmseg")
    from mmseg.structures import SegDataSample

    class Segmentor(nn.Module):
        def test_step(self, data):
            raise NotImplementedError

    model = MODELS.build(dict(type="mmspec.MeanScores", module=Segmentor()))
    logits = torch.tensor([[4.0, 0.0, 0.0], [0.0, 1.0, 0.0]])[:, :, None, None]
    views = [SegDataSample(seg_logits=PixelData(data=view)) for view in logits]
    (found,) = model.merge_preds([views])
    mean = logits.softmax(1).mean(0)
    torch.testing.assert_close(found.seg_logits.data.softmax(0), mean)
    assert found.pred_sem_seg.data.tolist() == [[[0]]]


@pytest.mark.parametrize(
    ("name", "scales", "message"),
    [
        ("det/custom_convvit-tiny_faster-rcnn_1xb4-1k.py", (), "is of mmdet, not of mmseg"),
        ("irstd/unet-s4_fcn_1xb16-1k_synthetic-64x64.py", (0.0,), "scales are factors above 0"),
    ],
)
def test_what_cannot_be_averaged_is_refused(tmp_path, name, scales, message):
    with pytest.raises(LaunchError, match=message):
        augment_tests(config(tmp_path, name), scales)


def test_pictures_are_of_the_image_as_it_is(tmp_path):
    cfg = small(tmp_path)
    augment_tests(cfg)
    runner = build_runner(cfg)
    runner.test()
    assert len(list(tmp_path.glob("small_targets/test/*_*.png"))) == 2
