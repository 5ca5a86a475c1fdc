"""From values to gray levels: what is kept, what is told, and what a data set keeps of it."""

import os
import re
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from layouts import fff
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import Compose, ConcatDataset
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

import mmspec
from mmspec.datasets import InfraredFolder, read_infrared
from mmspec.datasets.image_io import UnreadableImageError, sequence_limits, sequence_of
from mmspec.datasets.transforms import LoadInfraredImageFromFile, LoadRGBTImageFromFile
from mmspec.thermal import flir
from mmspec.thermal.image import ThermalImage
from mmspec.thermal.scaling import NOISES, Scaling, to_gray

RNG = np.random.default_rng(0)
WALL = RNG.normal(29500, 3, (240, 320)).astype(np.uint16)


def png(path, values):
    assert cv2.imwrite(str(path), values)
    return str(path)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
@pytest.mark.parametrize("percentiles", [(0, 100), (0.5, 99.5)])
def test_an_empty_wall_is_not_stretched_to_noise(kind, percentiles):
    gray = read_infrared(WALL.astype(kind), percentiles=percentiles)
    assert 6 < gray.std() < 10 and abs(gray.mean() - 127.5) < 10
    assert read_infrared(WALL.astype(kind), percentiles=percentiles, min_span=0).std() > 25
    fixed = read_infrared(WALL.astype(kind), percentiles=percentiles, min_span=510)
    assert abs(fixed.std() - 1.5) < 0.3


def test_what_real_sensors_give_keeps_all_its_contrast(data_root):
    """The least span of a scene here is 55 times its noise."""
    if not (data_root / "radiometric").is_dir():
        pytest.skip("no radiometric files")
    files = [*(data_root / "radiometric" / "flir_jpeg").iterdir()]
    assert len(files) == 13
    for path in [*files, data_root / "radiometric" / "dji" / "H20N_DJI_0001_R.JPG"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [
                read_infrared(path, unit="counts", percentiles=(0.5, 99.5), min_span=span)
                for span in (None, 0)
            ]
        np.testing.assert_array_equal(*found)
    assert NOISES == 32


def test_a_small_target_keeps_its_levels_where_percentiles_flatten_it():
    sky = RNG.normal(7000, 4, (128, 128))
    sky[60:63, 60:63] += np.array([[50, 90, 60], [120, 400, 150], [70, 130, 80]])
    raw = sky.astype(np.uint16)
    target = read_infrared(raw)[60:63, 60:63]
    assert (target == 255).sum() == 1
    assert (read_infrared(raw, percentiles=(0.5, 99.5), min_span=0)[60:63, 60:63] == 255).all()


def test_fractions_of_levels_keep_14_bits():
    raw = np.arange(7000, 7000 + 60 * 80, dtype=np.uint16).reshape(60, 80)
    whole, fractions = (read_infrared(raw, float32=flag) for flag in (False, True))
    assert (whole.dtype, fractions.dtype) == (np.uint8, np.float32)
    assert len(np.unique(whole)) == 256 and len(np.unique(fractions)) == raw.size
    assert np.abs(whole - fractions).max() <= 0.5 + 1e-5
    eight = whole.copy()
    assert read_infrared(eight, float32=True).dtype == np.uint8


@pytest.mark.parametrize(
    ("values", "given", "message"),
    [
        (WALL, (20, 40), r"half of the pixels: 100% of .* hundredths of a kelvin\? \(20, 40\) Cel"
         r"sius is \(29315, 31315\)"),
        (WALL, (0, 29000), "half of the pixels: 100%"),
        (WALL, (29000, 30000), None),
        (WALL.astype(np.uint8), (20, 40), "a range is for deeper files"),
    ],
)  # fmt: skip
def test_a_range_that_cannot_be_meant_is_told_once(tmp_path, values, given, message):
    loader = LoadInfraredImageFromFile(infrared_scale=dict(range=given))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for name in "ab":
            loader(dict(img_path=png(tmp_path / f"{name}.png", values)))
    assert len(told) == (message is not None)
    if message:
        assert "a.png: " in str(told[0].message)
        assert re.search(message, str(told[0].message))


def test_what_all_workers_meet_is_told_once(tmp_path):
    for name in range(8):
        png(tmp_path / f"{name}.png", WALL)
    dataset = InfraredFolder(
        str(tmp_path),
        pipeline=[LoadInfraredImageFromFile()],
        infrared_scale=dict(range=(20, 40)),
    )
    loader = dataset.pipeline.transforms[0]
    for _ in range(2):
        list(DataLoader(dataset, num_workers=2, collate_fn=len))
    assert len(os.listdir(loader._once.folder)) == 1


def test_one_mapping_for_a_folder(tmp_path):
    kettle = WALL.copy()
    kettle[100:200, 100:200] = 37300
    one, two = png(tmp_path / "one.png", WALL), png(tmp_path / "two.png", kettle)
    alone = LoadInfraredImageFromFile()
    together = LoadInfraredImageFromFile(infrared_scale=dict(sequence=True))
    levels = [[load(dict(img_path=path))["img"][:50].mean() for path in (one, two)]
              for load in (alone, together)]  # fmt: skip
    assert levels[0][0] > levels[0][1] + 50
    assert levels[1][0] == pytest.approx(levels[1][1], abs=0.1)


TOGETHER = dict(sequence=True)


def test_folders_and_kinds_of_files_have_mappings_of_their_own(tmp_path):
    paths = []
    for number, name in enumerate(("run#1/a.png", "run#2/a.png", "run#2/b.tif")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        paths.append(png(tmp_path / name, WALL + 1000 * number))
    load = LoadInfraredImageFromFile(infrared_scale=TOGETHER)
    expected = LoadInfraredImageFromFile()(dict(img_path=paths[0]))["img"]
    for path in paths:
        np.testing.assert_array_equal(load(dict(img_path=path))["img"], expected)


def test_one_mapping_for_the_frames_of_a_recording(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = [WALL, WALL + 500]
    # Counts, which a recording's frames are, without the constants that make them Celsius.
    Path("clip.seq").write_bytes(b"".join(fff(x.tobytes(), 320, 240) for x in frames))
    np.save("clip.npy", np.stack(frames))
    for name in ("clip.seq", "clip.npy"):
        load = LoadInfraredImageFromFile(infrared_scale=TOGETHER)
        levels = [load(dict(img_path=f"{name}#{i}"))["img"].mean() for i in (0, 1)]
        assert levels[1] - levels[0] > 200


def test_a_sequence_of_pixels_in_memory_is_each_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "array").mkdir()
    given = dict(img_path="array", frames=dict(array=WALL))
    found = LoadInfraredImageFromFile(infrared_scale=TOGETHER)(dict(given))["img"]
    np.testing.assert_array_equal(found, LoadInfraredImageFromFile()(dict(given))["img"])


def test_a_broken_neighbour_takes_no_part_in_a_sequence(tmp_path):
    one = png(tmp_path / "one.png", WALL)
    (tmp_path / "two.png").write_bytes(b"no image")
    load = LoadInfraredImageFromFile(infrared_scale=TOGETHER)
    assert load(dict(img_path=one))["img"].std() > 5
    with pytest.raises(UnreadableImageError, match="elsewhere/.*local disk"):
        sequence_limits(sequence_of("elsewhere/a.png"), Scaling(sequence=True))


def test_absent_pixels_do_not_hide_the_noise(tmp_path):
    """Neither as NaN, nor by the one level that they are filled with."""
    values = WALL.astype(np.float32)
    values[:160] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values)
    whole = read_infrared(WALL[160:].astype(np.float32))
    load = LoadInfraredImageFromFile(infrared_scale=dict(percentiles=(0, 100), sequence=True))
    with pytest.warns(UserWarning, match="hold no measurement"):
        image = mmspec.read_thermal(tmp_path / "a.tif")
    with pytest.warns(UserWarning, match="hold no measurement"):
        sequence = load(dict(img_path=str(tmp_path / "a.tif")))["img"]
    for gray in (to_gray(image, Scaling(percentiles=(0, 100)))[0], sequence):
        np.testing.assert_allclose(gray[160:], whole, atol=2)


def test_counts_without_a_temperature_are_absent(tmp_path, monkeypatch):
    values = RNG.normal(20, 2, (24, 32)).astype(np.float32)
    values[3, 4] = np.nan
    monkeypatch.setattr(flir, "has_flyr", lambda: True)
    monkeypatch.setattr(flir, "celsius", lambda frame, counts: values.copy())
    (tmp_path / "a.seq").write_bytes(fff(bytes(2 * values.size), 32, 24))
    with pytest.warns(UserWarning, match="its constants may be wrong"):
        image = mmspec.read_thermal(tmp_path / "a.seq", "celsius")
    assert image.absent.sum() == 1 and np.isnan(image.values[3, 4])
    assert to_gray(image, Scaling(min_span=0))[0].max() == 255
    values[:] = np.nan
    with pytest.raises(UnreadableImageError, match="no pixel has a temperature"):
        mmspec.read_thermal(tmp_path / "a.seq", "celsius")


def test_a_data_set_keeps_its_scale_for_the_checkpoint(tmp_path):
    png(tmp_path / "a.png", WALL)
    scale = dict(range=(29000, 30000), float32=True)
    dataset = InfraredFolder(
        str(tmp_path), pipeline=[LoadInfraredImageFromFile()], infrared_scale=scale
    )
    assert dataset.metainfo["infrared_scale"] == scale
    assert dataset[0]["img"].dtype == np.float32
    default = InfraredFolder(str(tmp_path), pipeline=[LoadInfraredImageFromFile()])
    assert default.metainfo["infrared_scale"] == {}
    pair = LoadRGBTImageFromFile(infrared_scale=scale)
    assert pair.scaling == Scaling(range=(29000, 30000)) == Scaling(range=[29000, 30000])


def test_sets_with_and_without_infrared_images_become_one(tmp_path):
    """As M-SpecGene's first stage has them."""
    png(tmp_path / "a.png", np.zeros((32, 32), np.uint8))  # mmcv's loader takes no deeper one
    steps = [LoadImageFromFile()], [LoadInfraredImageFromFile(color_type="color")]
    for scale in (None, dict(range=(29000, 30000))):
        sets = [InfraredFolder(str(tmp_path), pipeline=x, infrared_scale=scale) for x in steps]
        both = ConcatDataset(sets)
        assert both.metainfo["infrared_scale"] == (scale or {})


def test_absent_pixels_take_no_part():
    values, absent = WALL.copy(), np.zeros(WALL.shape, bool)
    absent[0] = True
    values[0] = 1
    gray, _ = to_gray(ThermalImage(values, "counts", absent=absent), Scaling(min_span=0))
    assert gray[1:].min() == 0 and gray[1:].max() == 255


@pytest.mark.parametrize(
    "wrong",
    [
        dict(min_span=-1),
        dict(range=(1, 2), sequence=True),
        dict(unit="kelvin"),
        dict(range=(1,)),
        dict(range=5),
        dict(percentiles=("0", "99")),
    ],
)
def test_a_scale_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="must be|a range is one"):
        Scaling(**wrong)


CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    ("scope", "config"),
    [
        ("mmseg", "irstd/infmae_convvit-base_unet_1xb2-240k_irstd1k-512x512.py"),
        ("mmseg", "seg/infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py"),
        ("mmdet", "det/infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd.py"),
    ],
)
@pytest.mark.parametrize("bits", [8, 14])
def test_levels_keep_their_fractions_through_a_configs_steps(tmp_path, scope, config, bits):
    pytest.importorskip(scope)
    cfg = Config.fromfile(CONFIGS / config)
    assert cfg.infrared_scale["percentiles"] == ((0, 100) if "irstd" in config else (0.5, 99.5))
    raw = np.linspace(0, 2**bits - 1, 300 * 400).reshape(300, 400)
    path = png(tmp_path / "a.png", raw.astype(np.uint8 if bits == 8 else np.uint16))
    steps = [
        step for step in cfg.train_pipeline
        if "Load" not in step["type"] and step["type"] not in ("mmspec.ClipBoxes",)
        and "Filter" not in step["type"]
    ]  # fmt: skip
    load = LoadInfraredImageFromFile(
        color_type="color", infrared_scale={**cfg.infrared_scale, "float32": True}
    )
    label = np.zeros(raw.shape, np.uint8)
    given = dict(
        img_path=path, img_id=0, seg_fields=["gt_seg_map"], gt_seg_map=label, reduce_zero_label=0
    )
    with DefaultScope.overwrite_default_scope(scope):
        packed = Compose([load, *steps])(
            given if scope == "mmseg" else dict(img_path=path, img_id=0)
        )
    inputs = packed["inputs"]
    assert inputs.is_floating_point() == (bits == 14)
    if bits == 14:
        assert inputs.min() >= 0 and inputs.max() <= 255
        assert (inputs % 1 > 0).float().mean() > 0.5
