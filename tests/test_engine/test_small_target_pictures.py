"""A test run of a tiny model on small targets, with its numbers and pictures."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmspec.engine import SmallTargetPictureHook

pytest.importorskip("mmseg.models")


def config(work_dir, channels):
    data = dict(
        type="mmspec.SyntheticInfrared", length=3, size=(50, 70), labels="points", test_mode=True,
        pipeline=[dict(type="mmseg.PackSegInputs")],
    )  # fmt: skip
    head = dict(
        type="FCNHead", in_channels=8, channels=8, in_index=0, num_convs=1, concat_input=False,
        num_classes=2, out_channels=channels, align_corners=False,
        loss_decode=dict(type="mmspec.SoftIoULoss"),
    )  # fmt: skip
    if channels == 1:
        head["threshold"] = 0.5
    return Config(
        dict(
            default_scope="mmseg",
            custom_imports=dict(imports=["mmspec"]),
            work_dir=str(work_dir),
            experiment_name=f"small_targets_{work_dir.parent.name}_{work_dir.name}",
            model=dict(
                type="EncoderDecoder",
                data_preprocessor=dict(
                    type="SegDataPreProcessor", mean=[127.5], std=[50.0], pad_val=0,
                    seg_pad_val=255, test_cfg=dict(size_divisor=32),
                ),
                backbone=dict(
                    type="UNet", in_channels=1, base_channels=8, num_stages=2,
                    strides=(1, 1), enc_num_convs=(1, 1), dec_num_convs=(1,), downsamples=(True,),
                    enc_dilations=(1, 1), dec_dilations=(1,),
                ),
                decode_head=head | dict(in_channels=16),
                test_cfg=dict(mode="whole"),
            ),
            test_dataloader=dict(
                dataset=data, batch_size=1, num_workers=0,
                sampler=dict(type="DefaultSampler", shuffle=False),
            ),
            test_cfg=dict(type="TestLoop"),
            test_evaluator=dict(type="mmspec.SmallTargetMetric"),
            custom_hooks=[dict(type="mmspec.SmallTargetPictureHook")],
            log_level="ERROR",
        )
    )  # fmt: skip


@pytest.mark.parametrize("channels", [1, 2])
def test_numbers_and_pictures_of_a_test_at_native_size(tmp_path, channels):
    metrics = Runner.from_cfg(config(tmp_path, channels)).test()
    assert list(metrics) == ["IoU", "nIoU", "F1", "Pd", "Fa", "AUC"]
    assert np.isfinite(list(metrics.values())).all() and 0 < metrics["AUC"] < 1
    written = sorted(path.name for path in (tmp_path / "small_targets/test").iterdir())
    assert written == ["0000_0.png", "0001_1.png", "0002_2.png", "roc.png"]
    with Image.open(tmp_path / "small_targets/test/0000_0.png") as picture:
        assert picture.size[0] == 4 * 284 + 4


def test_the_metrics_own_threshold_is_that_of_the_pictures(tmp_path, monkeypatch):
    drawn = []

    def draw(*given) -> np.ndarray:
        drawn.append(given[3])
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(SmallTargetPictureHook, "draw", staticmethod(draw))
    cfg = config(tmp_path, 1)
    cfg.test_evaluator.threshold = 0.2
    Runner.from_cfg(cfg).test()
    assert drawn == [0.2] * 3


def test_some_into_another_folder(tmp_path):
    cfg = config(tmp_path / "work", 1)
    cfg.custom_hooks[0].update(num_images=1, out_dir=str(tmp_path / "shown"))
    Runner.from_cfg(cfg).test()
    assert sorted(p.name for p in (tmp_path / "shown").iterdir()) == ["0000_0.png", "roc.png"]
    assert not (tmp_path / "work/small_targets").exists()


def test_validations_are_not_drawn(tmp_path):
    hook = SmallTargetPictureHook()
    hook.after_val_iter(SimpleNamespace(work_dir=str(tmp_path), iter=5), 0, {}, [])
    assert not list(tmp_path.iterdir())
