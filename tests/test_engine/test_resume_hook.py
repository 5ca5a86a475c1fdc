"""A run resumes from the newest checkpoint that can be read, or says why it cannot."""

import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop
from toy_run import toy_run

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.checkpoints.work_dir import is_finished, is_readable, saved_checkpoints
from mmspec.engine import ResumeHook
from mmspec.engine.launch import LaunchError

SCHEDULE = [dict(type="PolyLR", by_epoch=False)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """iter_2.pth to iter_8.pth."""
    work_dir = tmp_path_factory.mktemp("trained")
    toy_run(work_dir, schedule=SCHEDULE, iters=8).train()
    return work_dir


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def resumed_at(work_dir: Path, **arguments) -> tuple[int, str]:
    """Where a resumed run begins, and its log."""
    runner = toy_run(work_dir, schedule=SCHEDULE, iters=8, resume=True, **arguments)
    started = []
    runner.train_loop.run = lambda: started.append(runner.iter)
    runner.train()
    return started[0], max(work_dir.glob("*/*.log"), key=os.path.getmtime).read_text()


def cut(path: Path, share: float = 0.5) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def test_without_last_checkpoint_it_is_the_newest(folder):
    (folder / "last_checkpoint").unlink()
    assert resumed_at(folder)[0] == 8


@pytest.mark.parametrize("text", ["", "/elsewhere/iter_99.pth", "iter_99.pth"])
def test_a_last_checkpoint_that_names_nothing(folder, text):
    (folder / "last_checkpoint").write_text(text)
    assert resumed_at(folder)[0] == 8


def test_a_moved_folder_goes_by_the_name(folder):
    (folder / "last_checkpoint").write_text("/elsewhere/run/iter_4.pth")
    assert resumed_at(folder)[0] == 4


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file_is_passed_over(folder, share):
    cut(folder / "iter_8.pth", share)
    iteration, log = resumed_at(folder)
    assert iteration == 6
    assert "iter_8.pth is cut short or damaged" in log
    cut(folder / "iter_6.pth", share)
    assert resumed_at(folder)[0] == 4


def test_bytes_lost_inside_a_file(folder):
    file = folder / "iter_8.pth"
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64) if any(content[middle : middle + 64]) else b"x" * 64
    file.write_bytes(content)
    assert not is_readable(file)
    assert resumed_at(folder)[0] == 6


def test_a_run_begun_anew_over_an_old_one_has_the_smaller_numbers(folder):
    for name in ("iter_2.pth", "iter_4.pth"):
        os.utime(folder / name)
    (folder / "last_checkpoint").write_text("iter_4.pth")
    cut(folder / "iter_4.pth")
    os.utime(folder / "iter_4.pth")
    assert resumed_at(folder)[0] == 2


def test_nothing_to_resume_is_refused(tmp_path):
    (tmp_path / "best_acc_iter_2.pth").write_bytes(b"weights")
    with pytest.raises(LaunchError, match=r"nothing to resume: no iter_N.pth in .*--work-dir"):
        resumed_at(tmp_path)


def test_nothing_readable_is_refused(folder):
    for path in saved_checkpoints(folder):
        cut(path)
    with pytest.raises(CheckpointError, match=r"every checkpoint in .* is cut short or damaged"):
        resumed_at(folder)


@pytest.mark.parametrize("resume", [True, False])
def test_a_damaged_file_that_was_asked_for_is_named(folder, resume):
    cut(folder / "iter_8.pth")
    runner = toy_run(
        folder, schedule=SCHEDULE, iters=8, resume=resume, load_from=str(folder / "iter_8.pth")
    )
    with pytest.raises(CheckpointError, match=r"iter_8.pth is cut short or damaged"):
        runner.train()


def test_weights_alone_cannot_be_resumed(folder):
    content = torch.load(folder / "iter_8.pth", weights_only=False)
    torch.save({"state_dict": content["state_dict"]}, folder / "weights.pth")
    with pytest.raises(LaunchError, match=r"holds no meta and no message_hub and no optimizer; .*"):
        resumed_at(folder, load_from=str(folder / "weights.pth"))


def test_a_checkpoint_past_the_end_is_refused_with_both(folder):
    runner = toy_run(folder, schedule=SCHEDULE, iters=6, resume=True)
    with pytest.raises(LaunchError, match=r"iter_8.pth is of iter 8, and training ends at 6"):
        runner.train()


def test_a_finished_training_says_so_also_when_resumed(folder):
    assert is_finished(folder)
    (folder / "finished").unlink()
    toy_run(folder, schedule=SCHEDULE, iters=8, resume=True).train()
    assert is_finished(folder)
    cut(folder / "iter_8.pth")
    assert not is_finished(folder)


def test_without_a_checkpoint_hook_too(folder, tmp_path_factory):
    def runner(work_dir):
        run = toy_run(work_dir, schedule=SCHEDULE, iters=8, resume=True)
        run._hooks = [hook for hook in run.hooks if not isinstance(hook, CheckpointHook)]
        return run

    with pytest.raises(LaunchError, match="nothing to resume"):
        runner(tmp_path_factory.mktemp("empty")).train()
    (folder / "last_checkpoint").unlink()
    run = runner(folder)
    run.train()
    assert run.iter == 8


def test_a_run_that_stopped_inside_its_last_epoch_had_not_ended(caplog):
    loop = object.__new__(EpochBasedTrainLoop)
    loop._max_epochs, loop._epoch = 20, 0
    logger = logging.getLogger("resumed")
    run = SimpleNamespace(_resume=True, _load_from="x.pth", train_loop=loop, logger=logger)
    checkpoint = dict(message_hub={}, optimizer={})
    for meta, ended in ((dict(epoch=19, images_of_epoch=320), False), (dict(epoch=20), True)):
        caplog.clear()
        ResumeHook().after_load_checkpoint(run, dict(checkpoint, meta=meta))
        assert ("Training had ended" in caplog.text) == ended
