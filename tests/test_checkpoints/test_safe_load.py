import argparse
import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from mmspec.checkpoints.safe_load import load_file


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    trace = tmp_path / "trace"
    torch.save({"model": {"w": torch.ones(1)}, "args": Malicious(trace)}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match=r"bad\.pth holds a pickled .*not on the allow-list"):
        load_file(tmp_path / "bad.pth")
    assert not trace.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_what_official_and_mmengine_files_hold_is_read(tmp_path, zipped):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    content = dict(
        model={"w": torch.arange(3.0)},
        args=argparse.Namespace(epochs=400),
        message_hub=dict(log_scalars=dict(loss=buffer)),
        meta=dict(seed=0, numbers=np.arange(2), scalar=np.float64(0.5)),
    )
    path = tmp_path / "good.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    loaded = load_file(path)
    assert torch.equal(loaded["model"]["w"], torch.arange(3.0))
    assert loaded["args"].epochs == 400
    assert loaded["meta"]["scalar"] == 0.5


def test_safetensors(tmp_path):
    save_file({"w": torch.arange(3.0)}, tmp_path / "a.safetensors")
    assert torch.equal(load_file(tmp_path / "a.safetensors")["w"], torch.arange(3.0))


def test_what_is_no_checkpoint_brings_no_advice_to_run_it(tmp_path):
    (tmp_path / "notes.pth").write_text("any text")
    with pytest.raises(ValueError, match=r"notes\.pth: not a torch checkpoint") as raised:
        load_file(tmp_path / "notes.pth")
    assert "weights_only" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"PK not a zip archive"]
)
def test_what_is_no_checkpoint_is_named(tmp_path, suffix, content):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"file{suffix}"):
        load_file(path)


def test_damaged_file_is_named(tmp_path):
    torch.save({"model": {"w": torch.ones(10000)}}, tmp_path / "cut.pth")
    whole = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.pth: not a torch checkpoint, or damaged"):
        load_file(tmp_path / "cut.pth")


def test_absent_file_is_named_with_those_that_are_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent.pth: no such file$"):
        load_file(tmp_path / "absent.pth")
    for number in range(6):
        (tmp_path / f"iter_{number}.pth").touch()
    with pytest.raises(FileNotFoundError, match=r"has iter_0.pth, .*iter_4.pth and 1 more$"):
        load_file(tmp_path / "absent.pth")


def test_damaged_legacy_files_are_named(tmp_path):
    path = tmp_path / "old.pth"
    torch.save({"model": {"w": torch.ones(50)}}, path, _use_new_zipfile_serialization=False)
    whole = bytearray(path.read_bytes())
    for position in range(20, len(whole), 17):
        damaged = whole.copy()
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        # What is still a checkpoint (a changed value) loads; only ValueError may come out.
        with contextlib.suppress(ValueError):
            load_file(path)
