from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmspec.registry import DATASETS


@pytest.fixture
def root(tmp_path):
    for folder in ("cropinfrared", "crop_LR_visible"):
        (tmp_path / folder).mkdir()
        for name in "abc":
            pixels = np.zeros((16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.jpg")
    (tmp_path / "train.txt").write_text("c\na\nb\n")
    return tmp_path


def build(root, **kwargs):
    return DATASETS.build(
        dict(
            type="mmspec.RoadSceneMatchingDataset",
            data_root=str(root),
            ann_file="train.txt",
            **kwargs,
        )
    )


def names(dataset):
    return [dataset.get_data_info(i)["infrared_path"][-5:] for i in range(len(dataset))]


def test_pairs_are_left_out_by_name(root, monkeypatch):
    assert names(build(root)) == ["c.jpg", "a.jpg", "b.jpg"]
    said = []
    monkeypatch.setattr(
        "mmspec.datasets.matching.print_log", lambda text, **settings: said.append(text)
    )
    # A name that another list has is none of this one.
    assert names(build(root, exclude=["a", "z"])) == ["c.jpg", "b.jpg"]
    assert said[0] == "1 of 3 pairs are left out: a"
    assert said[1].endswith(
        "train.txt has no pair z to leave out; does it have them under other names?"
    )
    with pytest.raises(FileNotFoundError, match=r"train\.txt: every pair is excluded"):
        build(root, exclude="abc")


def test_no_registration_pair_is_trained_on(data_root):
    """The images of the test set against those that the config leaves in, by their content."""

    config = (
        Path(__file__).resolve().parents[2]
        / "configs/matching/mspecgene_vit-base_matching-head_1xb8-1k_roadscene.py"
    )
    settings = dict(Config.fromfile(config).train_dataloader.dataset, pipeline=[])
    settings["data_root"] = str(data_root / "roadscene")
    dataset = DATASETS.build(settings)
    assert len(dataset) == 117

    def thumbnail(path):
        image = cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (32, 24)).ravel()
        image = image - image.mean()
        return image / np.linalg.norm(image)

    trained = [dataset.get_data_info(i)["infrared_path"] for i in range(len(dataset))]
    trained = np.stack([thumbnail(path) for path in trained])
    tested = sorted((data_root / "registration/RoadScene/ir").glob("*.png"))
    assert len(tested) == 4
    for path in tested:
        assert (trained @ thumbnail(path)).max() < 0.95, path
