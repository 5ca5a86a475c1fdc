"""Data sets of small targets, as they are released and as they go wrong."""

from pathlib import Path

import numpy as np
import pytest
from layouts import LAYOUTS, SMALL_TARGETS, save, write
from mmengine.registry import DefaultScope
from PIL import Image

from mmspec.datasets import UnreadableImageError
from mmspec.datasets.label_io import LabelError
from mmspec.datasets.synthetic import SyntheticInfrared
from mmspec.datasets.transforms import LoadInfraredImageFromFile
from mmspec.registry import DATASETS

SIZE = (30, 40)
LOAD = [
    dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"),
    dict(type="mmspec.LoadSegmentationLabels"),
]


def target_mask(value=255):
    mask = np.zeros(SIZE, np.uint8)
    mask[3:5, 6:9] = value
    return mask


def draw(kind, number, size):
    return target_mask() if kind == "label" else np.full(size, 41 + number, np.uint8)


def release(root, name="SmallTargetDataset", listed="Misc_2\nMisc_1\n"):
    write(root, name, "test", ("Misc_1", "Misc_2", "Misc_3"), SIZE, draw)
    (root / LAYOUTS[name].listed.format(split="test")).write_text(listed)


def build(root, name="SmallTargetDataset", **options):
    options = dict(split="test", pipeline=LOAD) | options
    return DATASETS.build(dict(type=f"mmspec.{name}", data_root=str(root), **options))


def with_mask(tmp_path, mask, other=None, **options):
    """Labels of a data set whose first mask is this one, and whose second one is of 0 to 255."""
    release(tmp_path)
    save(tmp_path / "masks/Misc_2_pixels0.png", mask)
    if other is not None:
        save(tmp_path / "masks/Misc_1_pixels0.png", other)
    return build(tmp_path, **options)[0]["gt_seg_map"]


@pytest.mark.parametrize("name", SMALL_TARGETS)
def test_each_as_released(tmp_path, name):
    release(tmp_path, name)
    dataset = build(tmp_path, name)
    assert dataset.metainfo["classes"] == ("background", "target")
    assert [Path(sample["img_path"]).stem for sample in dataset] == ["Misc_2", "Misc_1"]
    for sample, level in zip(dataset, (42, 41)):
        assert sample["img"].shape == (*SIZE, 3) and (sample["img"] == level).all()
        np.testing.assert_array_equal(sample["gt_seg_map"], target_mask(1))


def test_another_list(tmp_path):
    release(tmp_path, "NUDTSIRSTDataset")
    (tmp_path / "img_idx").mkdir()
    (tmp_path / "img_idx/test_NUDT-SIRST.txt").write_text("Misc_3.png\r\n")
    dataset = build(tmp_path, "NUDTSIRSTDataset", ann_file="img_idx/{split}_NUDT-SIRST.txt")
    assert [Path(sample["img_path"]).name for sample in dataset] == ["Misc_3.png"]


def test_a_split_that_names_an_absent_file(tmp_path):
    release(tmp_path, listed="Misc_1\nMisc_9\n")
    with pytest.raises(FileNotFoundError, match=r"test\.txt: Misc_9: no file of this name in"):
        build(tmp_path)


def test_an_image_without_mask(tmp_path):
    release(tmp_path)
    (tmp_path / "masks/Misc_1_pixels0.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"Misc_1\.png: infrared image with no label in"):
        build(tmp_path)


def test_two_masks_of_an_image(tmp_path):
    release(tmp_path)
    save(tmp_path / "masks/Misc_1.png", target_mask())
    with pytest.raises(FileNotFoundError, match=r"Misc_1_pixels0\.png: a second mask of Misc_1"):
        build(tmp_path)


def test_a_split_without_list(tmp_path):
    release(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no list '.*train\.txt' of split 'train'"):
        build(tmp_path, split="train")


def test_masks_of_0_and_1(tmp_path):
    labels = with_mask(tmp_path, target_mask(1), other=target_mask(0))
    np.testing.assert_array_equal(labels, target_mask(1))


def test_near_black_noise_in_a_data_set_of_0_to_255_is_no_target(tmp_path):
    with pytest.warns(UserWarning, match=r"Misc_2_pixels0\.png: levels 0 and 1 in a data set of"):
        assert not with_mask(tmp_path, target_mask(1)).any()


def test_a_mask_to_255_where_the_others_end_at_1_is_named(tmp_path, monkeypatch):
    release(tmp_path)
    for number in (1, 2):
        save(tmp_path / f"masks/Misc_{number}_pixels0.png", target_mask(1))
    dataset = build(tmp_path)
    assert str(dataset.label_codes) == "0 background and 1 target"
    save(tmp_path / "masks/Misc_1_pixels0.png", target_mask(255))
    with pytest.raises(LabelError, match=r"Misc_1_pixels0\.png: levels from 0 to 255, in a data"):
        dataset[1]
    assert str(build(tmp_path).label_codes) == "gray levels with target from 128 on"


def test_a_palette_of_grays_is_looked_up(tmp_path):
    # As programs write it that sort a palette by how often a color occurs, or invert it.
    mask = palette(
        np.where(target_mask(), 0, 255).astype(np.uint8), [(255 - i,) * 3 for i in range(256)]
    )
    np.testing.assert_array_equal(with_mask(tmp_path, mask), target_mask(1))
    soft = palette(target_mask(2), [(0, 0, 0), (90, 90, 90), (255, 255, 255)])
    np.testing.assert_array_equal(with_mask(tmp_path, soft), target_mask(1))


def test_a_gray_mask_of_4_bits_is_full_at_15(tmp_path):
    mask = palette(target_mask(15), [(17 * i,) * 3 for i in range(16)])
    np.testing.assert_array_equal(with_mask(tmp_path, mask), target_mask(1))


def test_indices_of_colors_beyond_1_are_named(tmp_path):
    void = palette(target_mask(255), [(0, 0, 0), (128, 0, 0), *[(9, 90, 9)] * 254])
    with pytest.raises(LabelError, match=r"a palette of colours with indices 0, 255, not a mask"):
        with_mask(tmp_path, void)


def test_an_empty_mask(tmp_path):
    assert not with_mask(tmp_path, target_mask(0)).any()


def test_soft_edges_are_cut_at_128(tmp_path):
    mask = target_mask(255)
    mask[3, 5], mask[3, 9], mask[2, 7] = 127, 128, 1
    expected = target_mask(1)
    expected[3, 9] = 1
    np.testing.assert_array_equal(with_mask(tmp_path, mask), expected)


def test_masks_of_three_equal_channels_and_of_one_bit(tmp_path):
    three = np.repeat(target_mask()[..., None], 3, axis=2)
    np.testing.assert_array_equal(with_mask(tmp_path, three), target_mask(1))
    np.testing.assert_array_equal(with_mask(tmp_path, target_mask() > 0), target_mask(1))


def palette(indices, colours):
    image = Image.fromarray(indices).convert("P")
    image.putdata(indices.ravel().tolist())
    image.putpalette([level for colour in colours for level in colour])
    return image


def test_a_palette_mask_is_its_indices(tmp_path):
    # 1 is drawn dark red, the luma of which is under 128.
    mask = palette(target_mask(1), [(0, 0, 0), (128, 0, 0)])
    np.testing.assert_array_equal(with_mask(tmp_path, mask), target_mask(1))


@pytest.mark.parametrize(
    ("mask", "levels"),
    [
        (target_mask(7), "0 to 7"),
        (target_mask(127), "0 to 127"),
        (palette(target_mask(2), [(0, 0, 0), (45, 45, 45), (90, 90, 90)]), "0 to 90"),
        (target_mask().astype(np.uint16) * 257, "0 to 65535"),
    ],
)
def test_a_mask_that_would_lose_its_targets_is_named(tmp_path, mask, levels):
    with pytest.raises(LabelError, match=rf"Misc_2_pixels0\.png: levels from {levels}: neither"):
        with_mask(tmp_path, mask)


def test_class_numbers_where_a_config_says_so(tmp_path):
    labels = with_mask(tmp_path, target_mask(7), label_values={0: 0, 7: 1})
    np.testing.assert_array_equal(labels, target_mask(1))


def test_a_mask_of_another_size(tmp_path):
    with pytest.raises(LabelError, match=r"_pixels0\.png: the label is 40 x 29 .* is 40 x 30"):
        with_mask(tmp_path, target_mask()[:-1])


def test_a_coloured_mask(tmp_path):
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[3, 4] = (255, 0, 0)
    with pytest.raises(LabelError, match=r"_pixels0\.png: a picture of a label"):
        with_mask(tmp_path, colours)


def test_other_classes_make_no_sense(tmp_path):
    release(tmp_path)
    with pytest.raises(ValueError, match="background and target belong together"):
        build(tmp_path, metainfo=dict(classes=("target",)))


def test_images_of_mixed_kinds_are_read_as_gray(tmp_path):
    release(tmp_path)
    ramp = np.arange(SIZE[0] * SIZE[1], dtype=np.uint32).reshape(SIZE) % 250
    ramp = ramp.astype(np.uint8)
    kinds = {
        "L": Image.fromarray(ramp),
        "RGB": Image.fromarray(np.repeat(ramp[..., None], 3, axis=2)),
        "RGBA": Image.fromarray(np.dstack([ramp, ramp, ramp, np.full(SIZE, 99, np.uint8)])),
        # The indices run against the gray levels that they stand for.
        "P": palette(255 - ramp, [(255 - i,) * 3 for i in range(256)]),
    }
    for mode, image in kinds.items():
        assert image.mode == mode
        save(tmp_path / "images/Misc_2.png", image)
        with Image.open(tmp_path / "images/Misc_2.png") as written:
            assert written.mode == mode
        np.testing.assert_array_equal(build(tmp_path)[0]["img"][..., 0], ramp)


def test_a_coloured_image_is_its_luma_and_said(tmp_path):
    release(tmp_path)
    colours = np.full((*SIZE, 3), (200, 100, 50), np.uint8)
    save(tmp_path / "images/Misc_2.png", colours)
    load = LoadInfraredImageFromFile()
    with pytest.warns(UserWarning, match=r"Misc_2\.png: a colour image, converted to gray by luma"):
        image = load(dict(img_path=str(tmp_path / "images/Misc_2.png")))["img"]
    assert (image == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)).all()


def test_an_image_cut_short(tmp_path):
    release(tmp_path)
    path = tmp_path / "images/Misc_2.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableImageError, match=r"Misc_2\.png: PNG cut short"):
        build(tmp_path)[0]


@pytest.mark.filterwarnings("ignore:.*a colour image")
def test_real_data(data_root):
    root = data_root / "sirst_v2"
    if not root.is_dir():
        pytest.skip(f"no sirst_v2 in {data_root}")
    # Images, those with a target, target pixels: counted once with Pillow alone.
    expected = {"trainval": (200, 192, 7756), "test": (80, 76, 2935)}
    for split, (images, with_targets, pixels) in expected.items():
        dataset = build(root, "SIRSTv2Dataset", split=split)
        labels = [sample["gt_seg_map"] for sample in dataset]
        assert len(labels) == images
        assert sum(mask.any() for mask in labels) == with_targets
        assert sum(int(mask.sum()) for mask in labels) == pixels


def test_real_palette_images_are_looked_up(data_root):
    root = data_root / "sirst_v2"
    path = root / "mixed" / "Misc_73.png"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with Image.open(path) as image:
        assert image.mode == "P"
        indices, levels = np.array(image), np.array(image.convert("L"))
    assert not np.array_equal(indices, levels)
    loaded = LoadInfraredImageFromFile()(dict(img_path=str(path)))["img"]
    np.testing.assert_array_equal(loaded, levels)


# ---- synthetic scenes ----------------------------------------------------------------------------


def test_synthetic_scenes_as_a_small_target_set():
    dataset = SyntheticInfrared(length=4, size=(64, 96), labels="points")
    assert dataset.metainfo["classes"] == ("background", "target")
    assert len(dataset.metainfo["palette"]) == 2
    for sample in dataset:
        assert sample["gt_seg_map"].shape == sample["img"].shape == (64, 96)
        assert set(np.unique(sample["gt_seg_map"])) == {0, 1}
        assert 1 <= sample["gt_seg_map"].sum() <= 60
        assert sample["seg_fields"] == ["gt_seg_map"] and "gt_bboxes" not in sample
    again = SyntheticInfrared(length=4, size=(64, 96), labels="points")
    np.testing.assert_array_equal(again[3]["gt_seg_map"], dataset[3]["gt_seg_map"])


def test_synthetic_targets_go_through_mmseg_steps():
    pipeline = [
        dict(type="mmspec.TargetCrop", crop_size=(32, 48)),
        dict(type="RandomFlip", prob=0.5),
        dict(type="mmspec.InfraredPhotometric"),
        dict(type="PackSegInputs"),
    ]
    with DefaultScope.overwrite_default_scope("mmseg"):
        dataset = SyntheticInfrared(length=3, size=(64, 96), labels="points", pipeline=pipeline)
        samples = [dataset[i] for i in range(3)]
    for sample in samples:
        assert sample["data_samples"].gt_sem_seg.data.shape == (1, 32, 48)
        assert sample["inputs"].shape[1:] == (32, 48)


def test_synthetic_labels_that_do_not_exist():
    with pytest.raises(ValueError, match="labels='boxes': known: 'classes', 'points', 'saliency'"):
        SyntheticInfrared(length=1, labels="boxes")
    with pytest.raises(ValueError, match="would not change the labels"):
        SyntheticInfrared(length=1, labels="points", metainfo=dict(classes=("target",)))
