"""Pictures of what pictures were not made for: odd sizes, values that are none, unknown classes."""

import json
import math

import numpy as np
import pytest
import torch
from loss_curve import save_loss_curve
from PIL import Image

from mmspec.masking import PatchMask
from mmspec.models.selfsup import PairReconstruction, Reconstruction
from mmspec.visualization.cmss import (
    CMSSPicture,
    MixtureRecord,
    cmss_sheet,
    save_mixture_history,
    visible_history_sheet,
)
from mmspec.visualization.curves import save_miss_rate_curves
from mmspec.visualization.detection import TO_IGNORE, detection_picture
from mmspec.visualization.matching import match_picture
from mmspec.visualization.panels import display_gain, to_display
from mmspec.visualization.reconstruction import (
    mask_sheet,
    pair_reconstruction_sheet,
    reconstruction_sheet,
)
from mmspec.visualization.segmentation import (
    COLOURS,
    UNKNOWN,
    saliency_picture,
    segmentation_picture,
)
from mmspec.visualization.small_target import small_target_picture

CLASSES = ("person", "car")
#: Height and width: one column would be enlarged to 3.2 million rows, or 280,000 rows.
SIZES = [(40, 3), (20_000, 3), (3, 40), (20, 20_000), (20_000, 20), (1, 1)]

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def gray(size):
    return np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)


def colours(picture):
    return {tuple(c) for c in np.unique(picture.reshape(-1, 3), axis=0).tolist()}


def detections(boxes, scores=None, labels=None, truth=None, size=(300, 500)):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.full(len(boxes), 0.9) if scores is None else np.array(scores)
    labels = np.zeros(len(boxes), np.int64) if labels is None else np.array(labels)
    image = np.zeros(size, np.uint8)
    return detection_picture([image], boxes, scores, labels, truth, CLASSES)


@pytest.mark.parametrize("size", SIZES)
def test_sizes_no_one_thought_of(size):
    image, some = gray(size), np.zeros(size, np.uint8)
    some[size[0] // 2, size[1] // 2] = 1
    colour = np.repeat(image[..., None], 3, axis=2)
    points = np.zeros((1, 2))
    pictures = [
        detections([[0, 0, 2, 2]], truth=[([0, 0, 2, 2], 1, False)], size=size),
        segmentation_picture(dict(infrared=image, visible=colour), some, some, CLASSES),
        small_target_picture(image, some, some * 0.9),
        small_target_picture(image, some, 0.9 - some * 0.9),
        saliency_picture(colour, image, some, some * 0.5),
        match_picture(image, colour, points, points, np.zeros(1)),
    ]
    for picture in pictures:
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
        assert picture.size < 50e6  # bytes


@pytest.mark.parametrize("size", [(16, 16), (20_000, 16), (16, 20_000)])
def test_strips_of_patches(size):
    image = torch.from_numpy(gray(size)).float().expand(1, 3, *size)
    grid = size[0] // 16, size[1] // 16
    mask = PatchMask.from_keep(torch.tensor([[0]]), grid)
    side = Reconstruction(image, image, image * math.nan, image, mask, torch.zeros(1))
    flags = mask.mask.view(grid).numpy()
    infrared, rgb = gray(size).astype(float), gray((*size, 3))
    picture = CMSSPicture(infrared, rgb, np.full(grid, math.nan), flags, flags)
    for sheet in (
        mask_sheet([gray(size)], stride=1),
        reconstruction_sheet(side),
        pair_reconstruction_sheet(PairReconstruction(side, side), PairReconstruction(side, side)),
        cmss_sheet([picture]),
        visible_history_sheet(infrared, rgb, [(1, flags, flags)]),
    ):
        assert sheet.dtype == np.uint8 and sheet.shape[2] == 3


def test_boxes_that_are_none_are_counted_and_the_others_drawn():
    picture = detections(
        [[20, 30, 60, 90], [0, 0, math.nan, 9], [0, 0, math.inf, 9], [1, 1, 9, 9]],
        scores=[0.9, 0.9, 0.9, math.nan],
        truth=[([7, 8, math.nan, 9], 0, True)],
    )
    assert (picture[26 + 30, 4 + 20 : 4 + 60] == COLOURS[0]).all()
    legend = colours(picture[-20:])
    assert {COLOURS[0], (0, 0, 0)} <= legend and TO_IGNORE not in legend
    assert (0, 0, 0) not in colours(detections([[20, 30, 60, 90]])[-20:])


def test_boxes_far_outside():
    far = detections([[-1e12, -1e12, 1e12, 60], [100, 250, 400, 1e30]])
    left = far[26:326, 4:504]
    assert (left[59, 1:499] == COLOURS[0]).all()  # the lower edge of the first
    assert (left[250, 100:400] == COLOURS[0]).all() and (left[251:, 100] == COLOURS[0]).all()


def test_classes_that_the_data_set_does_not_have():
    picture = detections([[20, 30, 60, 90]], labels=[7], truth=[([20, 30, 60, 90], -1, False)])
    assert (picture[56, 24:64] == UNKNOWN).all() and (picture[56, 528:568] == UNKNOWN).all()
    labels = np.zeros((30, 40), np.int64)
    labels[:10], labels[10:20] = 7, -3
    truth = np.full((30, 40), 200, np.uint8)
    picture = segmentation_picture(dict(input=np.zeros((30, 40), np.uint8)), labels, truth, CLASSES)
    prediction = picture[26:56, 4 + 44 : 4 + 84]
    assert (prediction[:9, 1:-1] == np.rint(0.45 * 255)).all()  # white over black
    assert UNKNOWN in colours(picture[-20:])


def test_scores_and_truth_beyond_their_range():
    image, odd = gray((60, 80)), np.zeros((60, 80))
    odd[0, :4] = math.nan, math.inf, -math.inf, 7
    truth = np.zeros((60, 80), np.uint8)
    truth[30:, 40:], truth[:9, :9] = 1, 255
    picture = saliency_picture(None, image, truth, odd)
    truth_panel = picture[26:236, 4 + 284 : 4 + 284 + 280]
    assert (truth_panel[-10:, -10:] == 255).all() and (truth_panel[:10, :10] == 255).all()
    assert small_target_picture(image, truth, odd).dtype == np.uint8
    assert small_target_picture(image, truth + 4, np.zeros((60, 80))).dtype == np.uint8


def test_points_that_are_none_or_far_away():
    image, colour = np.zeros((60, 480), np.uint8), np.zeros((60, 480, 3), np.uint8)
    here = np.array([(10.0, 10), (20, 20), (30, 30)])
    odd = np.array([(math.nan, 10), (math.inf, 1), (1e30, -1e30)])
    picture = match_picture(image, colour, here, odd, np.array([math.nan, math.inf, 1e30]))
    assert picture.shape == (80, 968, 3)
    assert (picture[20 + 10, 8:13] == 0).all()  # nothing at a point without a partner
    assert (235, 50, 40) in colours(picture[20:])


def test_gray_levels_that_are_none():
    image = np.tile(np.arange(20.0), (20, 1))
    image[0, 0], image[1, 1], image[2, 2] = math.nan, math.inf, -math.inf
    assert display_gain(image) == (0, 19)
    shown = to_display(image, display_gain(image))
    assert shown[0, 0].tolist() == [0, 0, 0] and shown[1, 1, 0] == 255 and shown[2, 2, 0] == 0
    assert display_gain(image * math.nan) == (0, 16)


def test_curves_of_nothing(tmp_path):
    none = np.full(3, math.nan)
    records = [
        MixtureRecord(1, np.full((2, 2), math.nan), none, none, none, none),
        MixtureRecord(2, np.ones((2, 2)), np.ones(3), np.ones(3), np.ones(3) / 3, np.zeros(0)),
    ]
    save_mixture_history(records, tmp_path / "mixture.png")
    save_miss_rate_curves({}, tmp_path / "miss_rate.png")
    log = tmp_path / "run" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    for name, entries in (("none", []), ("nan", [dict(step=1, loss=math.nan)])):
        log.write_text("\n".join(map(json.dumps, entries)))
        save_loss_curve(tmp_path, tmp_path / f"{name}.png")
    for name in ("mixture", "miss_rate", "none", "nan"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 100
