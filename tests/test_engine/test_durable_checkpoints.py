"""A kill at whatever moment leaves a checkpoint to resume from."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.utils import manager
from toy_run import toy_run

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.checkpoints.work_dir import is_finished, is_readable
from mmspec.engine import DurableCheckpointHook

SCHEDULE = [dict(type="PolyLR", by_epoch=False)]
TESTS = Path(__file__).resolve().parents[1]
# Killed in the middle of the n-th file that is written into the work directory.
KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from mmengine.fileio import LocalBackend
from toy_run import toy_run

left = {number}
def put(self, content, path, whole=LocalBackend.put):
    global left
    left -= 1
    if left == 0:
        with open(path, "wb") as file:
            file.write(content[:len(content) // 2])
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    whole(self, content, path)
LocalBackend.put = put
toy_run({work_dir!r}, schedule={schedule!r}, iters=8, {more}).train()
"""


def killed(work_dir: Path, number: int, **more) -> None:
    more = ", ".join(f"{key}={value!r}" for key, value in more.items())
    script = KILLED.format(
        tests=str(TESTS), number=number, work_dir=str(work_dir), schedule=SCHEDULE, more=more
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def names(work_dir: Path) -> set[str]:
    """Files of a work directory but for the copy of its config."""
    return {path.name for path in work_dir.iterdir() if path.is_file() and path.suffix != ".py"}


def weights(work_dir: Path, name: str) -> list[float]:
    checkpoint = torch.load(work_dir / name, weights_only=False)
    return [value.item() for value in checkpoint["state_dict"].values()]


@pytest.mark.parametrize("number", [2, 4])
def test_a_run_killed_in_the_write_resumes_as_if_it_had_not_stopped(number, tmp_path):
    keep = dict(max_keep_ckpts=1)
    killed(tmp_path / "killed", number, checkpoint=keep)
    left = names(tmp_path / "killed")
    whole = {f"iter_{n}.pth" for n in ((2,) if number == 2 else (4, 6))}
    assert {name for name in left if name.endswith(".pth")} == whole
    assert all(is_readable(tmp_path / "killed" / name) for name in whole)
    assert not is_finished(tmp_path / "killed")

    arguments = dict(schedule=SCHEDULE, iters=8, checkpoint=keep)
    toy_run(tmp_path / "killed", resume=True, **arguments).train()
    toy_run(tmp_path / "whole", **arguments).train()
    expected = {"iter_6.pth", "iter_8.pth", "last_checkpoint", "finished"}
    assert names(tmp_path / "killed") == names(tmp_path / "whole") == expected
    assert is_finished(tmp_path / "killed")
    assert weights(tmp_path / "killed", "iter_8.pth") == weights(tmp_path / "whole", "iter_8.pth")


def test_a_run_killed_while_it_writes_its_best_keeps_the_best_before(tmp_path):
    best = dict(save_best="acc", rule="greater", max_keep_ckpts=2)
    # The first best, and the checkpoint again with its name; then the second best.
    killed(tmp_path, 5, checkpoint=best, scores=(1.0, 2.0, 0.5, 3.0))
    assert {name for name in names(tmp_path) if name.startswith("best")} == {
        "best_acc_iter_2.pth",
        "best_acc_iter_4.pth.partial",
    }
    assert is_readable(tmp_path / "best_acc_iter_2.pth")
    arguments = dict(schedule=SCHEDULE, checkpoint=best, iters=8, scores=(0.5, 3.0))
    toy_run(tmp_path, resume=True, **arguments).train()
    assert {name for name in names(tmp_path) if name.startswith("best")} == {"best_acc_iter_8.pth"}


@pytest.mark.parametrize(("asked", "kept"), [(1, 2), (2, 2), (3, 3), (-1, 4)])
def test_two_are_kept_at_least(asked, kept, tmp_path):
    keep = dict(max_keep_ckpts=asked)
    toy_run(tmp_path, schedule=SCHEDULE, iters=8, checkpoint=keep).train()
    assert len(list(tmp_path.glob("iter_*.pth"))) == kept


def test_the_old_file_goes_after_the_new_one_is_there(tmp_path, monkeypatch):
    seen = []
    replace = Path.replace

    def look(self, target):
        if str(target).endswith(".pth"):
            seen.append(sorted(path.name for path in tmp_path.glob("iter_*.pth")))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look)
    toy_run(tmp_path, schedule=SCHEDULE, iters=8, checkpoint=dict(max_keep_ckpts=2)).train()
    pairs = [[], ["iter_2.pth"], ["iter_2.pth", "iter_4.pth"], ["iter_4.pth", "iter_6.pth"]]
    assert seen[:4] == pairs


def test_a_full_disk_leaves_no_half_file_and_is_named(tmp_path, monkeypatch):
    put = LocalBackend.put

    def full(self, content, path):
        put(self, content[: len(content) // 2], path)
        raise OSError(errno.ENOSPC, "No space left on device")

    run = toy_run(tmp_path, schedule=SCHEDULE, iters=2)
    monkeypatch.setattr(LocalBackend, "put", full)
    # mmengine keeps its lock after an error in a logger's constructor: the writer must not need it.
    with (
        manager._lock,
        pytest.raises(
            CheckpointError, match="iter_2.pth was not written .*No space left"
        ) as raised,
    ):
        run.train()
    assert names(tmp_path) == set()
    assert str(raised.value) in (tmp_path / run.timestamp / f"{run.timestamp}.log").read_text()


def test_another_folder_for_checkpoints(tmp_path):
    hook = dict(out_dir=str(tmp_path / "big"))
    arguments = dict(schedule=SCHEDULE, checkpoint=hook, resume=True)
    toy_run(tmp_path / "run", schedule=SCHEDULE, iters=2, checkpoint=hook).train()
    assert is_finished(tmp_path / "run")
    runner = toy_run(tmp_path / "run", iters=4, **arguments)
    runner.train()
    assert names(tmp_path / "big" / "run") == {"iter_2.pth", "iter_4.pth"}


def test_another_backend_is_refused():
    with pytest.raises(TypeError, match="backend_args"):
        DurableCheckpointHook(backend_args=dict(backend="petrel"))


def test_what_is_not_local_is_refused():
    with pytest.raises(ValueError, match="local files, not to s3://bucket; set .*=CheckpointHook"):
        DurableCheckpointHook(out_dir="s3://bucket")
