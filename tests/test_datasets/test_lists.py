"""Lists of names: byte-order marks, other encodings, names that stand there twice."""

import logging

import numpy as np
import pytest
from matching_pairs import roadscene_pairs
from mmengine.logging import MMLogger
from PIL import Image

from mmspec.datasets import RGBTFolder
from mmspec.registry import DATASETS
from mmspec.text_files import TextFileError

SIZE = (24, 32)
PAIRED = dict(infrared="ir", visible="vi")
CLASSES = dict(classes=("ground", "pipe"))


def scenes(root):
    """Pairs and labels of three scenes, one with an umlaut."""
    for name in ("a", "k\u00fcche", "c"):
        for folder, shape in (("ir", SIZE), ("vi", (*SIZE, 3)), ("label", SIZE)):
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(np.ones(shape, np.uint8)).save(root / folder / f"{name}.png")


def build(kind, root, ann_file):
    """The names of a data set's samples."""
    options = dict(
        InfraredFolder=dict(data_prefix="ir", ann_file=str(ann_file)),
        RGBTFolder=dict(ann_file=str(ann_file), **PAIRED),
        RoadSceneMatchingDataset=dict(ann_file=str(ann_file), **PAIRED),
        InfraredSegDataset=dict(
            ann_file=str(ann_file),
            data_prefix=dict(infrared_path="ir", seg_map_path="label"),
            metainfo=CLASSES,
        ),
        SmallTargetDataset=dict(
            ann_file=str(ann_file), data_prefix=dict(infrared_path="ir", seg_map_path="label")
        ),
    )[kind]
    dataset = DATASETS.build(dict(type=f"mmspec.{kind}", data_root=str(root), **options))
    paths = [dataset.get_data_info(i)["img_path"] for i in range(len(dataset))]
    return [path.rpartition("/")[2].removesuffix(".png") for path in paths]


KINDS = [
    "InfraredFolder", "RGBTFolder", "RoadSceneMatchingDataset", "InfraredSegDataset",
    "SmallTargetDataset",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_lists(tmp_path, kind, encoding):
    scenes(tmp_path)
    names = ["k\u00fcche.png", "./a.png"]  # as `find` writes the second
    (tmp_path / "list.txt").write_bytes("\r\n".join(names).encode(encoding))
    assert build(kind, tmp_path, tmp_path / "list.txt") == ["k\u00fcche", "a"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_in_an_older_encoding_is_named(tmp_path, kind):
    scenes(tmp_path)
    (tmp_path / "list.txt").write_bytes("a.png\nk\u00fcche.png\n".encode("latin-1"))
    with pytest.raises(TextFileError, match=r"list\.txt: line 2 is not utf-8"):
        build(kind, tmp_path, tmp_path / "list.txt")


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_twice_counts_once_with_a_word(tmp_path, kind, caplog, monkeypatch):
    logger = logging.getLogger("data sets")
    monkeypatch.setattr(MMLogger, "get_current_instance", lambda: logger)
    scenes(tmp_path)
    lines = ["c.png", "a.png", "c.png", "c.png"]
    if kind != "InfraredFolder":  # whose lists name files
        lines[2] = "c"
    (tmp_path / "list.txt").write_text("\n".join(lines))
    assert build(kind, tmp_path, tmp_path / "list.txt") == ["c", "a"]
    word = f"{tmp_path}/list.txt: 2 of 4 entries repeat a name, the first is c"
    assert any(record.getMessage().startswith(word) for record in caplog.records)


def test_a_pair_twice_counts_once(tmp_path):
    scenes(tmp_path)
    lines = ["ir/a.png\tvi/c.png", "ir/c.png\tvi/a.png", "ir/a.png\tvi/c.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    dataset = RGBTFolder(str(tmp_path), ann_file=str(tmp_path / "list.txt"), **PAIRED)
    assert len(dataset) == 2


def test_a_list_of_pairs_to_match(tmp_path):
    scenes(tmp_path)
    (tmp_path / "ir").rename(tmp_path / "cropinfrared")
    (tmp_path / "vi").rename(tmp_path / "crop_LR_visible")
    for path in tmp_path.glob("crop*/*.png"):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    (tmp_path / "test.txt").write_bytes(b"\xef\xbb\xbfa\r\nc\r\na\r\n")
    assert [pair.name for pair in roadscene_pairs(tmp_path, width=32)] == ["a", "c"]
