"""Checkpoints between those of mmengine's interval, written meanwhile, from which a run goes on."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import loops
from toy_run import toy_run

from mmspec.engine import DurableCheckpointHook
from mmspec.engine.checkpoints import DurableBackend
from mmspec.engine.launch import LaunchError
from mmspec.engine.preemption import (
    PREEMPTED,
    SIGNALS,
    STEPS,
    StopSignals,
    _outlive_signals,
)

SCHEDULE = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=6),
    dict(type="StepLR", step_size=1, gamma=0.5),
]
DRAWS = dict(draws=dict(type="mmspec.RepeatableDrawsHook"))
RARE = dict(interval=100, save_last=False)


def run(work_dir: Path, hooks=(), **arguments):
    """A run of three epochs of four batches, or of so many iterations."""
    length = {} if "iters" in arguments else dict(epochs=3)
    own = dict(schedule=SCHEDULE[: 2 if length else 1], hooks=DRAWS)
    runner = toy_run(work_dir, **{**own, **length, **arguments})
    for hook in hooks:
        runner.register_hook(hook)
    return runner


class Do(Hook):
    """Calls a function when so many iterations are done, before checkpoints are written."""

    def __init__(self, iteration: int, function) -> None:
        self.iteration, self.function = iteration, function

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            self.function()


def losses(work_dir: Path) -> dict[int, tuple]:
    """What was logged of each iteration: loss, rate and epoch, later runs over earlier ones."""
    lines = [
        json.loads(line)
        for path in sorted(work_dir.glob("*/vis_data/scalars.json"), key=os.path.getmtime)
        for line in path.read_text().splitlines()
    ]
    return {line["step"]: (line["loss"], line["lr"], line.get("epoch")) for line in lines}


def images(work_dir: Path, **arguments) -> list[float]:
    """The samples of a run, in their order."""
    seen = []
    made = run(work_dir, **arguments)
    step = made.model.forward
    made.model.forward = lambda x, **rest: seen.extend(x.flatten().tolist()) or step(x, **rest)
    made.train()
    return seen


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """mmengine waits two seconds between passes of a run by iterations."""
    monkeypatch.setattr(loops, "time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def written(tmp_path, monkeypatch) -> dict[str, Path]:
    """Copies of all checkpoints in the order in which they were written, by their names."""
    copies = {}
    write = DurableBackend.write

    def copied(self, content, path):
        write(self, content, path)
        if path.suffix == ".pth":
            (tmp_path / "copies").mkdir(exist_ok=True)
            copies[path.name] = Path(shutil.copy(path, tmp_path / "copies"))

    monkeypatch.setattr(DurableBackend, "write", copied)
    return copies


def test_they_stand_between_those_of_the_interval_and_go_at_the_end(written, tmp_path):
    run(tmp_path / "run", checkpoint=dict(iters=3)).train()
    assert [*written] == [
        *("resume_iter_3.pth", "epoch_1.pth", "resume_iter_6.pth"),
        *("epoch_2.pth", "resume_iter_9.pth", "epoch_3.pth"),
    ]
    assert {path.name for path in (tmp_path / "run").glob("*.pth")} == {
        f"epoch_{number}.pth" for number in (1, 2, 3)
    }


def test_the_two_newest_are_kept_and_the_newest_is_named(tmp_path):
    left = []

    def look() -> None:
        left.append(sorted(path.name for path in tmp_path.glob("*.pth")))
        left.append((tmp_path / "last_checkpoint").read_text())

    # Each write waits for the one before it.
    run(tmp_path, [Do(5, look)], checkpoint=dict(iters=1, **RARE)).train()
    names = [f"resume_iter_{number}.pth" for number in (2, 3, 4)]
    assert left[0] in (names[:2], names, names[1:])
    assert left[1] in (str(tmp_path / names[1]), str(tmp_path / names[2]))


def test_by_time(written, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("mmspec.engine.checkpoints.time.monotonic", lambda: now[0])

    def pass_time() -> None:
        now[0] += 100.0

    hooks = [Do(number, pass_time) for number in (2, 3, 4, 7)]
    run(tmp_path / "run", hooks, checkpoint=dict(minutes=3)).train()
    # 300 s since the start at the fourth, where the epoch's is due; then 100 s at the seventh.
    assert [*written] == ["resume_iter_3.pth", "epoch_1.pth", "epoch_2.pth", "epoch_3.pth"]


@pytest.mark.stack
@pytest.mark.parametrize("length", [dict(epochs=3), dict(iters=12)])
def test_a_run_goes_on_from_each_as_if_it_had_not_stopped(length, written, tmp_path):
    run(tmp_path / "whole", checkpoint=dict(iters=1, **RARE), **length).train()
    assert [*written] == [f"resume_iter_{number}.pth" for number in range(1, 13)]
    expected = losses(tmp_path / "whole")
    assert len({loss for loss, *_ in expected.values()}) == 12
    whole = torch.load(written["resume_iter_12.pth"], weights_only=False)
    for done in (1, 4, 6, 11):  # 4: all of an epoch, whose end is still to come
        start = dict(load_from=str(written[f"resume_iter_{done}.pth"]), resume=True)
        work_dir = tmp_path / f"from{done}"
        run(work_dir, checkpoint=dict(iters=12, **RARE), **start, **length).train()
        found = losses(work_dir)
        assert found == {step: expected[step] for step in range(done + 1, 13)}
        state = torch.load(written["resume_iter_12.pth"], weights_only=False)
        for part in ("state_dict", "param_schedulers"):
            assert str(state[part]) == str(whole[part])
        assert str(state["optimizer"]) == str(whole["optimizer"])


@pytest.mark.parametrize("sampler", ["DefaultSampler", "InfiniteSampler"])
def test_a_run_by_iterations_goes_on_in_the_pass_that_it_was_in(sampler, written, tmp_path):
    """And behind what was seen where it takes other batches."""
    length = dict(iters=12, sampler=sampler)
    run(tmp_path / "whole", checkpoint=dict(iters=1, **RARE), **length).train()
    expected = losses(tmp_path / "whole")
    start = dict(load_from=str(written["resume_iter_6.pth"]), resume=True)  # 24 images of 16
    run(tmp_path / "resumed", **start, **length).train()
    assert losses(tmp_path / "resumed") == {step: expected[step] for step in range(7, 13)}

    whole = images(tmp_path / "again", **length)
    other = dict(start, load_from=str(written["resume_iter_6.pth"]), sampler=sampler)
    found = images(tmp_path / "other", **other, iters=9, batch_size=8)
    assert found[:24] == whole[24:48]


def test_processes_that_do_not_divide_the_images_begin_where_a_pass_ended(
    written, tmp_path, monkeypatch
):
    whole = images(tmp_path, checkpoint=dict(iters=1, **RARE), iters=8, sampler="DefaultSampler")
    start = dict(load_from=str(written["resume_iter_4.pth"]), resume=True)  # one pass
    monkeypatch.setattr("mmengine.dataset.sampler.get_dist_info", lambda: (0, 3))
    monkeypatch.setattr("mmspec.engine.repeatable.get_world_size", lambda: 3)
    found = images(tmp_path / "three", **start, iters=5, sampler="DefaultSampler")
    assert found == whole[16::3][:4]  # what the first of three takes of the second pass


def test_gradients_that_wait_are_kept(written, tmp_path):
    accumulated = dict(wrapper=dict(accumulative_counts=3), iters=9)
    often = dict(by_epoch=False, interval=4, save_last=False)
    run(tmp_path / "whole", checkpoint=often, **accumulated).train()
    start = dict(load_from=str(written["iter_4.pth"]), resume=True)
    run(tmp_path / "resumed", checkpoint=often, **start, **accumulated).train()
    expected = losses(tmp_path / "whole")
    assert losses(tmp_path / "resumed") == {step: expected[step] for step in range(5, 10)}


def test_what_was_seen_is_not_loaded_again(written, tmp_path):
    run(tmp_path / "whole", checkpoint=dict(iters=1, **RARE)).train()
    start = dict(load_from=str(written["resume_iter_6.pth"]), resume=True)
    resumed = run(tmp_path / "resumed", **start)
    loaded = []

    class Counted(list):
        def __getitem__(self, index):
            loaded.append(int(index))
            return super().__getitem__(index)

    loader = resumed._train_dataloader
    loader["dataset"] = Counted(loader["dataset"])
    resumed.train()
    assert len(loaded) == 8 + 16


def test_with_another_batch_size_it_goes_on_behind_the_images_seen(written, tmp_path):
    run(tmp_path / "whole", checkpoint=dict(iters=1, **RARE)).train()
    start = dict(load_from=str(written["resume_iter_7.pth"]), resume=True)
    resumed = run(tmp_path / "resumed", **start)
    resumed._train_dataloader["batch_size"] = 5
    indices = []

    class Note(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.epoch == 1:
                indices.append(batch_idx)

    resumed.register_hook(Note())
    resumed.train()
    assert indices == [2, 3]  # of four batches of 5, behind 12 images: the last 6 of 16


def test_gradients_that_wait_for_others_are_in_no_checkpoint(written, tmp_path):
    accumulated = dict(wrapper=dict(accumulative_counts=2))
    run(tmp_path / "run", checkpoint=dict(iters=3, **RARE), **accumulated).train()
    assert [*written] == [f"resume_iter_{number}.pth" for number in (4, 6, 10, 12)]


def test_training_goes_on_while_one_thread_writes(tmp_path, monkeypatch):
    write, go_on, at_work, passed = DurableBackend.write, threading.Event(), [], []

    def slow(self, content, path):
        at_work.append(path.name)
        assert len(at_work) == 1
        assert go_on.wait(60)
        write(self, content, path)
        at_work.remove(path.name)

    monkeypatch.setattr(DurableBackend, "write", slow)

    def release() -> None:
        passed.append((*at_work,))
        go_on.set()

    run(tmp_path, [Do(4, release)], checkpoint=dict(iters=2)).train()
    assert passed == [("resume_iter_2.pth",)]
    assert (tmp_path / "epoch_3.pth").is_file()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_ends_the_run_with_its_status(number, tmp_path):
    before = signal.getsignal(number)
    kill = Do(6, lambda: os.kill(os.getpid(), number))
    with pytest.raises(SystemExit) as ended:
        run(tmp_path / "run", [kill]).train()
    assert ended.value.code == PREEMPTED == 75
    assert signal.getsignal(number) is before
    assert (tmp_path / "run" / "last_checkpoint").read_text().endswith("resume_iter_6.pth")
    run(tmp_path / "run", resume=True).train()
    run(tmp_path / "whole").train()
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert not [*(tmp_path / "run").glob("resume*")]


def outlive(owner: int, ready) -> None:
    _outlive_signals(None, owner, 0)
    ready.set()
    time.sleep(60)


@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_a_loaders_worker_ends_by_a_signal_of_its_own_process_alone(start):
    context = torch.multiprocessing.get_context(start)
    ready = context.Event()
    worker = context.Process(target=outlive, args=(os.getpid(), ready))
    worker.start()
    assert ready.wait(60)
    subprocess.run(["kill", "-TERM", str(worker.pid)], check=True)
    worker.join(0.5)
    assert worker.is_alive()
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0


def test_inside_epochs_they_need_the_hook_that_resumes_there(tmp_path):
    with pytest.raises(LaunchError, match="set default_hooks.draws.type=mmspec.RepeatableDraws"):
        toy_run(tmp_path, schedule=SCHEDULE, epochs=1, checkpoint=dict(iters=3)).train()


@pytest.mark.parametrize("name", ["minutes", "iters"])
def test_nothing_is_not_a_time(name):
    with pytest.raises(ValueError, match=f"{name}=0, must be more than 0"):
        DurableCheckpointHook(**{name: 0})


def test_a_shorter_training_than_the_checkpoint_is_refused(written, tmp_path):
    run(tmp_path / "whole", checkpoint=dict(iters=1, **RARE)).train()
    start = dict(load_from=str(written["resume_iter_6.pth"]), resume=True)
    with pytest.raises(LaunchError, match="is of epoch 2, and training ends at 1"):
        run(tmp_path / "resumed", epochs=1, **start).train()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_process_forked_by_a_run_that_listens_ends_on_a_signal(tmp_path, number):
    signals = StopSignals()
    signals.listen(run(tmp_path))
    forking = multiprocessing.get_context("fork")
    begun = forking.Event()
    child = forking.Process(target=lambda: (begun.set(), time.sleep(60)))
    child.start()
    try:
        assert begun.wait(20)  # Python drops a signal of a process that is just being forked
        os.kill(child.pid, number)
        child.join(20)
        assert child.exitcode == -number
        assert not signals.received
    finally:
        child.kill()
        signals.ignore()


def test_a_signal_during_an_agreement_is_for_the_next(monkeypatch):
    signals = StopSignals()
    arriving = [signal.SIGTERM]

    def all_reduce(received, op):
        while arriving:
            signals._note(arriving.pop(), None)

    monkeypatch.setattr("mmspec.engine.preemption.get_world_size", lambda: 2)
    monkeypatch.setattr("mmspec.engine.preemption.all_reduce", all_reduce)
    answers = [signals.agreed() for _ in range(2 * STEPS)]
    assert answers == [False] * (2 * STEPS - 1) + [True]
    assert signals.received == signal.SIGTERM
