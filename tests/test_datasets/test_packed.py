"""Sets that ``pack_corpus.py`` wrote, read in place of the files."""

import json
import os
import pickle
import re
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from layouts import save, write, write_recording
from mmengine.registry import init_default_scope
from mmpretrain.datasets import PackInputs, RandomFlip, RandomResizedCrop
from PIL import Image
from processes import Program, run
from torch.utils.data import DataLoader

from mmspec.datasets import InfraredFolder, PackedInfrared, PackedRGBT, RGBTFolder
from mmspec.datasets.packed import PackedSet, PackedSetError, pixel_hash
from mmspec.datasets.repeatable import SampleIndex
from mmspec.datasets.transforms import TransformPair
from mmspec.engine.launch import read_config
from mmspec.registry import DATASETS

REPO = Path(__file__).resolve().parents[2]
TOOL, CONFIGS = REPO / "tools/dataset_converters/pack_corpus.py", REPO / "configs/pretrain"
CROP = [RandomResizedCrop(scale=24), RandomFlip(0.5)]
INFRARED = [dict(type="mmspec.LoadInfraredImageFromFile", min_size=0), *CROP, PackInputs()]
PAIRS = [dict(type="mmspec.LoadRGBTImageFromFile"), TransformPair(both=CROP),
         PackInputs(meta_keys=("img_path", "channels"))]  # fmt: skip


@pytest.fixture
def pack(monkeypatch, capsys):
    """Run the tool in this process; what it printed."""

    def run_tool(*arguments):
        monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
        runpy.run_path(str(TOOL), run_name="__main__")
        return re.sub(r"\s+", " ", capsys.readouterr().out)

    return run_tool


def noise(seed, dtype, size=(40, 50), high=4000):
    return np.random.default_rng(seed).integers(0, high, size).astype(dtype)


@pytest.fixture
def folder(tmp_path):
    """Images of every depth, in the order of their names."""
    root = tmp_path / "raw"
    save(root / "a" / "gray.png", noise(0, np.uint8, high=256))
    save(root / "a" / "counts.png", noise(1, np.uint16))
    save(root / "b" / "photo.jpg", noise(2, np.uint8, high=256))
    holes = noise(3, np.float32) / 7
    holes[5:9, 7:20] = np.nan
    tifffile.imwrite(root / "b" / "celsius.tif", holes)
    counts = noise(4, np.uint16)
    counts[10:20, 3] = 7
    tifffile.imwrite(root / "b" / "nodata.tif", counts, extratags=[(42113, "s", 2, "7", True)])
    write_recording(root / "clip.npy", np.stack([noise(seed, np.uint16) for seed in (5, 6)]))
    return root


@pytest.fixture
def pairs(tmp_path):
    write(tmp_path / "pairs", "RGBTFolder", names=["a", "b", "c"])
    return tmp_path / "pairs"


def samples(dataset):
    return [dataset[SampleIndex(i, (0, 1, i))] for i in range(len(dataset))]


@pytest.mark.parametrize(
    "scale", [None, dict(range=(500, 3000)), dict(float32=True, min_span=0), dict(nodata_level=9)]
)
def test_whole_images_give_the_samples_of_the_files(folder, tmp_path, pack, scale):
    pack(folder, "--out", tmp_path / "set", "--short-side", 0, "--workers", 1)
    options = dict(pipeline=INFRARED, infrared_scale=scale)
    files = samples(InfraredFolder(str(folder), **options))
    packed = samples(PackedInfrared(str(tmp_path / "set"), **options))
    assert len(files) == len(packed) == 7
    for one, other in zip(files, packed):
        assert torch.equal(one["inputs"], other["inputs"])
        assert one["inputs"].dtype == other["inputs"].dtype
        name, path = (x["data_samples"].img_path for x in (other, one))
        assert str(folder / name) == path


def test_whole_pairs_give_the_samples_of_the_files(pairs, tmp_path, pack):
    sides = ("--infrared", "ir", "--visible", "rgb")
    pack(pairs, *sides, "--out", tmp_path / "set", "--short-side", 0, "--workers", 2)
    config = dict(type="mmspec.PackedRGBT", data_root=str(tmp_path / "set"), infrared="ir")
    packed = samples(DATASETS.build(dict(**config, visible="rgb", pipeline=PAIRS)))
    files = samples(RGBTFolder(str(pairs), pipeline=PAIRS))
    assert len(packed) == 3
    for one, other in zip(files, packed):
        assert torch.equal(one["inputs"], other["inputs"])
        assert one["data_samples"].channels == other["data_samples"].channels


def test_images_become_smaller_at_their_own_depth_and_never_larger(folder, tmp_path, pack):
    out = pack(folder, "--out", tmp_path / "set", "--short-side", 20, "--workers", 1)
    assert "packed: 2 float32, 3 uint16, 2 uint8 in 1 shards" in out
    found = PackedSet(tmp_path / "set")
    pixels = {name: found.pixels(row)[0] for row in range(7) for name in found.names(row)}
    assert {array.shape for array in pixels.values()} == {(20, 25)}
    assert (pixels["clip.npy#1"].dtype, pixels["a/gray.png"].dtype) == (np.uint16, np.uint8)
    small = Image.fromarray(noise(1, np.uint16).astype(np.float32)).resize((25, 20), 3)
    np.testing.assert_array_equal(pixels["a/counts.png"], np.rint(small).astype(np.uint16))
    holes = np.isnan(pixels["b/celsius.tif"])
    assert holes[3, 5] and not holes[:2].any() and not holes[5:].any()
    record = found.index[1]
    assert (record["source_height"], record["source_width"], record["height"]) == (40, 50, 20)
    assert record["source_dtype"] == b"|u1"
    assert pixel_hash(found.pixels(1)) == record["hash"].tobytes()

    pack(folder, "--out", tmp_path / "large", "--short-side", 64, "--workers", 1)
    assert PackedSet(tmp_path / "large").pixels(0)[0].shape == (40, 50)


def test_lists_and_several_folders(folder, tmp_path, pack):
    (tmp_path / "list.txt").write_text("b/photo.jpg\na/gray.png\n")
    pack(folder, "--list", tmp_path / "list.txt", "--out", tmp_path / "one", "--workers", 1)
    assert (tmp_path / "one" / "names.txt").read_text() == "b/photo.jpg\na/gray.png\n"
    pack(folder / "b", folder / "a", folder / "a", "--out", tmp_path / "two", "--workers", 1)
    names = (tmp_path / "two" / "names.txt").read_text().split()
    assert names == ["b/celsius.tif", "b/nodata.tif", "b/photo.jpg", "a/counts.png", "a/gray.png"]


def test_gray_levels_are_packed_by_a_scale_that_checkpoints_keep(folder, tmp_path, pack):
    scale = ["--depth", "8", "--infrared-scale", "range=(500,3000)", "unit=counts"]
    with pytest.raises(SystemExit):
        pack(folder, "--out", tmp_path / "set", *scale[2:], "--workers", 1)
    (folder / "a" / "gray.png").unlink()
    (folder / "b" / "photo.jpg").unlink()  # a picture has no counts
    pack(folder, "--out", tmp_path / "set", *scale, "--short-side", 0, "--workers", 1)
    settled = dict(range=(500, 3000), unit="counts")
    packed = PackedInfrared(str(tmp_path / "set"), pipeline=INFRARED)
    assert packed.metainfo["infrared_scale"] == settled
    files = InfraredFolder(str(folder), pipeline=INFRARED, infrared_scale=settled)
    for one, other in zip(samples(files), samples(packed)):
        assert torch.equal(one["inputs"], other["inputs"])
    with pytest.raises(PackedSetError, match=r"range=\(0, 9\), the set was packed with \(500"):
        PackedInfrared(str(tmp_path / "set"), pipeline=INFRARED, infrared_scale={"range": (0, 9)})


def test_a_packed_set_is_no_source(folder, tmp_path, pack, capsys):
    pack(folder, "--out", tmp_path / "packed", "--workers", 1)
    with pytest.raises(SystemExit) as stopped:
        pack(tmp_path / "packed", "--out", tmp_path / "again")
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert f"{tmp_path / 'packed'} is a packed set already" in message
    assert "PackedInfrared" in message
    assert not (tmp_path / "again").exists()


def test_a_scale_that_files_alone_allow_is_refused(folder, tmp_path, pack):
    pack(folder, "--out", tmp_path / "set", "--workers", 1)
    for scale, message in (
        (dict(sequence=True), "looks at files"),
        (dict(unit="counts"), "unit='counts', the set was packed with None"),
    ):
        with pytest.raises(PackedSetError, match=message):
            PackedInfrared(str(tmp_path / "set"), pipeline=INFRARED, infrared_scale=scale)


def test_what_is_lost_is_told(folder, tmp_path, pack):
    np.save(folder / "wide.npy", np.array([[0.1, 1e9 + 1 / 3]] * 30).repeat(20, 1))
    out = pack(folder, "--out", tmp_path / "set", "--workers", 1)
    assert "1 x, first wide.npy: values are rounded to float32, of float64" in out


def test_broken_files_are_named_and_left_out_if_asked(folder, tmp_path, pack, capsys):
    (folder / "a" / "b.png").write_bytes(b"no image")
    save(folder / "tiny.png", noise(0, np.uint8, (9, 9)))
    with pytest.raises(SystemExit, match=r"a/b\.png: not a JPEG.*--skip-broken"):
        pack(folder, "--out", tmp_path / "set", "--workers", 1)
    out = pack(folder, "--out", tmp_path / "set", "--skip-broken", "--workers", 2)
    assert "left out: 2, all named in header.json" in out
    assert len(PackedInfrared(str(tmp_path / "set"))) == 7
    left_out = json.loads((tmp_path / "set" / "header.json").read_text())["left_out"]
    assert [Path(fault.split(": ")[0]).name for fault in left_out] == ["b.png", "tiny.png"]


def test_a_pair_of_two_sizes_names_both_files(pairs, tmp_path, pack):
    save(pairs / "rgb" / "b.png", np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(SystemExit, match=r"rgb/b\.png: 80 x 60 .*ir/b\.png 90 x 60"):
        pack(pairs, "--infrared", "ir", "--visible", "rgb", "--out", tmp_path / "s")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_killed_packing_goes_on_where_it_stopped(tmp_path):
    for number in range(130):
        save(tmp_path / "raw" / f"{number:03d}.png", noise(number, np.uint8, (20, 20), 256))
    command = [TOOL, tmp_path / "raw", "--workers", 1, "--shard-gib", 4000 / 2**30, "--out"]
    assert run(*command, tmp_path / "whole").returncode == 0

    blocked = tmp_path / "raw" / "101.png"  # of those that the estimate passes over
    image = blocked.read_bytes()
    blocked.unlink()
    os.mkfifo(blocked)
    program = Program(*command, tmp_path / "set")
    while not (tmp_path / "set" / "shard-00009.npz").exists():
        assert program.process.is_alive(), program.output
        time.sleep(0.02)
    assert "another process packs to" in run(*command, tmp_path / "set").stderr
    program.process.kill()
    program.wait()
    with pytest.raises(FileNotFoundError, match="not finished: give the command"):
        PackedInfrared(str(tmp_path / "set"))
    blocked.unlink()
    blocked.write_bytes(image)

    other = run(*command, tmp_path / "set", "--short-side", 64)
    assert (
        other.returncode == 1 and "a packing of other short_side that was stopped" in other.stderr
    )
    again = run(*command, tmp_path / "set")
    assert "10 shards are complete, 30 images are left" in again.output
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
    assert "is a packed set" in run(*command, tmp_path / "set").stderr


@pytest.fixture
def shards(tmp_path, pack):
    """Five shards of 2, 2, 2, 2 and 1 images."""
    for number in range(9):
        save(tmp_path / "raw" / f"{number}.png", np.full((20, 20), 10 * number, np.uint8))
    pack(tmp_path / "raw", "--out", tmp_path / "set", "--shard-gib", 700 / 2**30, "--workers", 1)
    return tmp_path / "set"


def levels(dataset):
    return [int(dataset[i]["img"][0, 0]) // 10 for i in range(len(dataset))]


def test_subsets_parts_and_copies(shards):
    def opened(**options):
        load = dict(type="mmspec.LoadInfraredImageFromFile")
        return PackedInfrared(str(shards), pipeline=[load], **options)

    assert levels(opened(indices=3)) == [0, 1, 2]
    assert levels(opened(indices=[7, -1, 2])) == [7, 8, 2]
    whole = opened(lazy_init=True)
    assert levels(whole.get_subset(-2)) == [7, 8] and len(whole) == 9
    assert whole[8]["sample_idx"] == whole[-1]["sample_idx"] == 8
    assert levels(opened(part=(0, 2))) == [0, 1, 4, 5]  # as many as the other has
    (shards / "shard-00000.bin").unlink()
    assert levels(opened(part=(1, 2))) == [2, 3, 6, 7]
    with pytest.raises(PackedSetError, match="of 5 shards: pack with a smaller --shard-gib"):
        opened(part=(0, 6))


def test_a_copy_maps_the_files_anew(shards):
    dataset = PackedInfrared(str(shards), pipeline=[dict(type="mmspec.LoadInfraredImageFromFile")])
    dataset[0]
    assert len(pickle.dumps(dataset)) < 2000
    assert levels(pickle.loads(pickle.dumps(dataset))) == list(range(9))
    loader = DataLoader(dataset, batch_size=None, num_workers=2, collate_fn=lambda x: x)
    assert [int(sample["img"][0, 0]) // 10 for sample in loader] == list(range(9))


@pytest.mark.parametrize(
    ("name", "kind", "more"),
    [
        ("infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini", "PackedInfrared", []),
        ("mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene", "PackedRGBT",
         ["infrared=ir", "visible=rgb", "ann_file="]),
    ],
)  # fmt: skip
def test_configs_read_a_set_by_two_options(pairs, tmp_path, pack, name, kind, more):
    folders = [pairs, "--infrared", "ir", "--visible", "rgb"] if more else [pairs / "ir"]
    pack(*folders, "--out", tmp_path / "set", "--workers", 1)
    options = [f"type=mmspec.{kind}", f"data_root={tmp_path / 'set'}", *more]
    options = [f"train_dataloader.dataset.{option}" for option in options]
    cfg = read_config(str(CONFIGS / f"{name}.py"), options)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert dataset[0]["inputs"].shape == (4 if more else 1, 224, 224)


def edit_header(folder, **changes):
    path = folder / "header.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: edit_header(f, version=9), r"header\.json: version 9 .* reads 1: pack"),
        (
            lambda f: (f / "header.json").write_text('{"format": "mmspec packed corpus"}'),
            r"header\.json: version None",
        ),
        (lambda f: edit_header(f, format="tar"), r"header\.json: not the header of"),
        (lambda f: (f / "header.json").write_text("{"), r"header\.json: not JSON"),
        (lambda f: (f / "shard-00002.bin").unlink(), r"shard-00002\.bin: .* is missing: copy it"),
        (lambda f: (f / "names.txt").unlink(), r"names\.txt: .* is missing: copy it"),
        (
            lambda f: (f / "shard-00003.bin").write_bytes(bytes(700)),
            r"shard-00003\.bin: 700 bytes, 800 by header\.json: cut off",
        ),
    ],
)
def test_a_set_that_is_not_whole_is_refused_by_its_file(shards, harm, message):
    harm(shards)
    with pytest.raises(PackedSetError, match=message):
        PackedInfrared(str(shards))


def test_a_damaged_index_is_named(shards):
    content = (shards / "index.npy").read_bytes()
    (shards / "index.npy").write_bytes(b"none" + content[4:])
    with pytest.raises(PackedSetError, match=r"index\.npy: not an index"):
        PackedInfrared(str(shards), pipeline=[])[0]


def test_a_part_is_two_numbers(shards):
    with pytest.raises(ValueError, match="part=3: "):
        PackedInfrared(str(shards), part=3)


def test_a_set_is_not_written_into_a_file(folder, tmp_path, pack):
    for out in ("file", "file/set"):
        (tmp_path / "file").write_text("")
        with pytest.raises(SystemExit, match="file is a file: give --out a new folder"):
            pack(folder, "--out", tmp_path / out, "--workers", 1)


def test_sets_are_of_one_kind(shards, pairs, tmp_path, pack):
    with pytest.raises(PackedSetError, match=r"infrared images alone: .*'mmspec\.PackedInfrared'"):
        PackedRGBT(str(shards))
    pack(pairs, "--infrared", "ir", "--visible", "rgb", "--out", tmp_path / "pairs set")
    with pytest.raises(PackedSetError, match=r"packed set of pairs: .*'mmspec\.PackedRGBT'"):
        PackedInfrared(str(tmp_path / "pairs set"))
    with pytest.raises(PackedSetError, match="packed from visible='rgb', not 'vis'"):
        PackedRGBT(str(tmp_path / "pairs set"), "ir", "vis")
    with pytest.raises(ValueError, match="takes no list"):
        PackedRGBT(str(tmp_path / "pairs set"), ann_file="train.txt")
    with pytest.raises(FileNotFoundError, match=r"no header\.json"):
        PackedInfrared(str(tmp_path))


def test_verification_names_the_image_that_changed(shards, pack):
    assert "9 images in 5 shards are as they were packed" in pack("--verify", shards)
    content = bytearray((shards / "shard-00001.bin").read_bytes())
    content[500] ^= 1
    (shards / "shard-00001.bin").write_bytes(content)
    with pytest.raises(SystemExit, match=r"shard-00001\.bin: its SHA-256 .*\n  3\.png: other"):
        pack("--verify", shards)


def test_the_space_is_estimated_before(folder, tmp_path, pack, monkeypatch):
    out = pack(folder, "--out", tmp_path / "set", "--dry-run", "--workers", 1)
    assert "7 images: about 0.00 GiB; " in out and not (tmp_path / "set").exists()
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), dict(free=1000)))
    with pytest.raises(SystemExit, match="too little space"):
        pack(folder, "--out", tmp_path / "set", "--workers", 1)
