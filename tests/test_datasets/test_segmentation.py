import functools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import LAYOUTS, save, write
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from mmspec.datasets import UnreadableImageError, segmentation
from mmspec.datasets.label_io import LabelError
from mmspec.datasets.synthetic import SyntheticInfrared
from mmspec.datasets.transforms import (
    LoadInfraredImageFromFile,
    LoadRGBTImageFromFile,
    LoadSegmentationLabels,
)
from mmspec.registry import DATASETS

# After mmspec, which gives an mmcv without compiled operators those that mmseg asks for.
from mmseg.datasets import BaseSegDataset  # isort: skip
from mmseg.evaluation import IoUMetric  # isort: skip

REPO = Path(__file__).resolve().parents[2]
SIZE = (6, 8)  # rows, columns
GRAY, RED, GREEN, BLUE = 90, 10, 20, 30
LOAD = [dict(type="mmspec.LoadRGBTImageFromFile"), dict(type="mmspec.LoadSegmentationLabels")]


def draw(kind, number, size, value=1):
    """One gray, one colour; two pixels of a class in the first row of a label."""
    pixels = np.full((*size, 3), (RED, GREEN, BLUE), np.uint8)
    if kind != "visible":
        pixels = np.full(size, GRAY if kind == "infrared" else 0, np.uint8)
    if kind == "label":
        pixels[0, :2] = value
    return pixels


def infrared(path):
    save(path, draw("infrared", 0, SIZE))


def visible(path):
    save(path, draw("visible", 0, SIZE))


def label(path, value=1):
    save(path, draw("label", 0, SIZE, value))


CLASSES = {
    "MSRSDataset": 9,
    "MFNetDataset": 9,
    "FMBDataset": 15,
    "SemanticRTDataset": 13,
    "MVSEGDataset": 26,
    "PST900Dataset": 5,
    "UdderDataset": 2,
    "EyeDataset": 3,
}


def release(root, name, names=("00001D", "00002N")):
    """Two samples in ``train``, and what belongs to the data set but not to its list."""
    one = functools.partial(draw, value=LAYOUTS[name].values[1])
    if name == "MVSEGDataset":  # of a video the last frame has a label
        for video, frames in {"walk": (1, 2, 3), "drive": (7,), "other": (9,)}.items():
            write(root, name, video, [f"{frame:05}" for frame in frames], SIZE, one)
            for frame in frames[:-1]:
                (root / "data" / video / "label" / f"{frame:05}l.png").unlink()
        (root / "train.txt").write_text("walk\ndrive\n")
    elif name == "MFNetDataset":
        write(root, name, "train", [*names, "00002N_flip", "00003D"], SIZE, one)
        (root / "train.txt").write_text("00001D\n00001D_flip\n00002N\n00002N_flip\n")
    elif name == "SemanticRTDataset":
        write(root, name, "train", ("a", "b", "c"), SIZE, one)
        (root / "train.txt").write_text("b\na\n")
    else:
        write(root, name, "train", names, SIZE, one)


PAIRED = [name for name in CLASSES if name not in ("UdderDataset", "EyeDataset")]


def build(name, root, pipeline=LOAD, **options):
    return DATASETS.build(
        dict(type=f"mmspec.{name}", data_root=str(root), pipeline=pipeline, **options)
    )


@pytest.mark.parametrize("name", CLASSES)
def test_two_infrared_samples_of_every_class(tmp_path, name):
    classes = CLASSES[name]
    release(tmp_path, name)
    dataset = build(name, tmp_path)
    assert isinstance(dataset, BaseSegDataset) and len(dataset) == 2
    assert len(dataset.metainfo["classes"]) == len(dataset.metainfo["palette"]) == classes
    assert len(set(dataset.metainfo["classes"])) == classes
    assert dataset.metainfo["reduce_zero_label"] is False
    for sample in dataset:
        assert sample["img"].shape == (*SIZE, 3) and sample["img"].dtype == np.uint8
        assert (sample["img"] == GRAY).all()
        assert sample["gt_seg_map"].shape == SIZE and sample["gt_seg_map"].dtype == np.uint8
        assert sample["gt_seg_map"].sum() == 2 and (sample["gt_seg_map"][0, :2] == 1).all()
        assert sample["seg_fields"] == ["gt_seg_map"]


@pytest.mark.parametrize("name", PAIRED)
def test_visible_is_bgr_and_both_are_gray_then_rgb(tmp_path, name):
    release(tmp_path, name)
    near = dict(atol=2 if name == "SemanticRTDataset" else 0)  # its images are JPEG
    seen = build(name, tmp_path, modality="visible")[0]
    np.testing.assert_allclose(seen["img"][2, 3].astype(int), (BLUE, GREEN, RED), **near)
    assert seen["img"].shape == (*SIZE, 3)
    both = build(name, tmp_path, modality="both")[0]
    assert both["img"].shape == (*SIZE, 4) and both["img"].flags.c_contiguous
    expected = (GRAY, RED, GREEN, BLUE)
    np.testing.assert_allclose(both["img"][2, 3].astype(int), expected, **near)


def test_msrs_has_the_classes_of_table_1_and_background_first():
    assert segmentation.MSRSDataset.METAINFO["classes"] == (
        "Background", "Car", "Person", "Bike", "Curve", "Car Stop", "Guardrail", "Color Cone",
        "Bump",
    )  # fmt: skip


def test_the_order_of_a_list_is_that_of_the_samples(tmp_path):
    release(tmp_path, "SemanticRTDataset")
    paths = [sample["img_path"] for sample in build("SemanticRTDataset", tmp_path)]
    assert [Path(path).stem for path in paths] == ["b", "a"]


def test_mvseg_takes_labelled_frames_of_the_listed_videos(tmp_path):
    release(tmp_path, "MVSEGDataset")
    dataset = build("MVSEGDataset", tmp_path, modality="both")
    files = {
        tuple(Path(sample[key]).relative_to(tmp_path / "data").as_posix() for key in
              ("infrared_path", "visible_path", "seg_map_path"))
        for sample in dataset
    }  # fmt: skip
    assert files == {
        ("walk/infrared/00003i.png", "walk/visible/00003v.png", "walk/label/00003l.png"),
        ("drive/infrared/00007i.png", "drive/visible/00007v.png", "drive/label/00007l.png"),
    }


def test_mvseg_names_a_label_without_a_frame_and_an_absent_video(tmp_path):
    release(tmp_path, "MVSEGDataset")
    (tmp_path / "data/walk/infrared/00003i.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"00003l\.png: label with no infrared image"):
        build("MVSEGDataset", tmp_path)
    (tmp_path / "train.txt").write_text("drive\nnone\n")
    with pytest.raises(FileNotFoundError, match=r"train\.txt: none: no folder"):
        build("MVSEGDataset", tmp_path)


def test_mvseg_frames_in_flat_folders(tmp_path):
    release(tmp_path, "EyeDataset")
    prefix = dict(infrared_path="images/{split}", seg_map_path="labels/{split}")
    dataset = build("MVSEGDataset", tmp_path, data_prefix=prefix, ann_file="")
    assert len(dataset) == 2


def test_mfnet_leaves_mirror_images_out(tmp_path):
    release(tmp_path, "MFNetDataset")
    paths = [sample["img_path"] for sample in build("MFNetDataset", tmp_path)]
    assert [Path(path).stem for path in paths] == ["00001D", "00002N"]


@pytest.mark.parametrize(
    ("name", "modality", "step"),
    [
        ("MFNetDataset", "infrared", "mmspec.LoadInfraredImageFromFile"),
        ("MFNetDataset", "infrared", "mmcv.LoadImageFromFile"),
        ("MSRSDataset", "visible", "mmspec.LoadInfraredImageFromFile"),
        ("MSRSDataset", "both", "mmspec.LoadInfraredImageFromFile"),
        ("MSRSDataset", "both", "mmcv.LoadImageFromFile"),
    ],
)
def test_a_loader_of_another_image_is_refused(tmp_path, name, modality, step):
    release(tmp_path, name)
    with pytest.raises(ValueError, match=f"what modality='{modality}' means.*LoadRGBTImageFrom"):
        build(name, tmp_path, [dict(type=step)], modality=modality)


@pytest.mark.parametrize(
    ("name", "modality", "step"),
    [
        ("MFNetDataset", "visible", "mmcv.LoadImageFromFile"),
        ("MSRSDataset", "visible", "mmcv.LoadImageFromFile"),
        ("MSRSDataset", "infrared", "mmcv.LoadImageFromFile"),
    ],
)
def test_mmcvs_loader_gives_the_same_where_it_may_stand(tmp_path, name, modality, step):
    release(tmp_path, name)
    theirs = build(name, tmp_path, [dict(type=step)], modality=modality)[0]["img"]
    np.testing.assert_array_equal(theirs, build(name, tmp_path, modality=modality)[0]["img"])


def test_mmcvs_loader_is_refused_where_it_would_lose_depth(tmp_path):
    levels = np.arange(20000, 20400, dtype=np.uint16).reshape(20, 20)
    save(tmp_path / "images/train/a.png", levels)
    save(tmp_path / "labels/train/a.png", np.zeros((20, 20), np.uint8))
    options = dict(metainfo=dict(classes=("background", "leak")))
    with pytest.raises(ValueError, match=r"upper 8 bits of .*a\.png"):
        build("InfraredSegDataset", tmp_path, [dict(type="mmcv.LoadImageFromFile")], **options)
    loaded = build("InfraredSegDataset", tmp_path, **options)[0]["img"]
    assert (loaded.min(), loaded.max()) == (0, 255)


def test_one_deep_image_among_many_stops_the_frameworks_loader(tmp_path):
    for index in range(40):
        deep = np.uint16 if index == 23 else np.uint8
        save(tmp_path / f"train/ir/{index:02}.png", np.full(SIZE, 90, deep))
        label(tmp_path / f"train/Segmentation_labels/{index:02}.png")
    pipeline = [dict(type="LoadImageFromFile"), LOAD[1]]
    with pytest.raises(ValueError, match=r"upper 8 bits of .*23\.png"):
        build("MSRSDataset", tmp_path, pipeline=pipeline)


def test_mfnet_names_a_file_without_a_fourth_channel(tmp_path):
    release(tmp_path, "MFNetDataset")
    visible(tmp_path / "images/00001D.png")
    with pytest.raises(UnreadableImageError, match=r"00001D\.png: mode RGB, no fourth channel"):
        build("MFNetDataset", tmp_path)[0]


def test_mfnet_in_separate_folders(tmp_path):
    release(tmp_path, "SemanticRTDataset")
    prefix = dict(infrared_path="thermal", visible_path="rgb", seg_map_path="labels")
    dataset = build("MFNetDataset", tmp_path, data_prefix=prefix)
    assert (dataset[0]["img"] == GRAY).all()


def test_16_bit_infrared_by_another_folder(tmp_path):
    release(tmp_path, "PST900Dataset")
    for name in ("00001D", "00002N"):
        ramp = np.arange(48, dtype=np.uint16).reshape(SIZE) * 100 + 20000
        save(tmp_path / "train/thermal_raw" / f"{name}.png", ramp)
    prefix = dict(infrared_path="{split}/thermal_raw")
    load = [dict(LOAD[0], infrared_scale=dict(range=(20000, 24700))), LOAD[1]]
    sample = build("PST900Dataset", tmp_path, data_prefix=prefix, pipeline=load)[0]
    assert (sample["img"][0, 0, 0], sample["img"][-1, -1, 0]) == (0, 255)


def test_any_data_set_by_config_alone(tmp_path):
    release(tmp_path, "UdderDataset")
    config = Config.fromstring(
        f"""dataset = dict(
            type='mmspec.InfraredSegDataset',
            data_root={str(tmp_path)!r},
            data_prefix=dict(seg_map_path='masks/{{split}}'),
            metainfo=dict(classes=('air', 'leak'), palette=[[0, 0, 0], [255, 80, 0]]),
            label_values={{0: 0, 255: 1}},
            pipeline=[dict(type='mmspec.LoadRGBTImageFromFile'),
                      dict(type='mmspec.LoadSegmentationLabels')])""",
        ".py",
    )
    dataset = DATASETS.build(config.dataset)
    assert dataset[1]["gt_seg_map"].sum() == 2
    assert dataset.metainfo["classes"] == ("air", "leak")
    assert dataset.metainfo["palette"] == [[0, 0, 0], [255, 80, 0]]
    message = r"no tuple of classes but {}; give metainfo.* --options \"metainfo"
    with pytest.raises(ValueError, match=message.format("'leak'")):  # not four of one letter
        build("InfraredSegDataset", tmp_path, metainfo=dict(classes="leak"))
    for more in ({}, dict(test_mode=True)):
        with pytest.raises(ValueError, match=message.format(None)):
            build("InfraredSegDataset", tmp_path, data_prefix=dict(seg_map_path="masks"), **more)


def test_chosen_classes_get_new_numbers_and_the_others_are_ignored(tmp_path):
    release(tmp_path, "MSRSDataset")
    pixels = np.repeat(np.arange(8, dtype=np.uint8)[None], 6, axis=0)
    save(tmp_path / "train/Segmentation_labels/00001D.png", pixels)
    dataset = build("MSRSDataset", tmp_path, metainfo=dict(classes=("Person", "Car")))
    assert dataset[0]["gt_seg_map"][0].tolist() == [255, 1, 0, 255, 255, 255, 255, 255]
    palette = segmentation.MSRSDataset.METAINFO["palette"]
    assert dataset.metainfo["palette"] == [palette[2], palette[1]]


def test_a_list_may_choose_samples_with_or_without_suffix(tmp_path):
    release(tmp_path, "MSRSDataset", ("a.1", "b", "c"))
    (tmp_path / "few.txt").write_text("c.png\n\na.1\n")
    dataset = build("MSRSDataset", tmp_path, ann_file="few.txt")
    assert [Path(sample["img_path"]).stem for sample in dataset] == ["c", "a.1"]


def test_a_name_may_end_in_a_suffix_of_images(tmp_path):
    release(tmp_path, "MSRSDataset", ("x.png", "y", "z"))
    label(tmp_path / "train/Segmentation_labels/y.png.png")  # of no image: y.png is y's
    (tmp_path / "few.txt").write_text("x.png\ny.png\nz\nz.png\n")
    dataset = build("MSRSDataset", tmp_path, ann_file="few.txt")
    found = [Path(sample["img_path"]).name for sample in dataset]
    assert found == ["x.png.png", "y.png", "z.png"]


def test_files_in_subfolders_and_of_other_suffixes(tmp_path):
    infrared(tmp_path / "train/ir/night/1.bmp")
    label(tmp_path / "train/Segmentation_labels/night/1.png")
    assert len(build("MSRSDataset", tmp_path)) == 1


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("ir", r"00002N\.png: visible image with no infrared image in .*train.ir"),
        ("vi", r"00002N\.png: infrared image with no visible image in .*train.vi"),
        ("Segmentation_labels", r"00002N\.png: infrared image with no label in .*_labels"),
    ],
)
def test_an_image_or_label_without_its_counterpart(tmp_path, folder, message):
    release(tmp_path, "MSRSDataset")
    (tmp_path / "train" / folder / "00002N.png").unlink()
    with pytest.raises(FileNotFoundError, match=message):
        build("MSRSDataset", tmp_path, modality="both")


def test_a_label_without_image(tmp_path):
    release(tmp_path, "MSRSDataset")
    label(tmp_path / "train/Segmentation_labels/lonely.png")
    message = r"1 names do not match, 2 do.*lonely\.png: label with no infrared image"
    with pytest.raises(FileNotFoundError, match=f"(?s){message}"):
        build("MSRSDataset", tmp_path)


def test_many_faults_are_counted_and_the_first_named(tmp_path):
    release(tmp_path, "MSRSDataset", [f"{i:02}" for i in range(14)])
    for i in range(1, 14):
        (tmp_path / f"train/ir/{i:02}.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"(?s)13 names.*/10\.png: .*and 3 more") as error:
        build("MSRSDataset", tmp_path)
    assert "11.png" not in str(error.value)


def test_two_files_of_one_name(tmp_path):
    release(tmp_path, "MSRSDataset")
    infrared(tmp_path / "train/ir/00001D.jpg")
    with pytest.raises(FileNotFoundError, match=r"00001D\.\w+: has the same name as .*00001D\."):
        build("MSRSDataset", tmp_path)


def test_a_list_that_names_an_absent_file(tmp_path):
    release(tmp_path, "SemanticRTDataset")
    (tmp_path / "train.txt").write_text("a\nnowhere\n")
    with pytest.raises(FileNotFoundError, match=r"train\.txt: nowhere: no file of this name in"):
        build("SemanticRTDataset", tmp_path)


def test_an_empty_split(tmp_path):
    release(tmp_path, "SemanticRTDataset")
    (tmp_path / "val.txt").write_text("\n")
    with pytest.raises(FileNotFoundError, match=r"val\.txt: an empty list, split 'val'"):
        build("SemanticRTDataset", tmp_path, split="val")
    with pytest.raises(FileNotFoundError, match=r"no list '.*test\.txt' of split 'test'"):
        build("SemanticRTDataset", tmp_path, split="test")
    with pytest.raises(FileNotFoundError, match="no folder '.*test.ir'.*data_prefix"):
        build("MSRSDataset", tmp_path, split="test")
    (tmp_path / "test/ir").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no images in '.*test.ir'"):
        build("MSRSDataset", tmp_path, split="test")
    release(tmp_path / "mf", "MFNetDataset")
    (tmp_path / "mf/train.txt").write_text("00002N_flip\n")
    with pytest.raises(FileNotFoundError, match="split 'train' is empty"):
        build("MFNetDataset", tmp_path / "mf")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("MSRSDataset", dict(modality="thermal"), "modality 'thermal'; known: 'infrared'"),
        ("UdderDataset", dict(modality="both"), "modality 'both'; known: 'infrared'$"),
        ("MSRSDataset", dict(data_prefix=dict(img_path="ir")), "data_prefix 'img_path'; known"),
        ("UdderDataset", dict(label_values={0: 0, 255: 2}), "value 255 as class 2"),
        ("UdderDataset", dict(metainfo=dict(classes=("teat",))), "not a subset"),
        ("UdderDataset", dict(pipeline=[dict(type="mmseg.LoadAnnotations")]), "takes 255 for"),
    ],
)
def test_options_that_make_no_sense(tmp_path, name, options, message):
    release(tmp_path, name)
    with pytest.raises(ValueError, match=message):
        build(name, tmp_path, **options)


def test_an_unknown_option_is_an_error(tmp_path):
    release(tmp_path, "MSRSDataset")
    with pytest.raises(TypeError, match="reduce_zero_label"):
        build("MSRSDataset", tmp_path, reduce_zero_label=True)
    with pytest.raises(TypeError, match="got an unexpected argument 'pipelin'; .*pipeline"):
        build("MSRSDataset", tmp_path, pipelin=[])


def test_a_value_outside_the_classes(tmp_path):
    release(tmp_path, "MSRSDataset")
    pixels = np.zeros(SIZE, np.uint8)
    pixels[1, 1:4], pixels[2, 2] = 9, 255
    path = tmp_path / "train/Segmentation_labels/00001D.png"
    save(path, pixels)
    dataset = build("MSRSDataset", tmp_path)
    with pytest.raises(LabelError) as error:
        dataset[0]
    assert str(error.value).startswith(
        f"{path}: 4 of 48 pixels hold values outside the 9 classes: 9 (3 pixels), 255 (1 pixels);"
        " allowed: 0 Background, 1 Car, "
    )
    assert error.value.reason.startswith("4 of 48 pixels")


def test_255_is_ignored_where_a_config_says_so(tmp_path):
    release(tmp_path, "EyeDataset")
    label(tmp_path / "labels/train/00001D.png", 255)
    values = {0: 0, 1: 1, 2: 2, 255: 255}
    sample = build("EyeDataset", tmp_path, label_values=values)[0]
    assert sample["gt_seg_map"][0].tolist() == [255, 255, 0, 0, 0, 0, 0, 0]


def test_udder_masks_of_0_and_1_are_not_guessed(tmp_path):
    release(tmp_path, "UdderDataset")
    label(tmp_path / "masks/train/00001D.png", 1)
    with pytest.raises(LabelError, match=r"1 \(2 pixels\); allowed: 0 background, 255 udder"):
        build("UdderDataset", tmp_path)[0]


def test_label_and_image_of_different_sizes(tmp_path):
    release(tmp_path, "MSRSDataset")
    save(tmp_path / "train/Segmentation_labels/00001D.png", np.zeros((8, 6), np.uint8))
    message = r"labels.00001D\.png: the label is 6 x 8 pixels, its image .*ir.00001D\.png is 8 x 6"
    with pytest.raises(LabelError, match=message):
        build("MSRSDataset", tmp_path)[0]


def test_a_label_may_be_loaded_after_a_resize_of_the_image(tmp_path):
    release(tmp_path, "MSRSDataset")
    pipeline = [LOAD[0], dict(type="mmcv.Resize", scale=(16, 12)), LOAD[1]]
    with DefaultScope.overwrite_default_scope("mmengine"):
        sample = build("MSRSDataset", tmp_path, pipeline=pipeline)[0]
    assert sample["img"].shape[:2] == (12, 16) and sample["gt_seg_map"].shape == SIZE


def test_a_pair_that_is_not_aligned(tmp_path):
    release(tmp_path, "MSRSDataset")
    save(tmp_path / "train/vi/00001D.png", np.zeros((7, 8, 3), np.uint8))
    message = r"ir.00001D\.png: 8 x 6 pixels, its visible image .*vi.00001D\.png 8 x 7"
    with pytest.raises(UnreadableImageError, match=message):
        build("MSRSDataset", tmp_path, modality="both")[0]


def test_a_damaged_visible_image_is_named(tmp_path):
    release(tmp_path, "MSRSDataset")
    (tmp_path / "train/vi/00001D.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableImageError, match=r"vi.00001D\.png: not an image"):
        build("MSRSDataset", tmp_path, modality="visible")[0]


@pytest.mark.parametrize("modality", ["visible", "both"])
@pytest.mark.parametrize("deep", [np.uint16, np.int32, np.float32])
def test_a_visible_image_of_more_than_8_bits_is_refused(tmp_path, modality, deep):
    """Pillow would cut all levels above 255: the infrared folder given as the visible one."""
    release(tmp_path, "MSRSDataset")
    (tmp_path / "train/vi/00001D.png").unlink()
    save(tmp_path / "train/vi/00001D.tiff", np.full(SIZE, 20000, deep))
    message = r"vi.00001D\.tiff: mode (I;16|I|F), more than 8 bits a channel: no visible image"
    with pytest.raises(UnreadableImageError, match=message):
        build("MSRSDataset", tmp_path, modality=modality)[0]


@pytest.mark.parametrize("orientation", [2, 3, 6, 7])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_label_is_turned_upright_as_its_image_is(tmp_path, orientation, mode):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.random.default_rng(0).integers(0, 2, (16, 24)).astype(np.uint8)
    save(tmp_path / "train/ir/a.png", stored * 200, exif=exif)
    classes = Image.fromarray(stored)
    if mode == "P":
        classes.putpalette([0, 0, 0, 9, 90, 9])
    (tmp_path / "train/Segmentation_labels").mkdir()
    classes.save(tmp_path / "train/Segmentation_labels/a.png", exif=exif)
    sample = build("MSRSDataset", tmp_path, modality="infrared", pipeline=LOAD)[0]
    np.testing.assert_array_equal(sample["gt_seg_map"] * 200, sample["img"][..., 0])
    assert sample["gt_seg_map"].shape == ((24, 16) if orientation > 4 else (16, 24))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tiff"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_both_images_of_a_pair_are_turned_upright(tmp_path, suffix, orientation):
    gray = np.zeros((16, 24), np.uint8)
    gray[:8, :8] = 200
    label(tmp_path / "train/Segmentation_labels/a.png")
    for folder, pixels in (("ir", gray), ("vi", np.repeat(gray[..., None], 3, axis=2))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(tmp_path / f"train/{folder}/a{suffix}", pixels, exif=exif)
    img = build("MSRSDataset", tmp_path, modality="both", pipeline=LOAD[:1])[0]["img"]
    upright = {1: gray, 3: gray[::-1, ::-1], 6: np.rot90(gray, -1)}[orientation]
    for channel in (0, 3):
        assert np.abs(img[..., channel].astype(int) - upright).max() < 10


def test_a_label_that_vanished_is_named(tmp_path):
    release(tmp_path, "MSRSDataset")
    dataset = build("MSRSDataset", tmp_path)
    (tmp_path / "train/Segmentation_labels/00001D.png").unlink()
    with pytest.raises(LabelError, match=r"00001D\.png: cannot be opened"):
        dataset[0]


def test_labels_need_a_data_set_of_mmspec(tmp_path):
    label(tmp_path / "1.png")
    with pytest.raises(KeyError, match="LoadAnnotations"):
        LoadSegmentationLabels()(dict(seg_map_path=str(tmp_path / "1.png")))


TRAIN = [
    dict(type="RandomResize", scale=(64, 48), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(32, 32), cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="mmspec.InfraredPhotometric"),
    dict(type="PackSegInputs"),
]


def test_synthetic_scenes_go_through_mmseg_steps_as_eight_classes():
    with DefaultScope.overwrite_default_scope("mmseg"):
        dataset = SyntheticInfrared(length=2, size=(48, 64), pipeline=TRAIN)
        batch = [dataset[i] for i in range(2)]
    assert len(dataset.metainfo["classes"]) == len(dataset.metainfo["palette"]) == 8
    for sample in batch:
        labels = sample["data_samples"].gt_sem_seg.data
        assert sample["inputs"].dtype == torch.uint8
        assert sample["inputs"].shape[1:] == labels.shape[1:]
        assert max(labels.shape) <= 32 and labels.max() < 8


def test_background_counts_in_the_mean_of_mmsegs_metric(tmp_path):
    release(tmp_path, "UdderDataset")
    with DefaultScope.overwrite_default_scope("mmseg"):
        dataset = build("UdderDataset", tmp_path, pipeline=[*LOAD, dict(type="PackSegInputs")])
        sample = dataset[0]["data_samples"]
    metric = IoUMetric()
    metric.dataset_meta = dataset.metainfo
    nothing_found = torch.zeros(1, *SIZE, dtype=torch.int64)
    metric.process({}, [dict(sample.to_dict(), pred_sem_seg=dict(data=nothing_found))])
    result = metric.compute_metrics(metric.results)
    assert result["mIoU"] == pytest.approx((46 / 48 + 0) / 2 * 100, abs=0.01)
    assert result["mAcc"] == pytest.approx(50)


@pytest.mark.parametrize(
    ("name", "folder", "counts", "shape", "present"),
    [
        ("UdderDataset", "udder_seg", dict(train=130, test=50), (480, 640), [0, 1]),
        ("EyeDataset", "eye_seg", dict(train=199, test=80), (200, 200), [0, 1, 2]),
    ],
)
def test_real_data(data_root, name, folder, counts, shape, present):
    if not (data_root / folder).is_dir():
        pytest.skip(f"no {folder} in {data_root}")
    load = [dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"), LOAD[1]]
    for split, count in counts.items():
        dataset = build(name, data_root / folder, load, split=split)
        assert len(dataset) == count
        sample = dataset[count // 2]
        assert sample["img"].shape == (*shape, 3)
        assert np.unique(sample["gt_seg_map"]).tolist() == present


@pytest.mark.parametrize("modality", ["infrared", "visible", "both"])
def test_real_pairs_are_loaded_side_by_side(data_root, tmp_path, modality):
    source = data_root / "msrs_det" / "MSRS" / "test"
    if not source.is_dir():
        pytest.skip(f"no msrs_det in {data_root}")
    name = sorted(path.name for path in (source / "ir").iterdir())[0]
    for folder in ("ir", "vi"):
        (tmp_path / "test" / folder).mkdir(parents=True)
        (tmp_path / "test" / folder / name).symlink_to(source / folder / name)
    save(tmp_path / "test/Segmentation_labels" / name, np.zeros((480, 640), np.uint8))
    img = build("MSRSDataset", tmp_path, split="test", modality=modality)[0]["img"]
    gray = LoadInfraredImageFromFile()(dict(img_path=str(source / "ir" / name)))["img"]
    colour = np.array(Image.open(source / "vi" / name).convert("RGB"))
    expected = dict(infrared=[gray] * 3, visible=[colour[..., i] for i in (2, 1, 0)])
    expected["both"] = [gray] + [colour[..., i] for i in range(3)]
    np.testing.assert_array_equal(img, np.stack(expected[modality], axis=-1))


WITHOUT_MMSEG = """
import json, sys
sys.modules["mmseg"] = None
import mmspec
from mmspec.registry import DATASETS
said = {"folder": DATASETS.get("mmspec.InfraredFolder").__name__}
try:
    DATASETS.build(dict(type="mmspec.MSRSDataset", data_root="x"))
except ImportError as error:
    said["error"] = str(error)
print(json.dumps(said))
"""


def test_without_mmseg_other_data_sets_work_and_these_say_what_is_missing():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_MMSEG], cwd=REPO, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout.splitlines()[-1])
    assert said["folder"] == "InfraredFolder"
    assert "mmspec.MSRSDataset needs mmseg, which cannot be imported" in said["error"]
    assert "pip install" in said["error"]


def test_loader_repr_shows_its_options():
    assert "'range': (1, 2)" in repr(LoadRGBTImageFromFile(infrared_scale=dict(range=(1, 2))))
