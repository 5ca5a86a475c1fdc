"""A probe as a whole, on tiny data in their real layouts."""

import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import write_any

from mmspec.probing import FrozenEncoder, LabelledImages, ProbeError, features, probe
from mmspec.probing.picture import probe_picture
from mmspec.probing.report import _differences, save_report
from mmspec.probing.scores import paired_difference
from mmspec.probing.segmentation import draw_cells, label_shares

# By its path: tools/tables has a probe.py too.
TOOL = Path(__file__).resolve().parents[2] / "tools/probe.py"

ARGS = dict(size=64, seeds=(0,))


@pytest.fixture
def eyes(tmp_path):
    write_any(tmp_path, "EyeDataset", ("train", "test"), count=4)
    return str(tmp_path)


def test_records_are_equal_again_and_computed_once(eyes, tmp_path, monkeypatch):
    found = probe("random", "EyeDataset", eyes, out=tmp_path / "out", **ARGS)
    told = {(one["map"], one["judge"], one["rolled"]) for one in found}
    assert len(found) == len(told) == 4 * 2 * 2
    assert {name for name, _, _ in told} == {"F1", "F2", "F3", "all"}
    monkeypatch.setattr(features, "_write", None)  # would fail if it were called
    again = probe("random", "EyeDataset", eyes, out=tmp_path / "out", **ARGS)
    for one, two in zip(found, again):
        np.testing.assert_array_equal(one.pop("counts"), two.pop("counts"))
        assert one == two
        assert set(one["IoU"]) == {"background", "iris", "pupil"}


def test_features_are_the_encoders_and_a_cut_run_starts_anew(eyes, tmp_path):
    images = LabelledImages("EyeDataset", eyes, "train", 64)
    encoder = FrozenEncoder("random", "tiny", seed=3)
    (tmp_path / f"{encoder.key}-{images.key}.part").mkdir()
    found = features.compute_features(encoder, images, tmp_path)
    _, image, label = next(iter(images))
    maps = encoder(torch.from_numpy(image)[None, None])
    np.testing.assert_allclose(found.maps["F3"][0], maps["F3"][0], atol=2e-3, rtol=2e-3)
    assert found.maps["F1"].shape == (4, 48, 8, 8)  # 1/4, averaged to 1/8
    np.testing.assert_array_equal(found.labels[0], label)
    assert next(found.batches("all")).shape == (4, 48 + 96 + 224, 8, 8)


def test_features_of_labels_that_changed_are_computed_anew(eyes):
    before = LabelledImages("EyeDataset", eyes, "train", 64).key
    assert LabelledImages("EyeDataset", eyes, "train", 64).key == before
    os.utime(next(Path(eyes, "labels", "train").iterdir()), ns=(0, 0))
    assert LabelledImages("EyeDataset", eyes, "train", 64).key != before


def test_rolled_features_lie_where_their_pixels_are(eyes, tmp_path):
    images = LabelledImages("EyeDataset", eyes, "train", 64)
    plain, rolled = (
        features.compute_features(FrozenEncoder("pixels"), images, tmp_path, roll)
        for roll in (False, True)
    )
    np.testing.assert_array_equal(plain.maps["pixels"], rolled.maps["pixels"])
    where = FrozenEncoder("positions")
    plain, rolled = (
        features.compute_features(where, images, tmp_path, roll).maps["positions"]
        for roll in (False, True)
    )
    assert not np.array_equal(plain, rolled)
    np.testing.assert_allclose(np.sort(plain, (2, 3)[0]), np.sort(plain, 2))


def test_seeds_draw_other_weights_and_cells(eyes, tmp_path):
    keys = {FrozenEncoder("random", "tiny", seed).key for seed in (0, 1, 0)}
    assert len(keys) == 2
    images = LabelledImages("EyeDataset", eyes, "train", 64)
    found = features.compute_features(FrozenEncoder("pixels"), images, tmp_path)
    half, _ = draw_cells(found, "pixels", 0.5, 0)
    assert len(half) == 2 * 64
    assert torch.equal(half, draw_cells(found, "pixels", 0.5, 0)[0])
    others = [draw_cells(found, "pixels", 0.5, seed)[0] for seed in range(1, 5)]
    assert any(not torch.equal(half, other) for other in others)


def test_picture_and_evenly_spaced_images(eyes, tmp_path):
    known, asked = (LabelledImages("EyeDataset", eyes, split, 64) for split in ("train", "test"))
    encoder = FrozenEncoder("random", "tiny")
    found = [features.compute_features(encoder, one, tmp_path) for one in (known, asked)]
    sheet = probe_picture(*found, asked, count=3)
    # Three rows; six columns: the image, three maps, prediction and truth; a legend below.
    assert sheet.shape[1] == 6 * (224 + 4) + 4 and sheet.shape[0] > 3 * (224 + 4)
    few = LabelledImages("EyeDataset", eyes, "test", 64, num_images=2)
    assert [name for name, _, _ in few] == [asked.sample(i)[0] for i in (0, 3)]
    assert few.key != asked.key


def test_shares_of_a_cell():
    labels = np.zeros((1, 4, 4), np.uint8)
    labels[0, 0, 0], labels[0, 0, 1] = 1, 255
    labels[0, 2:, 2:] = 255
    given = features.Features({}, labels, ("background", "target"), ("a",))
    shares, counted = label_shares(given, 0, (2, 2))
    assert shares[0].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert counted.tolist() == [True, True, True, False]


def test_boxes_are_coarse_masks(tmp_path):
    write_any(tmp_path, "HITUAVDataset", ("train",), count=2)
    images = LabelledImages("HITUAVDataset", str(tmp_path), "train", 64)
    assert len(images.key) == 16  # mmdet names a file of labels, None, where there is none
    assert images.classes[:2] == ("background", "Person")
    labels = np.stack([label for _, _, label in images])
    assert labels.shape == (2, 64, 64) and 0 < (labels > 0).mean() < 1


def test_a_smaller_box_lies_above_a_larger_one():
    boxes = [
        dict(bbox=[2, 2, 4, 4], bbox_label=0, ignore_flag=0),
        dict(bbox=[0, 0, 8, 8], bbox_label=1, ignore_flag=0),
        dict(bbox=[6, 6, 8, 8], bbox_label=1, ignore_flag=1),
    ]
    boxes.append(dict(bbox=[-3, 8.6, 2, 14], bbox_label=0, ignore_flag=0))  # partly outside
    label = LabelledImages._boxes(boxes, (10, 10))
    assert label[9, 1] == 1
    assert label[3, 3] == 1 and label[1, 1] == 2 and label[7, 7] == 255 and label[9, 9] == 0


def test_encoders_are_compared_by_the_maps_that_both_have():
    def record(encoder, name, hits):
        counts = np.array([[[hits, 10 - hits], [10 - hits, hits]]] * 4)
        shared = dict(judge="linear", share=1.0, rolled=False, score="mIoU")
        return dict(shared, encoder=encoder, map=name, counts=counts)

    ours, theirs = ("F1", 9), [("F1", 5), ("F2", 9), ("all", 10)]
    told = _differences([record("a", *ours), *(record("b", *one) for one in theirs)])
    rows = told.splitlines()
    assert len(rows) == 3 and "| F1 |" in rows[2] and "helps" in rows[2]
    told = _differences([record("a", "block4", 9), record("b", "F3", 10)])  # none
    assert "| block4, F3 |" in told.splitlines()[2]


def test_a_paired_difference():
    good = np.tile(np.array([[9, 1], [1, 9]]), (40, 1, 1))
    bad = np.tile(np.array([[7, 3], [3, 7]]), (40, 1, 1))
    value, low, high = paired_difference(good, bad)
    assert value == low == high == pytest.approx(100 * (9 / 11 - 7 / 13))
    noisy = np.concatenate([good[:20], bad[:20]])
    value, low, high = paired_difference(noisy, np.concatenate([bad[:20], good[:20]]))
    assert low < value == 0 < high
    with pytest.raises(ProbeError, match="not of the same images"):
        paired_difference(good, bad[:30])


def test_report(eyes, tmp_path):
    records = [
        record
        for encoder in ("random", "positions")
        for record in probe(encoder, "EyeDataset", eyes, out=tmp_path / "out", **ARGS)
    ]
    text = save_report(records, tmp_path / "report", "python probe.py")
    assert "| random | F3 |" in text and "| neighbours | positions | all, positions |" in text
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert results["command"] == "python probe.py" and len(results["results"]) == len(records)
    assert (tmp_path / "report" / "table.md").read_text().strip() == text


def test_checkpoints_of_one_file_name_are_two_encoders(eyes, tmp_path):
    records = []
    for folder, seed in (("a", 1), ("b", 2)):
        path = tmp_path / folder / "epoch_2.pth"
        path.parent.mkdir()
        torch.save(FrozenEncoder("random", "tiny", seed).backbone.state_dict(), path)
        records += probe(str(path), "EyeDataset", eyes, out=tmp_path, judges=["linear"], **ARGS)
    text = save_report(records, tmp_path, "python probe.py")
    assert f"| {tmp_path}/a/epoch_2 | F3 |" in text
    assert f"| {tmp_path}/b/epoch_2 | F3 |" in text and "on these images" in text


def test_options_of_a_data_set_have_features_of_their_own(eyes):
    scales = (None, dict(range=(0, 100)))
    keys = [LabelledImages("EyeDataset", eyes, "train", infrared_scale=x).key for x in scales]
    assert keys[0] != keys[1]


def test_the_tool_probes_data_of_its_users(eyes, tmp_path, monkeypatch, capsys):
    """A class without classes of its own: folders and names by options."""
    names = "metainfo.classes=('background','iris','pupil')"
    folders = [
        "data_prefix.infrared_path=images/{split}",
        "data_prefix.seg_map_path=labels/{split}",
    ]
    command = ["probe.py", "pixels", "--data", "InfraredSegDataset", str(eyes), "--seeds", "1"]
    command += ["--size", "64", "--out", str(tmp_path / "out"), "--judges", "neighbours"]
    monkeypatch.setattr(sys, "argv", [*command, "--options", names, *folders])
    runpy.run_path(str(TOOL), run_name="__main__")
    assert "| pixels | pixels |" in capsys.readouterr().out
    assert (tmp_path / "out/picture.png").is_file()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            dict(encoder="absent.pth"),
            FileNotFoundError,
            "absent.pth: no such file; .*random, pixels",
        ),
        (dict(arch="huge"), ProbeError, "arch='huge': tiny, small, base"),
        (dict(size=100), ProbeError, "size=100: a multiple of 16"),
        (dict(seeds=range(0)), ProbeError, "0 seeds, .*at least one"),
        (dict(num_images=0), ProbeError, "num_images=0: at least one"),
        (dict(judges=["forest"]), ProbeError, "judge 'forest': neighbours, linear"),
        (dict(shares=[0.01]), ProbeError, "share=0.01 of 4 images: not one"),
        (dict(dataset="EyesDataset"), ValueError, "no data set 'EyesDataset' in mmspec"),
        (dict(dataset="InfraredFolder"), ValueError, "has no labels of pixels and no boxes"),
        (dict(metainfo=dict(classes=("pupil",))), ValueError, "one class"),
    ],
)
def test_what_cannot_be_probed(eyes, tmp_path, change, error, message):
    given = dict(encoder="random", dataset="EyeDataset", data_root=eyes, out=tmp_path, **ARGS)
    with pytest.raises(error, match=message):
        probe(**(given | change))
