import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import save
from mmengine.dataset import default_collate
from mmpretrain.datasets.transforms import PackInputs, RandomResizedCrop
from mmpretrain.structures import DataSample
from PIL import Image
from processes import Program, run

from mmspec.datasets import RGBTFolder, UnreadableImageError
from mmspec.datasets.transforms import (
    InfraredPhotometric,
    LoadRGBTImageFromFile,
    RGBTPhotometric,
    TransformPair,
)
from mmspec.models.data_preprocessors import RGBTDataPreprocessor

TOOL = Path(__file__).resolve().parents[2] / "tools" / "dataset_converters" / "prepare_pairs.py"
CROP = dict(
    type="RandomResizedCrop",
    scale=64,
    crop_ratio_range=(0.2, 0.5),
    backend="pillow",
    interpolation="bicubic",
    _scope_="mmpretrain",
)
FLIP = dict(type="RandomFlip", prob=0.5)


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Four pairs of 40 x 60 noise: red is the infrared image, green its negative, blue is 7."""
    rng = np.random.default_rng(0)
    for name in ("a/1", "a/2", "b/1", "b/2"):
        gray = rng.integers(0, 256, (40, 60), dtype=np.uint8)
        save(tmp_path / "ir" / f"{name}.png", gray)
        colour = np.stack([gray, 255 - gray, np.full_like(gray, 7)], 2)
        save(tmp_path / "rgb" / f"{name}.bmp", colour)
    return tmp_path


def names(dataset: RGBTFolder) -> list[str]:
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        assert Path(info["infrared_path"]).stem == Path(info["visible_path"]).stem
    return [dataset.get_data_info(i)["infrared_path"].split("/ir/")[1] for i in range(len(dataset))]


def test_pairs_by_folder_whatever_the_suffix(corpus):
    dataset = RGBTFolder(str(corpus))
    assert names(dataset) == ["a/1.png", "a/2.png", "b/1.png", "b/2.png"]
    info = dataset.get_data_info(3)
    assert info["visible_path"] == f"{corpus}/rgb/b/2.bmp" and info["modality"] == "both"


def test_pairs_by_a_list_of_names_and_by_a_list_of_two_paths(corpus):
    (corpus / "names.txt").write_text("b/2\na/1.png\n\n")
    assert names(RGBTFolder(str(corpus), ann_file="names.txt")) == ["b/2.png", "a/1.png"]
    (corpus / "paths.txt").write_text("ir/b/1.png\trgb/b/1.bmp\nir/a/2.png\trgb/a/2.bmp\n")
    assert names(RGBTFolder(str(corpus), ann_file="paths.txt")) == ["b/1.png", "a/2.png"]
    (corpus / "mixed.txt").write_text("ir/b/1.png\trgb/b/1.bmp\nir/a/2.png\n")
    with pytest.raises(ValueError, match="1 of 2 lines are not two paths.*'ir/a/2.png'"):
        RGBTFolder(str(corpus), ann_file="mixed.txt")


def test_a_missing_partner_names_both_files(corpus):
    (corpus / "rgb/a/2.bmp").unlink()
    (corpus / "ir/b/1.png").unlink()
    with pytest.raises(FileNotFoundError) as error:
        RGBTFolder(str(corpus))
    message = str(error.value)
    assert "2 images or names have no partner, 2 pairs are complete" in message
    assert f"{corpus}/ir/a/2.png: no visible image {corpus}/rgb/a/2.*" in message
    assert f"{corpus}/rgb/b/1.bmp: no infrared image {corpus}/ir/b/1.*" in message
    (corpus / "names.txt").write_text("b/9\n")
    with pytest.raises(FileNotFoundError, match=r"names.txt: b/9: no .*ir/b/9.* and no .*rgb/b/9"):
        RGBTFolder(str(corpus), ann_file="names.txt")


@pytest.mark.parametrize(("gone", "other"), [("ir/a/1.png", "rgb/a/1.bmp"),
                                              ("rgb/a/1.bmp", "ir/a/1.png")])  # fmt: skip
def test_a_listed_file_that_is_not_there_is_named_with_its_partner(corpus, gone, other):
    (corpus / "paths.txt").write_text("ir/a/1.png\trgb/a/1.bmp\n")
    (corpus / gone).unlink()
    dataset = RGBTFolder(
        str(corpus), ann_file="paths.txt", pipeline=[LoadRGBTImageFromFile()], test_mode=True
    )
    with pytest.raises(UnreadableImageError, match=rf"/{gone}: .*the partner of .*/{other}\)"):
        dataset[0]


def test_two_sizes_name_both_files_and_may_be_skipped(corpus):
    save(corpus / "rgb/a/2.bmp", np.zeros((40, 61, 3), np.uint8))
    pipeline = [LoadRGBTImageFromFile()]
    dataset = RGBTFolder(str(corpus), pipeline=pipeline)
    with pytest.raises(UnreadableImageError, match=r"ir/a/2.png: 60 x 40.*rgb/a/2.bmp 61 x 40"):
        dataset[1]
    dataset = RGBTFolder(str(corpus), pipeline=pipeline, skip_broken=True)
    assert dataset[1]["img"].shape == (40, 60, 4)


def test_one_geometry_for_both_images(corpus):
    pair = TransformPair(both=[CROP, FLIP])
    dataset = RGBTFolder(str(corpus), pipeline=[LoadRGBTImageFromFile(), pair])
    np.random.seed(0)
    random.seed(0)
    crops = [dataset[0] for _ in range(12)]
    for results in crops:
        assert results["channels"] == ("infrared", "red", "green", "blue")
        assert results["img"].shape == (64, 64, 4) and results["img_shape"] == (64, 64)
        infrared, red, green, blue = np.moveaxis(results["img"].astype(int), -1, 0)
        assert np.array_equal(infrared, red) and (blue == 7).all()
        assert np.abs(infrared - (255 - green)).max() <= 1  # the resize rounds
    assert len({results["img"].tobytes() for results in crops}) == 12
    assert {results["flip"] for results in crops} == {True, False}


def test_labels_that_a_step_changes_in_place_are_changed_once():
    class Double:
        def __call__(self, results):
            results["boxes"] *= 2  # as mmdet's Resize does
            results["instances"][0]["area"] *= 4
            return results

    sample = dict(img=np.zeros((4, 6, 4), np.uint8), channels=("infrared", "red", "green", "blue"))
    results = TransformPair([Double()])(
        sample | dict(boxes=np.array([1.0, 2.0, 3.0, 4.0]), instances=[dict(area=4)])
    )
    assert results["boxes"].tolist() == [2, 4, 6, 8] and results["instances"] == [dict(area=16)]


def test_a_sample_that_a_step_drops_is_dropped():
    sample = dict(img=np.zeros((4, 6, 4), np.uint8), channels=("infrared", "red", "green", "blue"))
    assert TransformPair([lambda results: None])(sample) is None


def test_the_crop_is_that_of_the_single_image(corpus):
    np.random.seed(3)
    pair = TransformPair(both=[CROP])
    results = RGBTFolder(str(corpus), pipeline=[LoadRGBTImageFromFile(), pair])[2]
    np.random.seed(3)
    gray = np.array(Image.open(corpus / "ir/b/1.png"))
    alone = RandomResizedCrop(64, (0.2, 0.5), backend="pillow", interpolation="bicubic")
    assert np.array_equal(results["img"][..., 0], alone(dict(img=gray))["img"])


def test_each_modality_has_its_own_photometry(corpus):
    class Bright:
        def __call__(self, results):
            results["img"] = results["img"] // 2
            results["img"][..., 0] = 100  # blue: mmcv's order
            return results

    load = LoadRGBTImageFromFile()
    before = RGBTFolder(str(corpus), pipeline=[load])[0]["img"]
    darker = RGBTPhotometric(InfraredPhotometric(prob=1.0), Bright())
    after = RGBTFolder(str(corpus), pipeline=[load, darker])[0]["img"]
    assert not np.array_equal(after[..., 0], before[..., 0])
    assert np.array_equal(after[..., 1:3], before[..., 1:3] // 2)
    assert (after[..., 3] == 100).all()


def test_a_single_image_is_no_pair():
    results = dict(img=np.zeros((4, 4, 3), np.uint8), channels=("infrared",) * 3, img_path="x.png")
    with pytest.raises(ValueError, match=r"TransformPair: .* of x.png are no pair"):
        TransformPair([])(results)


MEANS = dict(mean_infrared=(10,) * 3, std_infrared=(2,) * 3, mean_visible=(1, 2, 3),
             std_visible=(4, 5, 6))  # fmt: skip


@pytest.mark.parametrize("steps", [[], [TransformPair([])]])
def test_each_modality_is_normalised_in_its_own_order(corpus, steps):
    pipeline = [LoadRGBTImageFromFile(), *steps, PackInputs(meta_keys=("channels",))]
    dataset = RGBTFolder(str(corpus), pipeline=pipeline)
    batch = default_collate([dataset[0], dataset[1]])
    inputs = RGBTDataPreprocessor(**MEANS)(batch)["inputs"]
    gray = torch.from_numpy(np.array(Image.open(corpus / "ir/a/2.png"))).float()
    expected = [(gray - 10) / 2] * 3 + [(gray - 1) / 4, (255 - gray - 2) / 5]
    assert inputs.shape == (2, 6, 40, 60)
    assert torch.allclose(inputs[1, :5], torch.stack(expected))
    assert torch.allclose(inputs[1, 5], torch.tensor((7 - 3) / 6))


def test_channels_are_never_guessed():
    preprocessor = RGBTDataPreprocessor(**MEANS)
    inputs = torch.zeros(2, 6, 8, 8, dtype=torch.uint8)
    stated = [DataSample(metainfo=dict(channels=("infrared",) * 3 + tuple("rgb")))] * 2
    for samples, message in (
        ([DataSample(), DataSample()], "must state"),
        ([DataSample(), stated[0]], "must state"),
        (stated, "no blue, green, red"),
    ):
        with pytest.raises(ValueError, match=message):
            preprocessor(dict(inputs=inputs, data_samples=samples))
    with pytest.raises(ValueError, match="3 values"):
        RGBTDataPreprocessor(mean_infrared=(1,))


def report(*arguments) -> Program:
    return run(TOOL, *arguments, "--workers", "1")


def test_tool_reports_the_pairing_and_lists_what_is_left(corpus):
    for name, twin in (("a/1", "c/1"), ("a/2", "c/2")):
        for side, suffix in (("ir", "png"), ("rgb", "bmp")):
            save(corpus / side / f"{twin}.{suffix}",
                 np.array(Image.open(corpus / side / f"{name}.{suffix}")))  # fmt: skip
    save(corpus / "ir/c/2.png", np.array(Image.open(corpus / "ir/b/2.png")))  # visible alone equal
    (corpus / "ir/b/1.png").unlink()
    save(corpus / "rgb/b/2.bmp", np.zeros((40, 61, 3), np.uint8))
    out = corpus / "pairs.txt"
    result = report(corpus, "--out", out, "--report", corpus / "report.json")
    assert result.returncode == 0, result.stderr
    text = " ".join(result.stdout.split())
    for line in (
        "5 pairs found", "0 infrared without visible", "1 visible without infrared",
        "0 unreadable", "1 size mismatch", "1 near-duplicate", "3 pairs left",
        f"rgb/b/1.bmp: no infrared image {corpus}/ir/b/1.*",
        f"{corpus}/ir/b/2.png: 60 x 40 pixels, {corpus}/rgb/b/2.bmp: 61 x 40 pixels",
        f"{corpus}/ir/c/1.png: 0 bits from {corpus}/ir/a/1.png",
    ):  # fmt: skip
        assert line in text
    assert out.read_text() == "a/1.png\na/2.png\nc/2.png\n"
    (corpus / "rgb").rename(corpus / "ir_rgb")  # begins as the other folder does
    alike = report(corpus, "--visible", "ir_rgb", "--out", corpus / "alike.txt").stdout
    assert "0 infrared without visible 1 visible without infrared" in " ".join(alike.split())
    (corpus / "ir_rgb").rename(corpus / "rgb")
    assert len(RGBTFolder(str(corpus), ann_file=str(out))) == 3
    again = report(corpus, "--out", out)
    assert again.returncode == 2 and "pairs.txt exists" in again.stderr


def test_real_pairs(data_root):
    dataset = RGBTFolder(
        str(data_root / "roadscene"),
        "cropinfrared",
        "crop_LR_visible",
        "train.txt",
        pipeline=[LoadRGBTImageFromFile(), TransformPair(both=[CROP, FLIP])],
    )
    assert len(dataset) == 120
    assert dataset[0]["img"].shape == (64, 64, 4)


def test_frames_of_recordings_are_in_the_list_of_the_tool(corpus):
    frames = np.random.default_rng(1).integers(0, 256, (3, 40, 60), dtype=np.uint8)
    for path in ("ir/clip.npy", "rgb/clip.npy", "ir/alone.npy", "ir/short.npy"):
        np.save(corpus / path, frames)
    np.save(corpus / "rgb/short.npy", frames[:2])
    out = corpus / "pairs.txt"
    told = report(corpus, "--out", out).stdout
    assert "7 pairs found" in told and "alone.npy: no visible image" in told
    assert "1 unreadable" in told and "short.npy 2 frames: no pair" in told
    lines = [f"ir/clip.npy#{i}\trgb/clip.npy#{i}" for i in range(3)]
    assert out.read_text().splitlines()[4:] == lines
    again = report(corpus, "--list", out, "--out", corpus / "again.txt")
    assert again.returncode == 0 and (corpus / "again.txt").read_text() == out.read_text()


def test_a_name_that_no_list_can_hold_is_refused(corpus):
    for path in (corpus / "ir/a/1.png", corpus / "rgb/a/1.bmp"):
        path.rename(os.fsdecode(os.fsencode(path.with_suffix("")) + b"\xe9" + path.suffix.encode()))
    result = report(corpus, "--out", corpus / "pairs.txt")
    assert "error: a list cannot hold the name 'a/1\\udce9.png'" in result.stderr
