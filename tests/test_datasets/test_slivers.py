"""What a crop leaves of an object: enough to learn it, or nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmspec  # noqa: F401  (stands in for mmcv's operators before mmdet asks for them)
from mmspec.datasets.transforms import ClipBoxes, SegmentationCrop, TargetCrop
from mmspec.datasets.transforms.slivers import cut_labels
from mmspec.registry import TRANSFORMS

REPO = Path(__file__).resolve().parents[2]
SIZE = (60, 80)


def scene(*things, size=SIZE) -> np.ndarray:
    """Classes of boxes (row, column, height, width, class) on class 0."""
    labels = np.zeros(size, np.uint8)
    for row, column, height, width, value in things:
        labels[row : row + height, column : column + width] = value
    return labels


def around(thing, visible: int, side: str) -> tuple[slice, slice]:
    """A window of 30 x 30 that holds so many rows or columns of a thing, at that side of it."""
    row, column, height, width, _ = thing
    top, left = row - 5, column - 5
    if side == "bottom":
        top = row + visible - 30
    elif side == "top":
        top = row + height - visible
    elif side == "right":
        left = column + visible - 30
    else:
        left = column + width - visible
    return slice(top, top + 30), slice(left, left + 30)


@pytest.mark.parametrize("side", ["bottom", "top", "right", "left"])
@pytest.mark.parametrize(("visible", "learnt"), [(1, False), (3, False), (4, True), (8, True)])
def test_a_strip_of_one_to_three_pixels_is_ignored(side, visible, learnt):
    thing = (30, 30, 12, 12, 3)
    size = (80, 80)
    rows, columns = around(thing, visible, side)
    plain = scene(thing, size=size)[rows, columns]
    assert (plain == 3).sum() == 12 * visible
    cut = cut_labels(scene(thing, size=size), rows, columns)
    expected = plain if learnt else np.where(plain == 3, 255, plain)
    np.testing.assert_array_equal(cut, expected)


def test_small_things_are_judged_by_their_share():
    window = slice(0, 30), slice(0, 80)
    # 3 of 4 rows, 2 of 6, 2 of 7, and the corner of 2 x 2 of 4 x 4.
    things = [(27, 10, 4, 5, 1), (28, 20, 6, 5, 2), (28, 30, 7, 5, 4)]
    cut = cut_labels(scene(*things), *window)
    assert (cut == 1).sum() == 15 and (cut == 2).sum() == 10
    assert (cut == 4).sum() == 0 and (cut == 255).sum() == 10
    corner = scene((28, 38, 4, 4, 1))
    assert (cut_labels(corner, slice(0, 30), slice(0, 40)) == 255).sum() == 4


def test_what_fills_half_of_the_crop_stays():
    """Little of the thing, but most of what there is to see; a box of it likewise."""
    pytest.importorskip("mmdet")
    for top, learnt in ((27, True), (28, False)):  # three and two of five rows
        cut = cut_labels(scene((top, 0, 30, 80, 1)), slice(25, 30), slice(0, 80), background=0)
        assert (cut == 1).any() == learnt and (cut == 255).any() != learnt
        sample = detection([(0, top - 25, 80, top + 5)]) | dict(img_shape=(5, 80))
        assert ClipBoxes()(sample)["gt_ignore_flags"].tolist() == [not learnt]


def test_what_is_whole_or_ends_with_the_image_stays():
    things = [(0, 10, 2, 9, 1), (58, 30, 2, 9, 2), (20, 0, 9, 1, 3), (28, 40, 2, 9, 4)]
    labels = scene(*things)
    np.testing.assert_array_equal(cut_labels(labels, slice(0, 60), slice(0, 80)), labels)
    rows = slice(0, 30)  # right behind the last row of the fourth
    np.testing.assert_array_equal(cut_labels(labels, rows, slice(0, 80)), labels[rows])
    # A window beyond the image, as of an image smaller than its crop.
    np.testing.assert_array_equal(cut_labels(labels, slice(0, 99), slice(0, 99)), labels)


def test_things_of_one_class_are_judged_each_alone():
    labels = scene((28, 5, 20, 10, 1), (10, 40, 40, 10, 1))
    cut = cut_labels(labels, slice(0, 30), slice(0, 80))
    assert (cut[28:, 5:15] == 255).all() and (cut[10:, 40:50] == 1).all()
    assert (cut == 255).sum() == 20


def test_labels_are_not_changed_in_place():
    labels = scene((28, 5, 20, 10, 1))
    before = labels.copy()
    cut_labels(labels, slice(0, 30), slice(0, 80))
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("crop", [SegmentationCrop(24), TargetCrop(24, prob=0), TargetCrop(24)])
def test_no_random_crop_keeps_a_sliver(crop):
    np.random.seed(0)
    thing = (20, 30, 16, 16, 1)
    ignored = 0
    for _ in range(300):
        labels = scene(thing)
        results = dict(
            img=np.dstack([labels] * 3), gt_seg_map=labels, seg_fields=["gt_seg_map", "plain"],
            plain=labels.copy(),
        )  # fmt: skip
        results = crop(results)
        assert results["img"].shape == (24, 24, 3) and results["img_shape"] == (24, 24)
        np.testing.assert_array_equal(results["img"][..., 0], results["plain"])
        target = np.argwhere(results["plain"] == 1)
        if not len(target):
            continue
        extent = (np.ptp(target, axis=0) + 1).min()
        kept = (results["gt_seg_map"] == 1).any()
        assert kept == (extent > 3)
        ignored += not kept
    assert ignored > 10 or crop.prob == 0.5


def test_crops_of_mmseg_are_drawn_alike():
    mmseg = pytest.importorskip("mmseg.datasets.transforms")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.repeat(rng.choice([0, 0, 0, 1, 2, 255], (6, 8)), 10, 0), 10, 1)
    labels = labels.astype(np.uint8)
    for ratio in (1.0, 0.6):
        ours, theirs = SegmentationCrop((20, 30), ratio), mmseg.RandomCrop((20, 30), ratio)
        for seed in range(20):
            found = []
            for crop in (ours, theirs):
                np.random.seed(seed)
                img = np.arange(4800).reshape(SIZE)
                sample = dict(img=img, gt_seg_map=labels, seg_fields=["gt_seg_map"])
                found.append(crop(sample)["img"])
            np.testing.assert_array_equal(*found)


def test_options_that_make_no_sense():
    for size in (0, (3, 4, 5)):
        with pytest.raises(ValueError, match="crop_size must be"):
            SegmentationCrop(size)
    with pytest.raises(ValueError, match="cat_max_ratio must be"):
        SegmentationCrop(8, 0)


def detection(boxes, masks=False) -> dict:
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import PolygonMasks

    sample = dict(
        img=np.zeros((100, 100, 3), np.uint8),
        gt_bboxes=HorizontalBoxes(torch.tensor(boxes, dtype=torch.float32)),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.zeros(len(boxes), bool),
    )
    if masks:
        polygons = [[np.array([a, b, c, b, c, d, a, d], float)] for a, b, c, d in boxes]
        sample["gt_masks"] = PolygonMasks(polygons, 100, 100)
    return sample


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize(
    "config",
    ["_base_/datasets/m3fd", "_base_/datasets/flir", "det/detr_r101_1xb2-260k_m3fd",
     "det/dino_swin-large_1xb2-260k_m3fd"],
)  # fmt: skip
def test_boxes_cut_to_a_sliver_are_to_be_ignored(config, masks):
    """By the crop of the config itself, made small."""
    pytest.importorskip("mmdet")
    cfg = Config.fromfile(REPO / "configs" / f"{config}.py")
    init_default_scope("mmdet")
    pipeline = cfg.train_pipeline
    if "RandomChoice" in [step.type for step in pipeline]:
        pipeline = pipeline[3].transforms[1]
    start = [step.type for step in pipeline].index("RandomCrop")
    crop, clip = map(TRANSFORMS.build, pipeline[start : start + 2])
    crop.crop_type, crop.crop_size = "absolute", (50, 50)
    assert isinstance(clip, ClipBoxes)
    boxes = [(10, 10, 41, 41), (30, 60, 71, 67), (20, 45, 31, 66)]  # no share is 0.3
    np.random.seed(1)
    seen = set()
    for _ in range(200):
        sample = detection(boxes, masks)
        result = clip(crop(sample))
        x, y = (-result["homography_matrix"][:2, 2]).astype(int)
        for label, box, ignored in zip(
            result["gt_bboxes_labels"], result["gt_bboxes"].tensor.tolist(),
            result["gt_ignore_flags"],
        ):  # fmt: skip
            a, b, c, d = boxes[label]
            inside = [max(a - x, 0), max(b - y, 0), min(c - x, 50), min(d - y, 50)]
            assert box == inside
            share = (inside[2] - inside[0]) * (inside[3] - inside[1]) / ((c - a) * (d - b))
            assert ignored == (share < 0.3)
            seen.add(bool(ignored))
    assert seen == {True, False}


def test_regions_to_ignore_stay_so():
    sample = detection([(10, 10, 40, 40)]) | dict(img_shape=(100, 100))
    sample["gt_ignore_flags"][:] = True
    assert ClipBoxes()(sample)["gt_ignore_flags"].tolist() == [True]
