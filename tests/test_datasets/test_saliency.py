"""Data sets of salient objects, as they are released and as they go wrong."""

from pathlib import Path

import numpy as np
import pytest
from layouts import SALIENCY, save, write
from mmengine.dataset import ConcatDataset
from mmengine.registry import DefaultScope
from PIL import Image

from mmspec.datasets import UnreadableImageError
from mmspec.datasets.label_io import LabelError
from mmspec.datasets.scenes import CLASSES, THING_CLASSES
from mmspec.datasets.synthetic import SyntheticInfrared
from mmspec.registry import DATASETS

SIZE = (32, 48)
GRAY, RED, GREEN, BLUE = 90, 200, 120, 30
LOAD = [
    dict(type="mmspec.LoadRGBTImageFromFile"),
    dict(type="mmspec.LoadSegmentationLabels"),
]
NAMES = dict(VT5000Dataset="VT5000", VT1000Dataset="VT1000", VT821Dataset="VT821")
NAMES["VIRGBT1500Dataset"] = "VI-RGBT1500"


def mask(value=255):
    pixels = np.zeros(SIZE, np.uint8)
    pixels[7:22, 13:30] = value  # not along the blocks of a JPEG
    return pixels


def draw(kind, number, size):
    if kind == "visible":
        return np.full((*size, 3), (RED, GREEN, BLUE), np.uint8)
    return mask() if kind == "label" else np.full(size, GRAY, np.uint8)


def release(root, name="VIRGBT1500Dataset", names=("1", "2")):
    write(root, name, "Test", names, SIZE, draw)


def build(root, name="VIRGBT1500Dataset", pipeline=LOAD, **options):
    if name == "VT5000Dataset":
        options = dict(split="Test") | options
    config = dict(type=f"mmspec.{name}", data_root=str(root), pipeline=pipeline)
    return DATASETS.build(config | dict(modality="both") | options)


@pytest.mark.parametrize("name", SALIENCY)
def test_each_as_released(tmp_path, name):
    release(tmp_path, name)
    dataset = build(tmp_path, name)
    assert dataset.metainfo["classes"] == ("background", "salient")
    assert [Path(sample["img_path"]).stem for sample in dataset] == ["1", "2"]
    for sample in dataset:
        assert sample.get("dataset_name") == NAMES.get(name)
        np.testing.assert_array_equal(sample["gt_seg_map"], mask(1))


@pytest.mark.parametrize(
    ("modality", "channels", "levels"),
    [
        ("infrared", ("infrared",) * 3, (GRAY,) * 3),
        ("visible", ("blue", "green", "red"), (BLUE, GREEN, RED)),
        ("both", ("infrared", "red", "green", "blue"), (GRAY, RED, GREEN, BLUE)),
    ],
)
def test_modalities_and_the_order_of_channels(tmp_path, modality, channels, levels):
    release(tmp_path)
    sample = build(tmp_path, modality=modality)[0]
    assert sample["channels"] == channels and sample["img"].shape == (*SIZE, len(channels))
    np.testing.assert_allclose(sample["img"][0, 0].astype(int), levels, atol=3)  # JPEG


def test_one_modality_needs_no_folder_of_the_other(tmp_path):
    release(tmp_path)
    for file in (tmp_path / "RGB").iterdir():
        file.unlink()
    (tmp_path / "RGB").rmdir()
    assert len(build(tmp_path, modality="infrared")) == 2
    with pytest.raises(FileNotFoundError, match=r"no folder '.*RGB'.*visible_path="):
        build(tmp_path)


def test_another_name_of_the_infrared_folder(tmp_path):
    release(tmp_path, "VT821Dataset")
    (tmp_path / "T").rename(tmp_path / "thermal")
    dataset = build(tmp_path, "VT821Dataset", data_prefix=dict(infrared_path="thermal"))
    assert dataset[1]["infrared_path"].endswith("thermal/2.jpg")


def test_soft_edges_are_cut_at_128(tmp_path):
    release(tmp_path)
    soft = mask()
    soft[8, 16:20] = 1, 127, 128, 254
    save(tmp_path / "GT/1.png", soft)
    expected = mask(1)
    expected[8, 16:18] = 0
    np.testing.assert_array_equal(build(tmp_path)[0]["gt_seg_map"], expected)


@pytest.mark.parametrize("level", [1, 255])
def test_masks_of_0_and_1_and_of_three_channels(tmp_path, level):
    release(tmp_path)
    save(tmp_path / "GT/1.png", mask(level))
    save(tmp_path / "GT/2.png", np.repeat(mask(level)[..., None], 3, axis=2))
    for sample in build(tmp_path):
        np.testing.assert_array_equal(sample["gt_seg_map"], mask(1))


def test_a_jpeg_mask_is_for_salient_objects_alone(tmp_path):
    release(tmp_path, "VT1000Dataset")
    with Image.open(tmp_path / "GT/1.jpg") as image:
        levels = np.unique(np.array(image))
    assert len(levels) > 2  # what compression leaves of 0 and 255
    np.testing.assert_array_equal(build(tmp_path, "VT1000Dataset")[0]["gt_seg_map"], mask(1))
    (tmp_path / "test.txt").write_text("1")
    folders = dict(infrared_path="T", seg_map_path="GT")
    options = dict(modality="infrared", data_prefix=folders, split="test")
    with pytest.raises(LabelError, match=r"GT/1\.jpg: a JPEG label"):
        build(tmp_path, "SmallTargetDataset", **options)[0]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("RGB", r"T/2\.png: infrared image with no visible image in .*RGB"),
        ("T", r"RGB/2\.jpg: visible image with no infrared image in .*T"),
        ("GT", r"T/2\.png: infrared image with no label in .*GT"),
    ],
)
def test_an_absent_partner(tmp_path, folder, message):
    release(tmp_path)
    next((tmp_path / folder).glob("2.*")).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        build(tmp_path)


def test_images_of_different_sizes_name_both(tmp_path):
    release(tmp_path)
    save(tmp_path / "RGB/1.jpg", np.zeros((32, 40, 3), np.uint8))
    with pytest.raises(
        UnreadableImageError, match=r"T/1\.png: 48 x 32 pixels, .*RGB/1\.jpg 40 x 32"
    ):
        build(tmp_path)[0]


def test_a_mask_of_another_size_names_both(tmp_path):
    release(tmp_path)
    save(tmp_path / "GT/1.png", mask()[:, :40])
    with pytest.raises(LabelError, match=r"GT/1\.png: the label is 40 x 32.*T/1\.png is 48 x 32"):
        build(tmp_path)[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.where(mask() > 0, np.uint8(38), np.uint8(0)), "levels from 0 to 38: neither"),
        (np.dstack([mask(), mask() // 2, mask()]), "a picture of a label"),
    ],
)
def test_masks_that_are_none(tmp_path, wrong, message):
    release(tmp_path)
    save(tmp_path / "GT/1.png", wrong)
    with pytest.raises(LabelError, match=rf"GT/1\.png: {message}"):
        build(tmp_path)[0]


def test_other_classes_and_another_loader_are_refused(tmp_path):
    release(tmp_path)
    with pytest.raises(ValueError, match="background and salient belong together"):
        build(tmp_path, metainfo=dict(classes=("salient",)))
    with pytest.raises(ValueError, match="LoadImageFromFile in the pipeline does not load"):
        build(tmp_path, pipeline=[dict(type="LoadImageFromFile")])


def test_several_in_one_test(tmp_path):
    names = ("VT5000Dataset", "VT1000Dataset")
    for name in names:
        release(tmp_path / name, name)
    both = ConcatDataset([build(tmp_path / name, name) for name in names])
    assert [both[i]["dataset_name"] for i in range(4)] == ["VT5000"] * 2 + ["VT1000"] * 2
    assert both.metainfo["classes"] == ("background", "salient")


def test_rendered_things_are_salient():
    dataset = SyntheticInfrared(length=9, size=(64, 96), labels="saliency", modality="both")
    assert dataset.metainfo["classes"] == ("background", "salient")
    for index, sample in enumerate(dataset):
        scene = dataset._scene(index)
        assert scene.family == ("street_day", "street_night")[index % 2]
        things = np.isin(scene.labels, [CLASSES.index(name) for name in THING_CLASSES])
        assert things.mean() >= 0.01
        np.testing.assert_array_equal(sample["gt_seg_map"], things)
        assert sample["gt_seg_map"].dtype == np.uint8 and sample["img"].shape == (64, 96, 4)
        assert sample["seg_fields"] == ["gt_seg_map"] and "gt_bboxes" not in sample
    infrared = SyntheticInfrared(length=9, size=(64, 96), labels="saliency")
    np.testing.assert_array_equal(infrared[4]["gt_seg_map"], dataset[4]["gt_seg_map"])


def test_rendered_pairs_go_through_mmseg_steps():
    pipeline = [
        dict(type="RandomCrop", crop_size=(32, 48), cat_max_ratio=0.75),
        dict(type="RandomFlip", prob=0.5),
        dict(type="mmspec.RGBTPhotometric"),
        dict(type="PackSegInputs"),
    ]
    with DefaultScope.overwrite_default_scope("mmseg"):
        sample = SyntheticInfrared(
            length=2, size=(64, 96), labels="saliency", modality="both", pipeline=pipeline
        )[0]
    assert sample["inputs"].shape == (4, 32, 48)
    assert sample["data_samples"].gt_sem_seg.data.shape == (1, 32, 48)
