"""Probes of image labels, of small targets and across modalities."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from layouts import save, write, write_any
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from mmspec.probing import (
    ClassifiedImages,
    FrozenEncoder,
    LabelledImages,
    ProbeError,
    probe,
    small_targets,
)
from mmspec.probing.classification import probe_pooled
from mmspec.probing.features import Features
from mmspec.probing.report import save_report

CLS = dict(task="cls", dataset="CustomDataset", size=64, seeds=(0,))
POINTS = dict(task="points", dataset="SIRSTv2Dataset", size=32, seeds=(0,))
SEG = dict(task="seg", dataset="EyeDataset", size=32, seeds=(0,))
MATCH = dict(task="match", dataset="RoadSceneMatchingDataset", size=64, seeds=(0,))


@pytest.fixture
def kinds(tmp_path):
    """Stripes across and along, by the folder's name."""
    for kind, step in (("across", 0), ("along", 1)):
        for number in range(6):
            where = np.indices((48, 80))[step] + number
            pixels = (where // 4 % 2 * 120 + 40).astype(np.uint8)
            save(tmp_path / "kinds" / kind / f"{number}.png", pixels)
    return str(tmp_path / "kinds")


@pytest.fixture
def targets(tmp_path):
    write_any(tmp_path / "targets", "SIRSTv2Dataset", ("train", "test"), count=3)
    return str(tmp_path / "targets")


@pytest.fixture
def pairs(tmp_path):
    """Aligned pairs whose two images are alike."""

    def draw(kind, number, size):
        noise = np.random.default_rng(number).integers(0, 255, (9, 9), dtype=np.uint8)
        smooth = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
        return (
            None if kind == "label" else smooth if kind == "infrared" else np.dstack(3 * [smooth])
        )

    write(tmp_path / "pairs", "RoadSceneMatchingDataset", "test", ("a", "b"), (64, 96), draw)
    return str(tmp_path / "pairs")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(small_targets, "CROPS", 6)
    monkeypatch.setattr(small_targets, "STEPS", 3)


def test_labels_of_images_by_every_judge(kinds, tmp_path):
    found = probe("random", data_root=kinds, out=tmp_path, **CLS)
    told = {(one["map"], one["judge"], one["rolled"]) for one in found}
    assert len(found) == len(told) == 4 * 3 * 2
    assert all(one["counts"].sum() == len(one["counts"]) == 6 for one in found)
    told_apart = [one for one in found if (one["map"], one["judge"]) == ("F1", "linear")]
    assert {one["accuracy"] for one in told_apart} == {100.0}
    again = probe("random", data_root=kinds, out=tmp_path, **CLS)
    assert [one["accuracy"] for one in again] == [one["accuracy"] for one in found]
    text = save_report(found, tmp_path, "python probe.py")
    assert "| attentive |" in text and "attentive, no positions" in text


def test_neighbours_and_linear_are_those_of_scikit_learn():
    draws = np.random.default_rng(0)

    def features(number):
        labels = draws.integers(0, 3, number).astype(np.int32)
        means = draws.normal(0, 1, (number, 6, 1, 1)) + 1.2 * np.eye(3, 6)[labels][..., None, None]
        cells = draws.normal(0, 1, (number, 6, 4, 4))
        maps = means + cells - cells.mean((2, 3), keepdims=True)
        return Features({"F1": maps.astype(np.float32)}, labels, tuple("abc"), tuple("n" * number))

    known, asked = features(150), features(80)
    found = {
        one["judge"]: one["counts"].argmax(2).max(1)
        for one in probe_pooled(known, asked, judges=("neighbours", "linear"))
    }
    x, queries = (one.maps["F1"].mean((2, 3)) for one in (known, asked))

    def weights(distance):
        return np.exp((1 - distance) / 0.02)

    neighbours = KNeighborsClassifier(30, metric="cosine", weights=weights).fit(x, known.labels)
    assert (found["neighbours"] == neighbours.predict(queries)).all()
    standard = (x - x.mean(0)) / x.std(0)
    linear = LogisticRegression(C=1 / (1e-4 * len(x)), tol=1e-8, max_iter=10_000)
    linear.fit(standard, known.labels)
    assert (found["linear"] == linear.predict((queries - x.mean(0)) / x.std(0))).all()


def test_halves_of_each_class_where_there_are_no_splits(kinds):
    parts = [ClassifiedImages("CustomDataset", kinds, split, 64) for split in ("train", "test")]
    names = [[Path(name).name for name, _, _ in part] for part in parts]
    assert names == [["0.png", "1.png", "2.png"] * 2, ["3.png", "4.png", "5.png"] * 2]
    assert [int(label) for _, _, label in parts[0]] == [0, 0, 0, 1, 1, 1]
    assert parts[0].classes == ("across", "along") and parts[0].key != parts[1].key


def test_folders_of_splits(kinds, tmp_path):
    root = tmp_path / "split"
    for split, of in (("train", "kinds"), ("val", "kinds")):
        (root).mkdir(exist_ok=True)
        (root / split).symlink_to(tmp_path / of)
    assert len(ClassifiedImages("CustomDataset", str(root), "val", 64)) == 12


def test_a_light_head_on_small_targets(targets, tmp_path, quick):
    given = dict(data_root=targets, out=tmp_path, **POINTS)
    found = probe("random", **given)
    assert [one["map"] for one in found] == ["F1", "F2", "F3", "all"]
    for one in found:
        assert {"IoU", "nIoU", "F1", "Pd", "Fa", "AUC"} <= set(one)
        assert one["counts"].shape == (3, 3) and one["counts"][:, 2].sum() == 9 + 12 + 15
    again = probe("random", **given)
    assert all((one["counts"] == two["counts"]).all() for one, two in zip(found, again))
    text = save_report(found, tmp_path, "python probe.py")
    assert "head: Pd" in text
    json.loads((tmp_path / "results.json").read_text())


def test_a_head_learns_bright_targets(targets, tmp_path, monkeypatch):
    monkeypatch.setattr(small_targets, "CROPS", 48)
    monkeypatch.setattr(small_targets, "STEPS", 150)
    (found,) = probe("pixels", data_root=targets, out=tmp_path, **POINTS)
    assert found["Pd"] == 100.0


@pytest.mark.parametrize("encoder", ["random", "pixels", "positions"])
def test_mutual_neighbours_of_two_modalities(pairs, tmp_path, encoder):
    found = probe(encoder, data_root=pairs, out=tmp_path, **MATCH)
    names = ["F1", "F2", "F3", "all"] if encoder == "random" else [encoder]
    assert [one["map"] for one in found] == names
    for one in found:
        assert one["MMA@10"] == pytest.approx(100 * one["counts"][:, 0].mean())
        assert 0 <= one["MMA@3"] <= one["MMA@10"] <= 100 and one["counts"].shape == (2, 2)
    if encoder == "random":  # alike but for the view
        assert found[0]["MMA@10"] > 50
    assert "matches" in save_report(found, tmp_path, "python probe.py")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(CLS, task="cluster"), "task 'cluster': seg, cls, points, match"),
        (dict(CLS, dataset="EyeDataset"), "EyeDataset has no class for each image"),
        (dict(CLS, judges=["head"]), "judge 'head': neighbours, linear, attentive"),
        (dict(CLS, shares=[0.05]), "share=0.05 of 6 images"),
        (dict(CLS, shares=[0.2]), "share=0.2: all images to learn from are of one class"),
        (dict(CLS, size=72), "size=72: a multiple of 16"),
        (dict(CLS, maps=["F9"]), "random has no map 'F9': F1, F2, F3"),
        (dict(SEG, modalty="visible"), "unexpected argument .modalty"),
        (dict(SEG, modality="visible"), "modality 'visible'; known: 'infrared'"),
        (dict(SEG, dataset="InfraredSegDataset"), "no tuple of classes but None; give metainfo"),
        (dict(POINTS, dataset="EyeDataset"), "EyeDataset is no data set of small targets"),
        (dict(POINTS, rolled=True), "task 'points' has no judgement without positions"),
        (dict(MATCH, dataset="EyeDataset"), "EyeDataset is no data set of aligned pairs"),
        (dict(MATCH, shares=[0.5]), "task 'match' learns from no images"),
    ],
)
def test_what_cannot_be_probed(kinds, tmp_path, given, message):
    with pytest.raises(ProbeError, match=message):
        probe("random", data_root=kinds, out=tmp_path, **given)


def test_images_of_classes_in_tiff(kinds):
    save(Path(kinds) / "across" / "9.tiff", np.zeros((48, 80), np.uint8))
    parts = [ClassifiedImages("CustomDataset", kinds, split, 32) for split in ("train", "test")]
    assert sum(map(len, parts)) == 13


def test_infrared_in_a_fourth_channel(tmp_path):
    write_any(tmp_path, "MFNetDataset", ("train",), count=1)
    ((path, image, _),) = LabelledImages("MFNetDataset", str(tmp_path), "train", 32)
    with Image.open(path) as found:
        infrared = np.array(found)[..., 3]
    size = dict(dsize=(32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(image, cv2.resize(infrared, **size))


def test_folders_without_images_or_with_one_class(kinds, tmp_path):
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(ProbeError, match="no folder of images for each class"):
        probe("random", data_root=str(tmp_path / "empty"), out=tmp_path, **CLS)
    save(tmp_path / "one" / "cat" / "a.png", np.zeros((32, 32), np.uint8))
    save(tmp_path / "one" / "cat" / "b.png", np.zeros((32, 32), np.uint8))
    with pytest.raises(ProbeError, match=r"one class \(cat\), nothing to tell apart"):
        probe("random", data_root=str(tmp_path / "one"), out=tmp_path, **CLS)


def test_crops_without_a_target_train_no_head(targets, tmp_path, quick):
    for mask in Path(targets).glob("annotations/masks/train*"):
        save(mask, np.zeros((60, 90), np.uint8))
    with pytest.raises(ProbeError, match="no target in 6 crops of 'train'"):
        probe("pixels", data_root=targets, out=tmp_path, **POINTS)


def test_maps_of_another_size_than_the_image(kinds, tmp_path):
    encoder = FrozenEncoder("random")
    encoder.backbone.forward = lambda x: tuple(torch.zeros(len(x), 4, n, n) for n in (16, 7, 4))
    with pytest.raises(ProbeError, match="F2 has 7 x 7 cells, which do not share out"):
        probe(encoder, data_root=kinds, out=tmp_path, **CLS)
    one = Features({"F1": np.zeros((2, 4, 3, 3))}, np.arange(2), ("a", "b"), ("x", "y"))
    other = Features({"F1": np.zeros((2, 5, 3, 3))}, np.arange(2), ("a", "b"), ("x", "y"))
    with pytest.raises(ProbeError, match="maps of two kinds"):
        next(probe_pooled(one, other))
