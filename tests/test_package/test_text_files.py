"""Text that people and labelling programs wrote."""

import logging

import pytest
from mmengine.logging import MMLogger

from mmspec.text_files import (
    TextFileError,
    as_flag,
    each_once,
    read_json,
    read_json_lines,
    read_lines,
    read_names,
    read_text,
)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_encodings_of_unicode_are_read(tmp_path, encoding):
    path = tmp_path / "list.txt"
    path.write_bytes("k\u00fcche/01\r\n\r\n wald \u6797 \n".encode(encoding))
    assert read_names(path) == ["k\u00fcche/01", "wald \u6797"]
    path.write_bytes('{"name": "K\u00fcche"}'.encode(encoding))
    assert read_json(path) == {"name": "K\u00fcche"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("a\nk\u00fcche\n".encode("latin-1"), r"line 2 is not utf-8 \(byte 0xfc\); save the file"),
        ("\u6797\n".encode("gbk"), r"line 1 is not utf-8"),
        (b"\xff\xfea", r"line 1 is not utf-16"),
        (b"\x89PNG\r\n", r"line 1 is not utf-8 \(byte 0x89\)"),
        (b"abcdef\0", "holds bytes of value 0"),
    ],
)
def test_other_encodings_are_refused_by_name(tmp_path, data, reason):
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    for read in (read_text, read_names):
        with pytest.raises(TextFileError, match=rf"list\.txt: {reason}"):
            read(path)
    with pytest.raises(TextFileError, match=rf"list\.txt: not a JSON file \({reason}"):
        read_json(str(path))


@pytest.mark.parametrize("text", ["{", "[" * 100_000, ""])
def test_no_json(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(TextFileError, match=r"x\.json: not a JSON file"):
        read_json(tmp_path / "x.json")


def test_logs(tmp_path):
    (tmp_path / "x.json").write_text('{"loss": 1}\n{"loss": 2}\n')
    assert read_json_lines(tmp_path / "x.json") == [{"loss": 1}, {"loss": 2}]
    (tmp_path / "x.json").write_text('{"loss": 1}\n{"lo')
    with pytest.raises(TextFileError, match=r"x\.json: line 2 is not JSON"):
        read_json_lines(tmp_path / "x.json")


def test_lines_end_where_editors_end_them(tmp_path):
    (tmp_path / "x.txt").write_bytes("a\x0cb\u2028c\r\nd\re\n\nf".encode())
    assert read_lines(tmp_path / "x.txt") == ["a\x0cb\u2028c", "d", "e", "", "f"]


def test_a_name_twice_counts_once_with_a_word(caplog, monkeypatch):
    logger = logging.getLogger("lists")
    monkeypatch.setattr(MMLogger, "get_current_instance", lambda: logger)
    names = ["b/2", "a", "./a", "b//2", "a", "c"]
    assert each_once(names, "train.txt") == ["b/2", "a", "c"]
    assert [record.getMessage() for record in caplog.records] == [
        "train.txt: 3 of 6 entries repeat a name, the first is ./a; each counts once"
    ]
    assert each_once(["a", "b"], "train.txt") == ["a", "b"] and len(caplog.records) == 1


def test_flags():
    assert all(map(as_flag, (1, True, 1.0, "1", " TRUE ", "yes")))
    assert not any(map(as_flag, (0, False, 0.0, None, "0", "", "False", "no", "none")))
    for value in (2, -1, "maybe", [1], float("nan")):
        with pytest.raises(ValueError, match="is neither 0 nor 1"):
            as_flag(value)
