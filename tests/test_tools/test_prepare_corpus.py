import json
import re
import runpy
import sys
from pathlib import Path

import imagehash
import numpy as np
import pytest
import tifffile
from corpus import ImageFacts, choose_images, inspect_image, near_duplicates
from PIL import Image

from mmspec.datasets.image_io import read_infrared
from mmspec.datasets.infrared_folder import InfraredFolder

TOOL = Path(__file__).resolve().parents[2] / "tools/dataset_converters/prepare_corpus.py"


def scene(seed, size=(96, 64)):
    """(64, 96) gray of smooth random blobs; scenes of two seeds do not resemble each other."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 12)).astype(np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def raw(tmp_path):
    """Three scenes, two near-duplicates of the first, and files of every other fate."""
    root = tmp_path / "raw"
    (root / "day").mkdir(parents=True)
    (root / "night").mkdir()
    scene(0).save(root / "day" / "0.png")
    scene(0).point(lambda level: level * 0.8 + 10).save(root / "day" / "0_gain.png")
    scene(1).save(root / "day" / "1.png")
    scene(0).resize((192, 128)).save(root / "night" / "0_large.jpg")
    scene(2).convert("RGB").save(root / "night" / "2.bmp")
    scene(3, size=(12, 9)).save(root / "night" / "tiny.png")
    scene(4, size=(40, 12)).save(root / "night" / "strip.png")
    Image.merge("RGB", [scene(5), scene(6), scene(7)]).save(root / "night" / "colour.png")
    (root / "night" / "text.png").write_text("no image")
    return root


KEPT = ["day/0.png", "day/1.png", "night/2.bmp", "night/colour.png", "night/strip.png"]


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name="__main__")


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_list_and_report(raw, tmp_path, monkeypatch, capsys, workers):
    before = contents(raw)
    out = tmp_path / "lists" / "corpus.txt"
    run(monkeypatch, raw, "--out", out, "--workers", workers)
    assert out.read_text().splitlines() == KEPT
    assert contents(raw) == before

    report = json.loads((tmp_path / "lists" / "corpus.txt.report.json").read_text())
    fates = {image["path"]: (image["reason"], image["anchor"]) for image in report["dropped"]}
    assert fates == {
        "day/0_gain.png": ("near-duplicate", "day/0.png"),
        "night/0_large.jpg": ("near-duplicate", "day/0.png"),
        "night/text.png": ("unreadable", None),
        "night/tiny.png": ("too small", None),
    }
    assert report["counts"][-1] == {
        "folder": "all",
        "found": 9,
        "unreadable": 1,
        "too small": 1,
        "near-duplicate": 2,
        "kept": 5,
    }
    assert report["coloured"] == ["night/colour.png"]
    printed = capsys.readouterr().out
    assert "unreadable: night/text.png: not a JPEG" in printed
    assert "12 x 9" in next(i["detail"] for i in report["dropped"] if "tiny" in i["path"])

    dataset = InfraredFolder(data_root=report["root"], ann_file=report["out"])
    assert [dataset[i]["img_path"] for i in range(5)] == [str(raw / name) for name in KEPT]


def test_dry_run_writes_nothing(raw, tmp_path, monkeypatch, capsys):
    before = contents(tmp_path)
    run(
        monkeypatch,
        raw,
        "--out",
        tmp_path / "new" / "corpus.txt",
        "--dry-run",
        "--workers",
        1,
        "--report",
        tmp_path / "report.json",
    )
    assert contents(tmp_path) == before
    assert not (tmp_path / "new").exists()
    assert "dry run: nothing was written" in capsys.readouterr().out


def test_copies(raw, tmp_path, monkeypatch):
    out = tmp_path / "copies"
    run(monkeypatch, raw, "--out", out, "--copy", "--workers", 1)
    assert sorted(str(path) for path in contents(out)) == KEPT
    assert (out / "day/0.png").read_bytes() == (raw / "day/0.png").read_bytes()
    assert (tmp_path / "copies.report.json").is_file()


def test_order_of_sources_decides_the_anchor(raw, tmp_path, monkeypatch):
    out = tmp_path / "corpus.txt"
    run(monkeypatch, raw / "night", raw / "day", "--out", out, "--workers", 1)
    assert out.read_text().splitlines() == [
        "night/0_large.jpg",
        "night/2.bmp",
        "night/colour.png",
        "night/strip.png",
        "day/1.png",
    ]


def test_overlapping_sources_count_an_image_once(raw, tmp_path, monkeypatch):
    out = tmp_path / "corpus.txt"
    run(monkeypatch, raw, raw / "day", "--out", out, "--workers", 1)
    assert out.read_text().splitlines() == KEPT


def test_settings(raw, tmp_path, monkeypatch):
    out = tmp_path / "corpus.txt"
    run(monkeypatch, raw, "--out", out, "--workers", 1, "--min-side", 41, "--hash-distance", 63)
    assert out.read_text().splitlines() == ["day/0.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "{tmp}/old.txt"], "old.txt exists"),
        (["--out", "{tmp}/raw"], "is a folder; add --copy"),
        (["--out", "{tmp}/raw/night", "--copy"], "exists; give a new or an empty folder"),
        (["--out", "{tmp}/raw/new", "--copy"], "lies inside the source"),
        (["--out", "{tmp}/new.txt", "--report", "{tmp}/old.txt"], "the report .*old.txt exists"),
        (["--out", "{tmp}/new.txt", "--hash-distance", "64"], "must be 0 to 63"),
    ],
)
def test_nothing_is_overwritten(raw, tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "old.txt").write_text("precious")
    before = contents(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, raw, *(argument.format(tmp=tmp_path) for argument in arguments))
    assert stop.value.code == 2
    assert contents(tmp_path) == before
    assert re.search(message, capsys.readouterr().err)


def test_folder_without_images(tmp_path, monkeypatch):
    (tmp_path / "a.raw").touch()
    with pytest.raises(SystemExit, match=r"error: no images in .* found 1 \.raw"):
        run(monkeypatch, tmp_path, "--out", tmp_path / "corpus.txt", "--workers", 1)


def test_nothing_left(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(SystemExit, match="no image is left"):
        run(monkeypatch, tmp_path, "--out", tmp_path / "corpus.txt", "--workers", 1)
    assert not (tmp_path / "corpus.txt").exists()


def greedy(hashes, max_distance):
    """Anchors one after the other, in plain Python."""
    anchors, distances, kept = [], [], []
    for index, value in enumerate(hashes):
        apart = [bin(value ^ hashes[anchor]).count("1") for anchor in kept]
        if apart and min(apart) <= max_distance:
            anchors.append(kept[apart.index(min(apart))])
            distances.append(min(apart))
        else:
            anchors.append(index)
            distances.append(0)
            kept.append(index)
    return anchors, distances


@pytest.mark.parametrize("max_distance", [0, 4, 20])
def test_near_duplicates_equal_the_plain_search(max_distance):
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 2**64, 300, dtype=np.uint64)
    hashes = rng.choice(centres, 2500)
    for _ in range(4):  # flip up to four bits
        hashes ^= np.uint64(1) << rng.integers(0, 64, 2500).astype(np.uint64)
    anchors, distances = near_duplicates(hashes, max_distance)
    expected_anchors, expected_distances = greedy(hashes.tolist(), max_distance)
    assert anchors.tolist() == expected_anchors
    assert distances.tolist() == expected_distances


def test_near_duplicates_across_many_anchors():
    hashes = np.random.default_rng(0).integers(0, 2**64, 20000, dtype=np.uint64)
    hashes[10000:] = hashes[:10000] ^ np.uint64(0b101)
    anchors, distances = near_duplicates(hashes, 4)
    assert anchors.tolist() == [*range(10000), *range(10000)]
    assert distances.tolist() == [0] * 10000 + [2] * 10000


def test_no_hashes():
    anchors, distances = near_duplicates(np.empty(0, np.uint64), 4)
    assert anchors.size == distances.size == 0


def test_inspect_image(raw):
    facts = inspect_image(str(raw / "day/0.png"))
    assert (facts.width, facts.height, facts.coloured, facts.fault) == (96, 64, False, None)
    assert f"{facts.perceptual_hash:016x}" == str(imagehash.phash(Image.open(raw / "day/0.png")))
    assert "not a JPEG" in inspect_image(str(raw / "night/text.png")).fault


def test_choice_keeps_the_order_given():
    images = [
        ImageFacts("c", 30, 30, 0),
        ImageFacts("b", 19, 19, 0xFF),
        ImageFacts("a", 19, 20, 1),
        ImageFacts("d", 30, 30, 0xFF00),
        ImageFacts("e", fault="empty file"),
    ]
    kept, dropped = choose_images(images, min_side=20, hash_distance=1)
    assert [image.path for image in kept] == ["c", "d"]
    assert [(i.path, i.reason, i.anchor, i.distance) for i in dropped] == [
        ("b", "too small", None, None),
        ("a", "near-duplicate", "c", 1),
        ("e", "unreadable", None, None),
    ]


def test_real_video_frames(data_root, tmp_path, monkeypatch):
    """Neighbouring drone frames of HIT-UAV: some go, most stay, and twice the same."""
    frames = sorted((data_root / "inf_mini/images/hit_uav").iterdir())[:120]
    source = tmp_path / "raw"
    source.mkdir()
    for frame in frames:
        (source / frame.name).symlink_to(frame.resolve())
    for name in ("first", "second"):
        run(monkeypatch, source, "--out", tmp_path / name, "--workers", 1)
    kept = (tmp_path / "first").read_text().splitlines()
    assert kept[0] == frames[0].name
    assert 60 < len(kept) < 120
    assert (tmp_path / "second").read_text().splitlines() == kept


def test_sample_is_a_repeatable_part_of_the_chosen_images(raw, tmp_path, monkeypatch):
    lists = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.txt"
        run(monkeypatch, raw, "--out", out, "--workers", 1, "--sample", 3, "--seed", seed)
        lists.append(out.read_text().split())
    assert lists[0] == lists[1] != lists[2]
    assert len(lists[0]) == 3 and set(lists[0]) < set(KEPT)
    report = json.loads((tmp_path / "a.txt.report.json").read_text())
    left = {entry["path"] for entry in report["dropped"] if entry["reason"] == "not sampled"}
    assert left == set(KEPT) - set(lists[0])
    with pytest.raises(SystemExit, match="only 5 images were chosen"):
        run(monkeypatch, raw, "--out", tmp_path / "d.txt", "--workers", 1, "--sample", 9)


def test_frames_of_recordings_are_thinned_and_compared(raw, tmp_path, monkeypatch, capsys):
    """One scene three times, then another: two anchors out of every second frame of eight."""
    stack = np.stack([np.array(scene(seed)) for seed in (8, 8, 8, 8, 8, 8, 9, 9)])
    np.save(raw / "night" / "clip.npy", stack.astype(np.uint16) * 100)
    (raw / "night" / "notes.docx").write_text("-")
    out = tmp_path / "corpus.txt"
    run(monkeypatch, raw, "--out", out, "--workers", 1, "--frame-step", 2)
    kept = out.read_text().split()
    assert [name for name in kept if "clip" in name] == ["night/clip.npy#0", "night/clip.npy#6"]
    assert "left out: 1 .docx" in capsys.readouterr().out
    report = json.loads((tmp_path / "corpus.txt.report.json").read_text())
    anchors = {entry["path"]: entry["anchor"] for entry in report["dropped"] if entry["anchor"]}
    assert anchors["night/clip.npy#4"] == "night/clip.npy#0" and report["frame_step"] == 2
    dataset = InfraredFolder(str(raw), ann_file=str(out),
                             pipeline=[dict(type="mmspec.LoadInfraredImageFromFile")])  # fmt: skip
    assert len(dataset) == len(kept) and dataset[len(kept) - 1]["img"].ndim == 2
    run(monkeypatch, raw, "--out", tmp_path / "copy", "--copy", "--workers", 1, "--frame-step", 2)
    copied = np.array(Image.open(tmp_path / "copy" / "night" / "clip.npy#6.png"))
    assert np.array_equal(copied, stack[6].astype(np.uint16) * 100)
    run(monkeypatch, raw, "--out", tmp_path / "none.txt", "--workers", 1, "--frame-step", 0)
    assert "clip" not in (tmp_path / "none.txt").read_text()
    scene(10).save(raw / "night" / "clip.npy#6.png")
    options = ("--copy", "--workers", 1, "--frame-step", 2)
    with pytest.raises(
        SystemExit, match=r"night/clip\.npy#6\.png is called as the copy of a frame"
    ):
        run(monkeypatch, raw, "--out", tmp_path / "twins", *options)


@pytest.mark.filterwarnings("ignore:.*hold no measurement")
def test_copies_of_pages_are_filled_where_nothing_was_measured(tmp_path, monkeypatch, capsys):
    pages = [np.array(scene(seed)) // 2 + 50 for seed in (0, 1)]
    pages[1][:20] = 255
    source = tmp_path / "raw/clip.tif"
    source.parent.mkdir()
    with tifffile.TiffWriter(source) as writer:
        for page in pages:
            nodata = [(42113, "s", 0, "255", True)]
            writer.write(page, contiguous=False, extratags=nodata)
    options = ("--copy", "--workers", 1, "--frame-step", 1)
    run(monkeypatch, source.parent, "--out", tmp_path / "copy", *options)
    pages[1][:20] = pages[1][20:].min()
    for index, expected in enumerate(pages):
        copied = read_infrared(tmp_path / f"copy/clip.tif#{index}.png")
        assert np.array_equal(copied, expected)
        assert np.array_equal(copied, read_infrared(f"{source}#{index}"))
    told = "1 copies have the lowest level where nothing was measured, the first is clip.tif#1:"
    assert told in capsys.readouterr().out.replace("\n", "")
