"""The frameworks' own calls for a prediction, with configs of mmspec."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

import mmspec  # noqa: F401  (mmcv's operators, before mmdet and mmseg are imported)

REPO = Path(__file__).resolve().parents[2]
SEG = "seg/scratch_convvit-tiny_upernet_1xb4-1k_eye-200x200"
DET = "det/scratch_convvit-tiny_faster-rcnn_1xb4-1k_hit-uav-512x640"
#: No checkpoint to look for.
SMALL = {"model.backbone.init_cfg": None}
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


@pytest.mark.parametrize("given", ["sample_idx", "seg_map_path"])
def test_labels_of_a_data_set_are_missed(given):
    step = TRANSFORMS.build(dict(type="mmspec.LoadSegmentationLabels"))
    image = dict(img_path="frame.png")
    assert step(dict(image)) == image
    with pytest.raises(KeyError, match="label_codes"):
        step({**image, given: 0})
