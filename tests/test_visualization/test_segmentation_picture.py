"""Overlays of classes on infrared images."""

import numpy as np
import pytest

from mmspec.visualization import segmentation
from mmspec.visualization.segmentation import (
    COLOURS,
    background_of,
    infrared_palette,
    label_overlay,
    segmentation_picture,
)

CLASSES = ("Background", "Car", "Person")


@pytest.mark.parametrize("classes", [2, 9, 26])
def test_palette_is_bright_coloured_and_without_repeats(classes):
    palette = infrared_palette(classes)
    assert palette[0].tolist() == [0, 0, 0]
    tinted = palette[1:].astype(int)
    assert len(np.unique(tinted, axis=0)) == classes - 1
    assert tinted.max(1).min() > 150
    assert (tinted.max(1) - tinted.min(1)).min() > 80
    distance = np.abs(tinted[:, None] - tinted[None]).sum(-1) + 999 * np.eye(classes - 1)
    assert distance.min() > 30


def test_background_by_name():
    assert background_of(CLASSES) == 0
    assert background_of(("road", "Unlabeled")) == 1
    assert background_of(("road", "car")) is None


def test_overlay_tints_regions_outlines_them_and_leaves_background():
    shown = np.full((9, 9, 3), 100, np.uint8)
    labels = np.zeros((9, 9), int)
    labels[2:7, 2:7] = 1
    labels[8] = 255
    picture = label_overlay(shown, labels, infrared_palette(3))
    assert (picture[0] == 100).all()
    red = np.array(COLOURS[0])
    for row, column in [(2, 4), (6, 4), (4, 2), (4, 6)]:
        assert (picture[row, column] == red).all()
    assert (picture[4, 4] == np.round(0.55 * 100 + 0.45 * red)).all()
    assert (picture[8] == 35).all()


def test_without_a_background_class_all_are_tinted():
    shown = np.full((4, 4, 3), 100, np.uint8)
    picture = label_overlay(shown, np.zeros((4, 4), int), infrared_palette(2, None), None)
    assert (picture == np.round(0.55 * 100 + 0.45 * np.array(COLOURS[0]))).all()


def test_picture_has_input_prediction_truth_and_a_legend():
    image = np.random.default_rng(0).integers(0, 30, (60, 80)).astype(np.uint8)
    prediction = np.zeros((60, 80), int)
    prediction[20:40, 20:40] = 1
    truth = np.where(prediction, 2, 0)
    picture = segmentation_picture(dict(input=image), prediction, truth, CLASSES)
    height, width = picture.shape[:2]
    assert width == 3 * 84 + 4
    # A dark image is shown under a gain.
    assert picture[26:86, 4:84].max() == 255
    colours = {tuple(c) for c in picture[-20:].reshape(-1, 3).tolist()}
    assert {COLOURS[0], COLOURS[1]} <= colours
    shorter = segmentation_picture(dict(input=image), prediction, None, CLASSES)
    assert shorter.shape == (height, 2 * 84 + 4, 3)


def test_legend_of_many_classes_breaks_into_lines():
    classes = tuple(f"a long class name {i}" for i in range(12))
    labels = np.arange(12).repeat(5)[None].repeat(40, 0)
    lines = []
    for size in (1, 12):
        picture = segmentation_picture(
            dict(input=np.zeros((40, 60), np.uint8)), np.minimum(labels, size - 1), None, classes
        )
        lines.append(picture.shape[0] // 20)
    assert lines[1] - lines[0] >= 5


def test_nothing_but_background_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(
        segmentation, "titled_grid", lambda rows, titles, entries: said.append(entries)
    )
    image = np.zeros((40, 60), np.uint8)
    for steady in (False, True):  # a video names all classes
        segmentation_picture(dict(input=image), np.zeros((40, 60), int), None, CLASSES, steady)
    assert said[0] == [("nothing but Background", (0, 0, 0))]
    assert [name for name, _ in said[1]] == list(CLASSES[1:])


def test_without_a_known_class_all_is_white() -> None:
    shown = np.zeros((4, 4, 3), np.uint8)
    picture = label_overlay(shown, np.zeros((4, 4), int), infrared_palette(0, None), None)
    assert len(np.unique(picture)) == 1 and picture.min() > 0
