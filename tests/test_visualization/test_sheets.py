import json

import numpy as np
import pytest
import torch
from loss_curve import read_losses, save_loss_curve
from PIL import Image

from mmspec.masking import PatchMask
from mmspec.models.selfsup import PairReconstruction, Reconstruction
from mmspec.visualization.panels import MASKED, display_gain, mask_overlay, to_display
from mmspec.visualization.reconstruction import (
    mask_sheet,
    pair_reconstruction_sheet,
    reconstruction_sheet,
)


def test_dark_frames_are_stretched_and_empty_ones_are_not():
    dark = np.tile(np.arange(20, dtype=np.uint8), (20, 1))
    low, high = display_gain(dark)
    assert (low, high) == (0, 19)
    assert to_display(dark, (low, high)).min() == 0 and to_display(dark, (low, high)).max() == 255
    assert display_gain(np.full((8, 8), 7)) == (7, 23)


def test_masked_patches_are_blue_and_visible_ones_are_the_image():
    image = np.full((4, 6), 50, np.uint8)
    mask = np.array([[True, False, False], [False, False, True]])
    shown = mask_overlay(image, mask, (0, 100))
    assert (shown[:2, :2] == MASKED).all() and (shown[2:, 4:] == MASKED).all()
    assert (shown[:2, 2:] == 128).all() and (shown[2:, :4] == 128).all()


def test_reconstruction_sheet_has_a_row_an_image_and_its_parts_in_order():
    image = torch.rand(3, 3, 32, 48) * 255
    mask = PatchMask.from_keep(torch.tensor([[0], [1], [2]]), (2, 3))
    result = Reconstruction(image, image, image * 0, image, mask, torch.zeros(3))
    sheet = reconstruction_sheet(result, max_images=2)
    assert sheet.shape == (22 + 4 + 2 * 36, 4 + 4 * 52, 3)
    first = sheet[26:58]
    assert np.array_equal(first[:, 4:52], first[:, 160:208])  # input and composite
    assert np.array_equal(first[:16, 56:72], first[:16, 4:20])  # the visible patch
    assert (first[:, 108:156] == 0).all()  # a black prediction


def test_pairs_have_a_gray_and_a_coloured_row_and_a_column_from_the_other_image():
    image = torch.rand(3, 3, 32, 48) * 255
    mask = PatchMask.from_keep(torch.tensor([[0], [1], [2]]), (2, 3))
    side = Reconstruction(image, image, image * 0, image, mask, torch.zeros(3))
    crossed = Reconstruction(image, image, image * 0 + 255, image, mask, torch.zeros(3))
    sheet = pair_reconstruction_sheet(
        PairReconstruction(side, side), PairReconstruction(crossed, crossed), max_images=2
    )
    assert sheet.shape == (22 + 4 + 4 * 36, 4 + 5 * 52, 3)
    infrared, visible = sheet[26:58, 4:52].astype(int), sheet[62:94, 4:52].astype(int)
    assert np.ptp(infrared, axis=2).max() == 0 and np.ptp(visible, axis=2).max() > 100
    gain = display_gain(image[0].permute(1, 2, 0).numpy())
    assert np.array_equal(visible, to_display(image[0].permute(1, 2, 0).numpy(), gain))
    assert (sheet[26:94][[0, 40], 212:260] == 255).all()


def test_mask_sheet_shows_every_score_and_random():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (64, 96), dtype=np.uint8) for _ in range(2)]
    sheet = mask_sheet(images)
    assert sheet.shape == (22 + 4 + 2 * 68, 4 + 6 * 100, 3)  # input, four scores, random
    masked = (sheet[26:90, 104:200] == MASKED).all(-1).mean()
    assert masked == pytest.approx(0.75, abs=0.01)


def test_loss_curve_joins_the_runs_of_a_work_directory(tmp_path):
    runs = {"a": [(1, 2.0), (2, 1.5), (3, 9.0), (7, 9.0)], "b": [(3, 1.2), (4, 1.0)]}
    for run, entries in runs.items():
        log = tmp_path / run / "vis_data" / "scalars.json"
        log.parent.mkdir(parents=True)
        lines = [json.dumps(dict(step=step, loss=loss)) for step, loss in entries]
        log.write_text("\n".join([*lines, json.dumps(dict(step=9, accuracy=1))]))
    steps, losses = read_losses(tmp_path)
    assert steps.tolist() == [1, 2, 3, 4] and losses.tolist() == [2.0, 1.5, 1.2, 1.0]
    save_loss_curve(tmp_path, tmp_path / "curve.png")
    assert np.asarray(Image.open(tmp_path / "curve.png").convert("L")).std() > 10
    with pytest.raises(FileNotFoundError, match=r"scalars\.json"):
        read_losses(tmp_path / "a" / "vis_data")
