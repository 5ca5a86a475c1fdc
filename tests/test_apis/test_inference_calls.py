"""The frameworks' own calls for a prediction, with configs of mmspec."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import INFERENCERS, MODELS, TRANSFORMS, DefaultScope

import mmspec  # noqa: F401  (mmcv's operators, before mmdet and mmseg are imported)

from mmseg.apis import MMSegInferencer  # isort: skip

REPO = Path(__file__).resolve().parents[2]
SEG = "seg/scratch_convvit-tiny_upernet_1xb4-1k_eye-200x200"
DET = "det/scratch_convvit-tiny_faster-rcnn_1xb4-1k_hit-uav-512x640"
#: No checkpoint to look for.
SMALL = {"model.backbone.init_cfg": None}
PAIRS = "det/mspecgene_vit-tiny_faster-rcnn_1xb4-1k_msrs-480x640"
pytestmark = pytest.mark.stack


@pytest.fixture
def picture(tmp_path) -> tuple[str, np.ndarray]:
    """A gray file, and the same as the array (H, W, 3) that OpenCV reads."""
    gray = np.random.default_rng(0).integers(0, 256, (120, 160), np.uint8)
    path = str(tmp_path / "frame.png")
    cv2.imwrite(path, gray)
    return path, cv2.imread(path)


def test_mmseg_segments_a_path_and_an_array(picture):
    api = pytest.importorskip("mmseg.apis")
    found = [
        api.inference_model(
            api.init_model(str(REPO / f"configs/{SEG}.py"), device="cpu", cfg_options=SMALL), source
        )
        for source in picture
    ]
    assert all(sample.pred_sem_seg.shape == (120, 160) for sample in found)
    assert "gt_sem_seg" not in found[0]


def test_mmdet_detects_in_a_path_and_an_array(picture):
    api = pytest.importorskip("mmdet.apis")
    # Of random weights no score may reach the config's threshold.
    options = {**SMALL, "model.test_cfg.rcnn.score_thr": 0.0}
    model = api.init_detector(str(REPO / f"configs/{DET}.py"), device="cpu", cfg_options=options)
    for source in picture:
        assert len(api.inference_detector(model, source).pred_instances) > 0


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Makes a checkpoint of a config, as the inferencers ask for one."""

    def make(config: str, classes: tuple[str, ...], **meta) -> str:
        cfg = Config.fromfile(config)
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(cfg.model)
        meta |= dict(classes=classes, palette=[(200, 0, 0)] * len(classes))
        path = str(tmp_path_factory.mktemp("weights") / "model.pth")
        torch.save(dict(meta=dict(dataset_meta=meta), state_dict=model.state_dict()), path)
        return path

    return make


def test_segmentation_inferencer_changes_the_import_alone(picture, weights, tmp_path):
    from mmspec.apis import SegInferencer

    config = str(REPO / f"configs/{SEG}.py")
    checkpoint = weights(config, ("background", "iris", "pupil"))
    inferencer = SegInferencer(config, weights=checkpoint, device="cpu")
    deep = picture[1][..., 0].astype(np.uint16) * 100 + 7000
    found = inferencer([*picture, deep], out_dir=str(tmp_path / "out"))["predictions"]
    assert [mask.shape for mask in found] == [(120, 160)] * 3
    np.testing.assert_array_equal(found[0], found[1])  # a file and its pixels
    assert len(list((tmp_path / "out").rglob("*.png"))) >= 3
    with pytest.raises(ValueError, match="LoadImageFromFile is not found"):
        MMSegInferencer(config, weights=checkpoint, device="cpu")


def test_steps_of_labels_and_wrapped_data_sets_do_not_hinder(picture, weights, tmp_path):
    from mmspec.apis import SegInferencer

    cfg = Config.fromfile(REPO / f"configs/{SEG}.py")
    inner = cfg.test_dataloader.dataset
    inner.pipeline.insert(1, dict(type="LoadAnnotations", reduce_zero_label=False))
    cfg.test_dataloader.dataset = dict(type="ConcatDataset", datasets=[inner])
    cfg.dump(config := str(tmp_path / "wrapped.py"))
    checkpoint = weights(config, ("background", "iris", "pupil"))
    found = [
        SegInferencer(one, weights=checkpoint, device="cpu")([picture[0]])["predictions"]
        for one in (config, str(REPO / f"configs/{SEG}.py"))
    ]
    np.testing.assert_array_equal(*found)


def test_detection_inferencer_changes_the_import_alone(picture, weights, tmp_path):
    from mmspec.apis import DetInferencer

    config = str(REPO / f"configs/{DET}.py")
    checkpoint = weights(config, ("Person", "Car", "Bicycle", "OtherVehicle"))
    inferencer = DetInferencer(config, weights=checkpoint, device="cpu")
    found = inferencer(list(picture), out_dir=str(tmp_path / "out"))["predictions"]
    assert found[0]["scores"] == found[1]["scores"] != []
    assert list((tmp_path / "out").rglob("frame.png"))


@pytest.mark.parametrize(("task", "config"), [("Seg", SEG), ("Det", DET)])
def test_inferencers_scale_as_the_checkpoint_was_trained(picture, weights, task, config, capfd):
    import mmspec.apis

    config = str(REPO / f"configs/{config}.py")
    scale = dict(range=(7000, 32500), float32=True)
    checkpoint = weights(config, tuple("abcd"), infrared_scale=scale)
    inferencer = getattr(mmspec.apis, f"{task}Inferencer")(config, checkpoint, device="cpu")
    assert "of the config is left aside" in "".join(capfd.readouterr())
    deep = picture[1][..., 0].astype(np.uint16) * 100 + 7000
    np.testing.assert_allclose(inferencer.load(deep)["img"], picture[1], atol=1e-4)
    shown = inferencer._drawable(deep)
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown, picture[1])


def test_pairs_are_given_as_pairs(picture, weights, tmp_path):
    from mmspec.apis import DetInferencer

    cfg = Config.fromfile(REPO / f"configs/{PAIRS}.py")
    cfg.model.backbone.backbone.init_cfg = None
    config = str(tmp_path / "pairs.py")
    cfg.dump(config)
    inferencer = DetInferencer(
        config, weights=weights(config, ("person", "bicycle", "car")), device="cpu"
    )
    path = picture[0]
    pair = dict(infrared_path=path, visible_path=path)
    assert len(inferencer([pair], out_dir=str(tmp_path / "out"))["predictions"]) == 1
    assert list((tmp_path / "out").rglob("frame.png"))
    with pytest.raises(ValueError, match="the model takes aligned pairs"):
        inferencer(path)


def test_inferencers_are_registered():
    assert INFERENCERS.get("mmspec.DetInferencer").__name__ == "DetInferencer"
    assert INFERENCERS.get("mmspec.SegInferencer").__name__ == "SegInferencer"


@pytest.mark.parametrize("given", ["sample_idx", "seg_map_path"])
def test_labels_of_a_data_set_are_missed(given):
    step = TRANSFORMS.build(dict(type="mmspec.LoadSegmentationLabels"))
    image = dict(img_path="frame.png")
    assert step(dict(image)) == image
    with pytest.raises(KeyError, match="label_codes"):
        step({**image, given: 0})
