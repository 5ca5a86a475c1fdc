from dataclasses import fields

import cv2
import numpy as np
import pytest
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.registry import DATASETS
from torch.utils.data import DataLoader

from mmspec.datasets.scenes import (
    CLASSES,
    FAMILIES,
    PALETTE,
    THING_CLASSES,
    ThermalScene,
    render_scene,
)
from mmspec.datasets.synthetic import SyntheticInfrared

SIZE = (96, 128)


def things_fit(scene: ThermalScene) -> int:
    """Asserts that boxes are tight round pixels of their class; gives their number."""
    height, width = scene.image.shape
    assert scene.boxes.shape == (len(scene.box_labels), 4)
    for box, label in zip(scene.boxes, scene.box_labels, strict=True):
        x0, y0, x1, y1 = box.astype(int)
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        inside = scene.labels[y0:y1, x0:x1] == label
        for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert side.any(), (box, label)
    return len(scene.boxes)


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_arrays(family):
    first, second = render_scene(7, SIZE, True, family), render_scene(7, SIZE, True, family)
    for field in fields(ThermalScene):
        a, b = getattr(first, field.name), getattr(second, field.name)
        assert np.array_equal(a, b), field.name
    thermal_only = render_scene(7, SIZE, False, family)
    assert thermal_only.visible is None
    assert np.array_equal(first.image, thermal_only.image)
    assert np.array_equal(first.labels, thermal_only.labels)
    assert not np.array_equal(first.image, render_scene(8, SIZE, False, family).image)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (32, 200), (200, 32), (256, 256)])
@pytest.mark.parametrize("family", FAMILIES)
def test_any_size(size, family):
    for seed in range(3):
        scene = render_scene(seed, size, True, family)
        assert scene.family == family
        assert scene.image.shape == scene.raw.shape == scene.labels.shape == size
        assert scene.point_mask.shape == size
        assert scene.visible.shape == (*size, 3)
        assert scene.image.dtype == scene.labels.dtype == scene.visible.dtype == np.uint8
        assert (scene.raw.dtype, scene.boxes.dtype) == (np.uint16, np.float32)
        assert scene.raw.max() < 2**14
        assert scene.labels.max() < len(CLASSES)
        assert set(np.unique(scene.point_mask)) <= {0, 1}
        assert set(scene.box_labels) <= set(range(len(THING_CLASSES)))
        assert scene.image.std() > 1
        things_fit(scene)


def test_largest_size():
    scene = render_scene(0, (1024, 640), family="street_night")
    assert scene.image.shape == (1024, 640)
    assert things_fit(scene) > 0


@pytest.mark.parametrize("size", [(31, 64), (64, 1025), (64,), (64, 64, 3)])
def test_wrong_size_is_named(size):
    with pytest.raises(ValueError, match="32 to 1024"):
        render_scene(0, size)


def test_wrong_family_is_named():
    with pytest.raises(ValueError, match="'marine': give one of street_day"):
        render_scene(0, family="marine")


def test_every_class_occurs_and_things_have_boxes():
    scenes = [render_scene(seed, (128, 160)) for seed in range(120)]
    seen = set(np.unique(np.concatenate([scene.labels.ravel() for scene in scenes])))
    assert seen == set(range(len(CLASSES)))
    assert sum(things_fit(scene) for scene in scenes) > 400
    assert {int(label) for s in scenes for label in s.box_labels} == set(range(len(THING_CLASSES)))
    assert {scene.family for scene in scenes} == set(FAMILIES)
    assert len(CLASSES) == len(PALETTE) == len(set(PALETTE))


def test_point_targets_stand_out_of_the_sky():
    contrasts = []
    for seed in range(30):
        scene = render_scene(seed, (256, 256), family="sky")
        count, _, stats, centres = cv2.connectedComponentsWithStats(scene.point_mask)
        assert 1 <= count - 1 <= 4
        assert stats[1:, cv2.CC_STAT_AREA].max() <= 25
        raw = scene.raw.astype(float)
        for x, y in centres[1:].astype(int):
            around = raw[max(y - 8, 0) : y + 9, max(x - 8, 0) : x + 9]
            spot = raw[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            spread = np.median(np.abs(around - np.median(around))) * 1.5 + 1
            contrasts.append(np.abs(spot - np.median(around)).max() / spread)
    assert np.mean(np.array(contrasts) > 3) > 0.9


def test_visible_image_is_aligned_but_not_a_copy():
    distinct, correlation = [], []
    for seed in range(24):
        scene = render_scene(seed, (192, 256), True, "street_day")
        gray = scene.visible.mean(axis=2)
        correlation.append(abs(np.corrcoef(gray.ravel(), scene.image.ravel())[0, 1]))
        for (x0, y0, x1, y1), label in zip(scene.boxes.astype(int), scene.box_labels, strict=True):
            if min(x1 - x0, y1 - y0) < 8:
                continue
            part = slice(max(y0 - 4, 0), y1 + 4), slice(max(x0 - 4, 0), x1 + 4)
            own = scene.labels[part] == label
            if own.all():
                continue
            colour = scene.visible[part].astype(float)
            shift = np.abs(colour[own].mean(axis=0) - colour[~own].mean(axis=0)).max()
            distinct.append(shift > 8)
    assert len(distinct) > 30
    assert np.mean(distinct) > 0.7
    assert np.mean(correlation) < 0.75


def statistics(images: list[np.ndarray]) -> dict[str, float]:
    """Mean over images (S, S) uint8 of five numbers: gray mean and deviation, entropy of the 8-bit
    histogram in bits, slope of the log radial power spectrum, and log10 kurtosis of gradients."""
    rows = []
    for image in images:
        share = np.bincount(image.ravel(), minlength=256) / image.size
        entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
        gray, side = image.astype(float), len(image)
        window = np.hanning(side)
        power = np.abs(np.fft.fft2((gray - gray.mean()) * window * window[:, None])) ** 2
        frequency = np.fft.fftfreq(side) * side
        radius = np.hypot(frequency[:, None], frequency).round().astype(int).ravel()
        radial = np.bincount(radius, power.ravel()) / np.bincount(radius)
        band = np.arange(side // 64, side // 4)
        slope = np.polyfit(np.log(band), np.log(radial[band] + 1e-9), 1)[0]
        step = np.diff(gray, axis=1)
        kurtosis = ((step - step.mean()) ** 4).mean() / (step.var() ** 2 + 1e-9)
        rows.append((gray.mean(), gray.std(), entropy, slope, np.log10(kurtosis)))
    return dict(zip(("mean", "std", "entropy", "slope", "kurtosis"), np.mean(rows, 0), strict=True))


@pytest.mark.parametrize(
    ("family", "folder"),
    [
        ("street_day", "roadscene"),
        ("street_night", "msrs"),
        ("sky", "sirst_v2"),
    ],
)
def test_statistics_are_near_those_of_real_images(family, folder, data_root):
    paths = sorted((data_root / "inf_mini" / "images" / folder).glob("*.jpg"))
    if not paths:
        pytest.skip(f"MMSPEC_DATA: no images in inf_mini/images/{folder}")
    real = []
    for path in paths[:: max(1, len(paths) // 40)]:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        y, x = (side // 2 - min(image.shape) // 2 for side in image.shape)
        square = image[y : y + min(image.shape), x : x + min(image.shape)]
        real.append(cv2.resize(square, (256, 256), interpolation=cv2.INTER_AREA))
    made = [render_scene(seed, (256, 256), family=family).image for seed in range(40)]
    there, here = statistics(real), statistics(made)
    # MSRS is of one camera with a dark fixed range; the night scenes are of several cameras.
    if family != "street_night":
        assert abs(here["mean"] - there["mean"]) < 35
        assert 0.6 < here["std"] / there["std"] < 1.6
    assert abs(here["entropy"] - there["entropy"]) < (1.2 if family == "street_night" else 0.7)
    assert abs(here["slope"] - there["slope"]) < 0.8
    assert abs(here["kurtosis"] - there["kurtosis"]) < 0.5


def build(**kwargs) -> SyntheticInfrared:
    return DATASETS.build(dict(type="mmspec.SyntheticInfrared", **dict(size=SIZE) | kwargs))


def test_sample():
    dataset = build(length=4, seed=3)
    assert len(dataset) == 4
    assert dataset.metainfo["classes"] == CLASSES
    sample = dataset[2]
    assert sample["img_path"] == "synthetic://3/2"
    assert sample["sample_idx"] == sample["img_id"] == 2
    assert sample["img_shape"] == sample["ori_shape"] == sample["img"].shape == SIZE
    assert sample["gt_seg_map"].shape == sample["point_mask"].shape == SIZE
    assert sample["gt_bboxes"].shape == (len(sample["gt_bboxes_labels"]), 4)
    assert np.array_equal(dataset[-2]["img"], sample["img"])
    assert not np.array_equal(build(length=4, seed=4)[2]["img"], sample["img"])
    assert np.array_equal(build(length=9, seed=3)[2]["img"], sample["img"])


def test_indices_keep_their_scenes():
    whole = build(length=6)
    for some in (build(length=6, indices=[4, 1]), whole.get_subset([4, 1])):
        assert len(some) == 2
        assert some[0]["img_id"] == 4
        assert np.array_equal(some[0]["img"], whole[4]["img"])


@pytest.mark.parametrize("lazy_init", [False, True])
def test_two_workers_give_what_one_process_gives(lazy_init):
    pipeline = [dict(type="mmpretrain.PackInputs")]
    dataset = build(length=6, pipeline=pipeline, lazy_init=lazy_init, test_mode=True)
    loader = DataLoader(
        dataset,
        batch_size=3,
        num_workers=2,
        sampler=DefaultSampler(dataset, shuffle=False),
        collate_fn=pseudo_collate,
    )
    images = [image for batch in loader for image in batch["inputs"]]
    assert len(images) == 6
    plain = build(length=6)
    for index, image in enumerate(images):
        assert np.array_equal(image[0].numpy(), plain[index]["img"])


def test_mmcv_flips_boxes_with_their_labels():
    pipeline = [dict(type="mmcv.RandomFlip", prob=1.0)]
    plain, flipped = build(length=5)[4], build(length=5, pipeline=pipeline)[4]
    assert np.array_equal(flipped["img"], plain["img"][:, ::-1])
    assert np.array_equal(flipped["gt_seg_map"], plain["gt_seg_map"][:, ::-1])
    assert np.array_equal(flipped["gt_bboxes"][:, 2], SIZE[1] - plain["gt_bboxes"][:, 0])


def test_mmseg_crops_labels_and_points_alike():
    pytest.importorskip("mmseg.datasets")
    pipeline = [dict(type="mmseg.RandomCrop", crop_size=(64, 64))]
    sample = build(length=3, pipeline=pipeline)[1]
    for key in ("img", "gt_seg_map", "point_mask"):
        assert sample[key].shape[:2] == (64, 64), key


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="pipelin'.*takes .*pipeline"):
        build(length=4, pipelin=[])
    with pytest.raises(TypeError, match="data_root"):
        build(length=4, data_root="images")
    with pytest.raises(ValueError, match="length=0"):
        build(length=0)
    with pytest.raises(ValueError, match="32 to 1024"):
        build(length=4, size=(16, 16))[0]


def test_other_classes_are_refused_since_labels_would_not_follow():
    with pytest.raises(ValueError, match="would not change the labels"):
        SyntheticInfrared(length=1, metainfo=dict(classes=("person",)))
    assert (
        SyntheticInfrared(length=1, metainfo=dict(classes=CLASSES)).metainfo["classes"] == CLASSES
    )


def test_kept_scenes_cannot_be_changed_by_a_transform(monkeypatch):
    dataset = SyntheticInfrared(length=2, size=(32, 32))
    first = dataset.get_data_info(0)
    expected = first["img"].copy()
    first["img"][:] = 0
    assert 0 in dataset._kept
    assert np.array_equal(dataset.get_data_info(0)["img"], expected)
    monkeypatch.setattr("mmspec.datasets.synthetic.KEPT_BYTES", 100)
    large = SyntheticInfrared(length=2, size=(32, 32))
    assert np.array_equal(large.get_data_info(0)["img"], expected)
    assert large._kept == {}
