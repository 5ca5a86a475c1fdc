import os
import warnings

import numpy as np
import pytest
import tifffile
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmpretrain.datasets import PackInputs, RandomFlip, RandomResizedCrop
from mmpretrain.models import SelfSupDataPreprocessor
from PIL import Image
from torch.utils.data import DataLoader

from mmspec.datasets import infrared_folder
from mmspec.datasets.files import find_images
from mmspec.datasets.image_io import UnreadableImageError
from mmspec.datasets.infrared_folder import InfraredFolder
from mmspec.datasets.transforms.loading import LoadInfraredImageFromFile
from mmspec.registry import DATASETS, TRANSFORMS


def save_image(path, size=(32, 24), level=None, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(path.name)))
    shape = (size[1], size[0])
    pixels = rng.integers(0, 256, shape) if level is None else np.full(shape, level)
    Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Six images in three folders, among files that are none."""
    root = tmp_path / "images"
    for index, name in enumerate(
        ["b/2.png", "b/1.JPG", "b/c/3.Tiff", "a/9.jpeg", "z.bmp", "a.tif"]
    ):
        save_image(root / name, level=index * 10)
    save_image(root / ".cache" / "hidden.png")
    save_image(root / "b" / "._2.png")
    (root / "notes.txt").write_text("x")
    return root


SORTED = ["a.tif", "a/9.jpeg", "b/1.JPG", "b/2.png", "b/c/3.Tiff", "z.bmp"]


def test_find_images(folder):
    assert find_images(str(folder)) == SORTED


def test_the_order_is_that_of_whole_paths(tmp_path):
    names = [
        "a.png",
        "a-1.png",
        "a/1.png",
        "a b/2.png",
        "a-1/3.png",
        "a.d/4.png",
        "é/5.png",
        "A.png",
    ]
    for name in names:
        save_image(tmp_path / name, size=(2, 2))
    assert find_images(str(tmp_path)) == sorted(names)


def test_links_are_followed_once(folder, tmp_path):
    elsewhere = save_image(tmp_path / "elsewhere" / "x.png").parent
    (folder / "link").symlink_to(elsewhere)
    (folder / "link again").symlink_to(elsewhere)
    (folder / "b" / "up").symlink_to(folder)
    (folder / "single.png").symlink_to(elsewhere / "x.png")
    (folder / "gone.png").symlink_to(tmp_path / "absent.png")
    found = find_images(str(folder))
    assert found == sorted([*SORTED, "link again/x.png", "single.png", "gone.png"])


def test_an_image_that_is_a_link_to_itself_is_named_and_can_be_skipped(folder, log):
    (folder / "loop.png").symlink_to("loop.png")
    assert "loop.png" in find_images(str(folder))
    index = find_images(str(folder)).index("loop.png")
    pipeline = [dict(type="mmspec.LoadInfraredImageFromFile", min_size=0)]
    with pytest.raises(UnreadableImageError, match=r"loop\.png: cannot be opened"):
        InfraredFolder(str(folder), pipeline=pipeline)[index]
    assert InfraredFolder(str(folder), pipeline=pipeline, skip_broken=True)[index]


@pytest.mark.parametrize("target", ["night.2", "/nowhere"])
def test_a_link_to_no_folder_is_named(folder, target):
    (folder / "night.2").symlink_to(target)
    with pytest.warns(UserWarning, match=r"night\.2 is a link that leads nowhere or to itself"):
        assert find_images(str(folder)) == SORTED


def test_a_subfolder_that_cannot_be_read_is_named(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        FileNotFoundError, match=r"folder '.*/b' cannot be read \(Permission denied"
    ):
        find_images(str(folder))


def test_empty_folder_says_what_was_found(tmp_path):
    for name in ("a.raw", "b.raw", "c.txt", "README"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=r"\.jpg, .*\.npz, found 2 \.raw, 1 ") as error:
        InfraredFolder(data_root=str(tmp_path))
    assert str(tmp_path) in str(error.value)


def test_absent_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.*data_root"):
        InfraredFolder(data_root=str(tmp_path / "nowhere"))


def test_builds_from_a_config_and_reads(folder):
    dataset = DATASETS.build(
        dict(
            type="InfraredFolder",
            data_root=str(folder.parent),
            data_prefix="images",
            pipeline=[LoadInfraredImageFromFile()],
        )
    )
    assert len(dataset) == 6
    assert [os.path.relpath(dataset[i]["img_path"], folder) for i in range(6)] == SORTED
    sample = dataset[1]
    assert sample["img"].shape == (24, 32)
    assert sample["img"].dtype == np.uint8
    assert sample["img_shape"] == sample["ori_shape"] == (24, 32)
    np.testing.assert_array_equal(dataset[5]["img"], np.full((24, 32), 40))


def test_unknown_argument_is_an_error(folder):
    with pytest.raises(TypeError, match="min_sise"):
        InfraredFolder(data_root=str(folder), min_sise=3)


@pytest.mark.parametrize("serialize", [True, False])
def test_list_indices_and_lazy_start(folder, tmp_path, serialize):
    (tmp_path / "list.txt").write_text("b/2.png\n\nb/1.JPG\r\nz.bmp\n")
    dataset = InfraredFolder(
        data_root=str(folder),
        ann_file=str(tmp_path / "list.txt"),
        indices=2,
        serialize_data=serialize,
        lazy_init=True,
    )
    assert not dataset._fully_initialized
    dataset.full_init()
    expected = [str(folder / "b/2.png"), str(folder / "b/1.JPG")]
    assert [dataset[i]["img_path"] for i in range(len(dataset))] == expected


def test_empty_list_is_an_error(folder, tmp_path):
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(FileNotFoundError, match=r"list\.txt: an empty list"):
        InfraredFolder(data_root=str(folder), ann_file=str(tmp_path / "list.txt"))


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(infrared_folder, "print_log", lambda text, **_: lines.append(text))
    return lines


BROKEN = {"b/2.png": "not a JPEG", "a/9.jpeg": "12 x 9 pixels, both sides under min_size=20"}


@pytest.fixture
def partly_broken(folder):
    (folder / "b/2.png").write_text("no image")
    save_image(folder / "a/9.jpeg", size=(12, 9))
    return folder


@pytest.mark.parametrize("name", BROKEN)
def test_broken_image_raises_by_name(partly_broken, name):
    dataset = InfraredFolder(str(partly_broken), pipeline=[LoadInfraredImageFromFile()])
    way_out = r"skipped and counted with InfraredFolder\(skip_broken=True\)"
    with pytest.raises(UnreadableImageError, match=f"{name}: {BROKEN[name]}.*{way_out}"):
        dataset[SORTED.index(name)]


def test_broken_images_are_skipped_named_and_counted(partly_broken, log):
    dataset = InfraredFolder(
        str(partly_broken), pipeline=[LoadInfraredImageFromFile()], skip_broken=True
    )
    good = {str(partly_broken / name) for name in SORTED if name not in BROKEN}
    for _ in range(3):
        assert {dataset[i]["img_path"] for i in range(6)} == good
    assert len(log) == 3
    told = (
        f"6 images in {partly_broken}/ and below; left out in {partly_broken}/ and below: 1 .txt;"
    )
    assert log[0].startswith(told)
    assert log[1].startswith("Skipped, broken image 1 of 6: ")
    assert log[2].startswith("Skipped, broken image 2 of 6: ")
    assert all(any(f"{name}: {BROKEN[name]}" in line for line in log) for name in BROKEN)


def test_skipping_needs_training_mode(partly_broken):
    dataset = InfraredFolder(
        str(partly_broken),
        pipeline=[LoadInfraredImageFromFile()],
        skip_broken=True,
        test_mode=True,
    )
    with pytest.raises(UnreadableImageError, match=r"2\.png"):
        dataset[SORTED.index("b/2.png")]


def test_all_broken(tmp_path, log):
    for index in range(3):
        (tmp_path / f"{index}.png").write_text("no image")
    dataset = InfraredFolder(
        str(tmp_path), pipeline=[LoadInfraredImageFromFile()], skip_broken=True
    )
    with pytest.raises(UnreadableImageError, match=r"3 of the 3 images under .* turned out broken"):
        dataset[0]
    assert len(log) == 4


def test_too_many_draws_in_a_row(partly_broken, log, monkeypatch):
    dataset = InfraredFolder(
        str(partly_broken),
        pipeline=[LoadInfraredImageFromFile()],
        skip_broken=True,
        max_refetch=4,
    )
    monkeypatch.setattr(dataset, "_rand_another", lambda: 1)
    with pytest.raises(UnreadableImageError, match=r"1 of the 6 .*last 5 draws all were"):
        dataset[1]


def test_other_errors_of_a_pipeline_are_not_skipped(folder):
    def fail(results):
        raise ValueError("a mistake elsewhere")

    dataset = InfraredFolder(str(folder), pipeline=[fail], skip_broken=True)
    with pytest.raises(ValueError, match="a mistake elsewhere"):
        dataset[0]


def load_with_workers(folder, skip_broken):
    dataset = InfraredFolder(
        str(folder), pipeline=[LoadInfraredImageFromFile()], skip_broken=skip_broken
    )
    return DataLoader(dataset, batch_size=3, num_workers=2, collate_fn=pseudo_collate)


def test_workers_skip(partly_broken):
    batches = list(load_with_workers(partly_broken, skip_broken=True))
    assert [len(batch["img"]) for batch in batches] == [3, 3]


def test_error_comes_through_a_worker(partly_broken):
    batches = iter(load_with_workers(partly_broken, skip_broken=False))
    with pytest.raises(UnreadableImageError, match=r"9\.jpeg: 12 x 9 pixels"):
        next(batches)
    batches._shutdown_workers()  # the error's traceback holds the iterator, and it its workers


def test_loader_is_registered_and_takes_three_channels(folder):
    loader = TRANSFORMS.build(dict(type="LoadInfraredImageFromFile", color_type="color"))
    img = loader(dict(img_path=str(folder / "z.bmp")))["img"]
    assert img.shape == (24, 32, 3)
    assert img.flags.c_contiguous
    np.testing.assert_array_equal(img, np.full((24, 32, 3), 40))
    assert "color_type='color'" in repr(loader)


def test_pixels_without_a_measurement_are_told_once_and_filled(tmp_path):
    for name in "ab":
        raw = np.arange(600, dtype=np.float32).reshape(20, 30)
        raw[0, : 5 if name == "a" else 7] = np.nan
        tifffile.imwrite(tmp_path / f"{name}.tif", raw)
    load = LoadInfraredImageFromFile(infrared_scale=dict(nodata_level=17))
    with pytest.warns(
        UserWarning, match=r"a\.tif: .*: 5 of 600 pixels \(0.8%\) \(said once\)"
    ) as told:
        images = [load(dict(img_path=str(tmp_path / f"{name}.tif")))["img"] for name in "ab"]
    assert len(told) == 1
    assert (images[0][0, :5] == 17).all() and (images[1][0, :7] == 17).all()
    assert "'nodata_level': 17" in repr(load)
    with pytest.raises(ValueError, match="color_type='rgb'"):
        LoadInfraredImageFromFile(color_type="rgb")


def test_loader_names_an_absent_file(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"gone\.png: cannot be opened"):
        LoadInfraredImageFromFile()(dict(img_path=str(tmp_path / "gone.png")))


def test_loader_takes_small_images_when_told(tmp_path):
    path = save_image(tmp_path / "target.png", size=(12, 9))
    assert LoadInfraredImageFromFile(min_size=0)(dict(img_path=path))["img_shape"] == (9, 12)
    strip = save_image(tmp_path / "strip.png", size=(20, 9))
    assert LoadInfraredImageFromFile()(dict(img_path=strip))["img_shape"] == (9, 20)


def test_loader_warns_of_colour_once(tmp_path):
    paths = [tmp_path / "1.png", tmp_path / "2.png"]
    for path in paths:
        Image.new("RGB", (32, 32), (200, 30, 10)).save(path)
    loader = LoadInfraredImageFromFile()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for path in [*paths, *paths]:
            loader(dict(img_path=str(path)))
    assert len(caught) == 1
    assert "1.png: a colour image" in str(caught[0].message)


def test_loader_scales_by_value_range(tmp_path):
    raw = np.tile(np.arange(1000, 1032, dtype=np.uint16), (32, 1))
    Image.fromarray(raw).save(tmp_path / "raw.png")
    loader = LoadInfraredImageFromFile(infrared_scale=dict(range=(1000, 1255)))
    img = loader(dict(img_path=str(tmp_path / "raw.png")))["img"]
    np.testing.assert_array_equal(img[0], np.arange(32))


def test_pretraining_pipeline_of_mmpretrain_takes_one_channel(folder):
    """Pillow's bicubic crop, flip and packing work on (H, W); the means expand the batch."""
    dataset = InfraredFolder(
        str(folder),
        pipeline=[
            LoadInfraredImageFromFile(),
            RandomResizedCrop(
                scale=48, crop_ratio_range=(0.2, 1.0), backend="pillow", interpolation="bicubic"
            ),
            RandomFlip(prob=1.0),
            PackInputs(),
        ],
    )
    samples = [dataset[i] for i in range(6)]
    for sample in samples:
        assert sample["inputs"].shape == (1, 48, 48)
        assert sample["inputs"].dtype == torch.uint8
        assert sample["data_samples"].ori_shape == (24, 32)
        assert sample["data_samples"].flip
    levels = [round(float(sample["inputs"].float().mean())) for sample in samples]
    assert levels == [50, 30, 10, 0, 20, 40]
    preprocessor = SelfSupDataPreprocessor(mean=[108.375] * 3, std=[51.0] * 3)
    batch = preprocessor(
        dict(
            inputs=torch.stack([sample["inputs"] for sample in samples]),
            data_samples=[sample["data_samples"] for sample in samples],
        )
    )["inputs"]
    assert batch.shape == (6, 3, 48, 48)
    assert torch.equal(batch[:, 0], batch[:, 2])
    assert torch.allclose(batch[0, 0].mean(), torch.tensor((50 - 108.375) / 51.0))


def test_flip_and_crop_move_pixels(tmp_path):
    gradient = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    Image.fromarray(gradient).save(tmp_path / "ramp.png")
    results = LoadInfraredImageFromFile()(dict(img_path=str(tmp_path / "ramp.png")))
    flipped = MMENGINE_TRANSFORMS.build(dict(type="mmpretrain.RandomFlip", prob=1.0))(results)
    np.testing.assert_array_equal(flipped["img"], gradient[:, ::-1])


def test_real_images(data_root):
    dataset = InfraredFolder(
        str(data_root / "inf_mini"), "images", pipeline=[LoadInfraredImageFromFile()]
    )
    assert len(dataset) == 4222
    sample = dataset[0]
    assert sample["img"].ndim == 2
    assert sample["img"].std() > 1


def test_mmcvs_loader_gets_no_images_that_it_would_cut_to_8_bits(tmp_path):
    for name, kind in (("a.png", np.uint8), ("b/c.png", np.uint16)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((32, 32), 200, kind)).save(tmp_path / name)
    with pytest.raises(ValueError, match=r"would keep the upper 8 bits of .*c\.png"):
        InfraredFolder(str(tmp_path), pipeline=[dict(type="LoadImageFromFile")])
