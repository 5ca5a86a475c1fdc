"""Every cell of the first table of docs/thermal_data.md: what is read, in which unit, for what."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from layouts import save, write_recording
from prediction_cases import CASES, REPO, predictor_of

from mmspec import read_thermal
from mmspec.datasets import InfraredFolder
from mmspec.registry import DATASETS

pytest.importorskip("mmseg.models")
LOAD = dict(type="mmspec.LoadInfraredImageFromFile")
SIZE = (200, 200)  # of the model: nothing is resized

_RAMP = np.linspace(7000, 9000, SIZE[0] * SIZE[1]).reshape(SIZE)
DEEP = _RAMP.astype(np.uint16)
CELSIUS = ((_RAMP - 7000) / 100).astype(np.float32)
GRAY = ((_RAMP - 7000) / 8).astype(np.uint8)
STACK = np.stack([np.roll(DEEP, i) for i in range(4)])
LEVELS = np.stack([np.roll(GRAY, i) for i in range(4)])


def _picture(path: Path, values: np.ndarray) -> None:
    if path.suffix == ".tif":
        tifffile.imwrite(path, values, photometric="minisblack")
    elif path.suffix == ".npy":
        np.save(path, values)
    elif values.dtype == np.uint8:
        save(path, values)
    else:
        cv2.imwrite(str(path), values)


#: By the first cell of a row of the table: suffixes, and what is written.
MADE = {
    "JPEG, PNG, TIFF, BMP of 8 bits": ((".jpg", ".png", ".tif", ".bmp"), _picture, GRAY),
    "PNG, TIFF of 16 bits": ((".png", ".tif"), _picture, DEEP),
    "TIFF of floats": ((".tif",), _picture, CELSIUS),
    "TIFF of several pages": ((".tif",), write_recording, STACK),
    "`.npy` of (H, W)": ((".npy",), _picture, DEEP),
    "`.npy`, `.npz` of (N, H, W)": ((".npy", ".npz"), write_recording, STACK),
    "video: AVI, MP4, MKV": ((".avi", ".mp4", ".mkv"), write_recording, LEVELS),
}
#: Real files below ``MMSPEC_DATA/radiometric``.
REAL = {
    "FLIR radiometric JPEG": "flir_jpeg/*.jpg",
    "FLIR recording, SEQ": "seq/*.seq",
    "DJI radiometric JPEG": "dji/H20N*",
}


def rows() -> dict[str, list[str]]:
    """Cells by the first of each row of the page's first table."""
    text = (REPO / "docs/thermal_data.md").read_text()
    table = text[text.index("| file |") :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]
    return {row[0]: row[1:] for row in cells}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return predictor_of(CASES["segmentation"], tmp_path_factory.mktemp("model"))


def fine_tuning(folder: Path, name: str) -> np.ndarray:
    """The image of a sample with a label for each pixel."""
    image = InfraredFolder(str(folder / "images"), pipeline=[LOAD])[0]["img"]
    save(folder / "labels" / f"{Path(name).stem}.png", np.zeros(image.shape[:2], np.uint8))
    dataset = DATASETS.build(
        dict(
            type="mmspec.InfraredSegDataset",
            data_root=str(folder),
            data_prefix=dict(infrared_path="images", seg_map_path="labels"),
            metainfo=dict(classes=("background", "thing")),
            pipeline=[LOAD, dict(type="mmspec.LoadSegmentationLabels")],
        )
    )
    return dataset[0]["img"]


def check(folder: Path, name: str, cells: list[str], predictor) -> None:
    """Read the one file of ``folder/images`` in three ways, and compare with the row's cells."""
    unit, pretrain, finetune, predict = cells
    path = folder / "images" / name
    image = read_thermal(path)
    assert image.unit == unit and (image.frames > 1) == ("frames" in pretrain)
    samples = InfraredFolder(str(folder / "images"), frame_step=1, pipeline=[LOAD])
    assert (len(samples) > 1) == ("frames" in pretrain)
    gray = samples[0]["img"]
    assert gray.dtype == np.uint8 and len(np.unique(gray)) > 60
    if finetune == "-":
        with pytest.raises((FileNotFoundError, ValueError)):
            fine_tuning(folder, name)
    else:
        assert np.array_equal(fine_tuning(folder, name), gray)
    found = list(predictor.predict(str(path)))
    assert (len(found) > 1) == ("frames" in predict)
    resized = cv2.resize(gray, found[0].image.shape[:0:-1])
    assert np.abs(found[0].image[0].numpy().astype(int) - resized).max() <= 1


@pytest.mark.parametrize("kind", MADE)
def test_files_that_are_made(kind, tmp_path, predictor):
    suffixes, write, values = MADE[kind]
    for suffix in suffixes:
        folder = tmp_path / suffix[1:]
        (folder / "images").mkdir(parents=True)
        write(folder / "images" / f"one{suffix}", values)
        check(folder, f"one{suffix}", rows()[kind], predictor)


@pytest.mark.parametrize("kind", REAL)
def test_files_of_cameras(kind, tmp_path, predictor, data_root):
    pytest.importorskip("flyr")
    file = sorted((data_root / "radiometric").glob(REAL[kind]))[0]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / file.name).symlink_to(file)
    check(tmp_path, file.name, rows()[kind], predictor)


def test_every_row_is_tested():
    assert set(rows()) == {*MADE, *REAL}
