"""A test run of a tiny model on salient objects, with its numbers, pictures and curves."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmspec.visualization.samples import modalities
from mmspec.visualization.segmentation import saliency_picture

pytest.importorskip("mmseg.models")
pytest.importorskip("py_sod_metrics")

GAP, HEAD, PANEL = 4, 22, 280


def config(work_dir, channels, modality):
    keys = ("img_path", "ori_shape", "img_shape", "pad_shape", "channels", "dataset_name")
    scenes = dict(
        type="mmspec.SyntheticInfrared", length=2, size=(50, 70), labels="saliency",
        modality=modality, test_mode=True,
        pipeline=[dict(type="mmseg.PackSegInputs", meta_keys=keys)],
    )  # fmt: skip
    return Config(
        dict(
            default_scope="mmseg",
            custom_imports=dict(imports=["mmspec"]),
            work_dir=str(work_dir),
            experiment_name=f"saliency_{work_dir.parent.name}_{work_dir.name}",
            model=dict(
                type="EncoderDecoder",
                data_preprocessor=dict(
                    type="mmspec.RGBTSegDataPreprocessor", pad_val=0, seg_pad_val=255,
                    test_cfg=dict(size_divisor=32),
                ),
                backbone=dict(
                    type="UNet", in_channels=6 if modality == "both" else 3, base_channels=8,
                    num_stages=2, strides=(1, 1), enc_num_convs=(1, 1), dec_num_convs=(1,),
                    downsamples=(True,), enc_dilations=(1, 1), dec_dilations=(1,),
                ),
                decode_head=dict(
                    type="FCNHead", in_channels=16, channels=8, in_index=0, num_convs=1,
                    concat_input=False, num_classes=2, out_channels=channels, threshold=0.5,
                    align_corners=False, loss_decode=dict(type="mmspec.SoftIoULoss"),
                ),
                test_cfg=dict(mode="whole"),
            ),
            test_dataloader=dict(
                dataset=scenes, batch_size=1, num_workers=0,
                sampler=dict(type="DefaultSampler", shuffle=False),
            ),
            test_cfg=dict(type="TestLoop"),
            test_evaluator=dict(type="mmspec.SaliencyMetric"),
            custom_hooks=[dict(type="mmspec.SaliencyPictureHook")],
            log_level="ERROR",
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("channels", "modality", "columns"), [(1, "both", 4), (2, "both", 4), (1, "visible", 3)]
)
def test_numbers_pictures_and_curves_of_a_test(tmp_path, channels, modality, columns):
    metrics = Runner.from_cfg(config(tmp_path, channels, modality)).test()
    assert list(metrics) == ["S", "maxF", "meanF", "adpF", "maxE", "meanE", "adpE", "wF", "MAE"]
    assert all(0 <= value <= 1.01 for value in metrics.values())
    folder = tmp_path / "saliency/test"
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["0000_0.png", "0001_1.png", "pr_curve.json", "pr_curve.png"]
    with Image.open(folder / "0000_0.png") as picture:
        assert picture.size[0] == columns * (PANEL + GAP) + GAP
    numbers = json.loads((folder / "pr_curve.json").read_text())
    assert numbers["thresholds"][0] == 1 and numbers["thresholds"][-1] == 0
    assert set(numbers) == {"all", "thresholds"}
    assert max(numbers["all"]["f_measure"]) == pytest.approx(metrics["maxF"])
    assert {len(values) for values in numbers["all"].values()} == {256}


def test_columns_are_what_they_are_called():
    rng = np.random.default_rng(0)
    visible = np.zeros((35, 70, 3), np.uint8)
    visible[..., 0] = 200  # red
    infrared = rng.integers(60, 110, (35, 70), dtype=np.uint8)
    truth = np.zeros((35, 70), np.uint8)
    truth[:, 35:] = 1
    picture = saliency_picture(visible, infrared, truth, np.full((35, 70), 0.2))
    rows = slice(HEAD + GAP, HEAD + GAP + 140)
    panels = [
        picture[rows, GAP + i * (PANEL + GAP) : GAP + i * (PANEL + GAP) + PANEL] for i in range(4)
    ]
    assert (panels[0] == (200, 0, 0)).all()
    assert panels[1].min() < 30 and panels[1].max() > 225  # under a display gain
    assert not panels[2][:, :140].any() and (panels[2][:, 140:] == 255).all()
    assert (panels[3] == 51).all()  # probability as it is, not stretched


@pytest.mark.parametrize(
    "channels",
    [
        ("infrared", "infrared", "infrared", "red", "green", "blue"),
        ("blue", "infrared", "red", "green"),
        ("blue", "green", "red"),
        ("infrared",) * 3,
    ],
)
def test_modalities_by_the_names_of_the_channels(channels):
    levels = dict(infrared=7, red=10, green=20, blue=30)
    image = torch.stack([torch.full((4, 6), levels[c], dtype=torch.uint8) for c in channels])
    visible, infrared = modalities(image, channels, (8, 12))
    if "red" in channels:
        assert visible.shape == (8, 12, 3) and (visible == (10, 20, 30)).all()
    else:
        assert visible is None
    if "infrared" in channels:
        assert infrared.shape == (8, 12) and (infrared == 7).all()
    else:
        assert infrared is None
