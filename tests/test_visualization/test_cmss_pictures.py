import numpy as np
import pytest
from PIL import Image

from mmspec.visualization.cmss import (
    CMSSPicture,
    MixtureRecord,
    cmss_overlay,
    cmss_sheet,
    save_mixture_history,
    visible_history_sheet,
)
from mmspec.visualization.panels import MASKED

RNG = np.random.default_rng(0)
INFRARED = RNG.integers(0, 256, (32, 48), dtype=np.uint8)
RGB = RNG.integers(0, 256, (32, 48, 3), dtype=np.uint8)
SHOWN = np.ones((2, 3), dtype=bool)


def only(row: int, column: int) -> np.ndarray:
    mask = np.ones((2, 3), dtype=bool)
    mask[row, column] = False
    return mask


def test_overlay_goes_from_violet_to_yellow_by_rank():
    black = np.zeros((32, 48, 3), dtype=np.uint8)
    tint = cmss_overlay(black, np.array([[1e-6, 2e-6, 3e-6], [4e-6, 0.5, 1.0]]))
    assert tint.shape == (32, 48, 3) and tint.dtype == np.uint8
    assert (tint[:16, :16] == tint[0, 0]).all()
    low, high = tint[0, 0].astype(int), tint[-1, -1].astype(int)
    assert low[2] > low[1] and high[0] > high[2] and high[1] > high[2]
    assert cmss_overlay(black, np.zeros((1, 1))).shape == (32, 48, 3)


def test_sheet_shows_the_visible_patches_of_each_modality():
    picture = CMSSPicture(INFRARED, RGB, RNG.random((2, 3)), only(0, 0), only(1, 2))
    sheet = cmss_sheet([picture, picture])
    assert sheet.shape == (22 + 4 + 2 * 36, 4 + 6 * 52, 3)
    columns = [sheet[26:58, 4 + 52 * i : 52 + 52 * i] for i in range(6)]
    assert np.array_equal(columns[2][:16, :16], columns[0][:16, :16])
    assert (columns[2][16:] == MASKED).all() and (columns[2][:, 16:] == MASKED).all()
    assert np.array_equal(columns[3], RGB)
    assert np.array_equal(columns[5][16:, 32:], RGB[16:, 32:])
    assert (columns[5][:16] == MASKED).all() and (columns[5][:, :32] == MASKED).all()


def test_history_of_visible_patches_has_a_column_an_epoch():
    masks = [(1, only(0, 0), only(0, 1)), (20, only(1, 0), only(1, 1)), (40, only(0, 2), SHOWN)]
    sheet = visible_history_sheet(INFRARED, RGB, masks)
    assert sheet.shape == (22 + 4 + 2 * 36, 4 + 4 * 52, 3)
    assert np.array_equal(sheet[62:94, 4:52], RGB)
    assert np.array_equal(sheet[62:78, 72:88], RGB[:16, 16:32])
    assert (sheet[62:94, 160:208] == MASKED).all()


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_history_of_the_mixture(tmp_path, epochs):
    records = [
        MixtureRecord(
            epoch,
            RNG.random((4, 6)) ** 3,
            np.array([0.5, 0.1, 0.2]),
            np.array([0.05, 0.001, 0.01]),
            np.array([0.2, 0.5, 0.3]),
            np.linspace(0.05, 0.1 * epoch, 1 + epoch // 4),
        )
        for epoch in range(1, epochs + 1)
    ]
    save_mixture_history(records, tmp_path / "mixture.png")
    pixels = np.asarray(Image.open(tmp_path / "mixture.png").convert("RGB"))
    colours = ((31, 119, 180), (255, 127, 14), (44, 160, 44))  # a line for each component
    assert all((pixels == colour).all(-1).sum() > 50 for colour in colours)
