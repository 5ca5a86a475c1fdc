import json
import os
import signal
from pathlib import Path

import pytest
from processes import REPO, run

from mmspec.checkpoints.work_dir import saved_checkpoints


def losses(work_dir: Path) -> dict[int, float]:
    """Loss by iteration of all runs in a work directory, later runs over earlier ones."""
    result = {}
    for path in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            result[entry["step"]] = entry["loss"]
    return result


@pytest.mark.parametrize("packed", [False, True])
def test_a_run_killed_in_an_epoch_resumes_as_if_it_had_not_stopped(
    packed, tiny_config, train, trained, tmp_path
):
    # Losses as they are, not averaged over a window.
    options = (
        *("--cfg-options", "log_processor.window_size=1"),
        "default_hooks.checkpoint.iters=2",
    )
    if packed:
        pack = REPO / "tools" / "dataset_converters" / "pack_corpus.py"
        images = [tiny_config.parent / "images", "--out", tmp_path / "packed", "--workers", "1"]
        done = run(pack, *images)
        assert done.returncode == 0, done.output
        data = dict(type="mmspec.PackedInfrared", data_root=tmp_path / "packed")
        options += tuple(f"train_dataloader.dataset.{key}={data[key]}" for key in data)
    trained(tiny_config, tmp_path / "whole", *options)
    expected = losses(tmp_path / "whole")
    assert len(expected) == 24

    (killed,) = train(tiny_config, tmp_path / "killed", *options)
    killed.until(r"Epoch\(train\) \[3\]\[5/6\]")
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait().returncode == -signal.SIGKILL

    # The 16th iteration's may not have been written whole; that of the 14th was, before it began.
    newest = saved_checkpoints(tmp_path / "killed")[0].name
    assert newest in ("resume_iter_14.pth", "resume_iter_16.pth")
    seen = int(newest[12:14]) - 12
    output = trained(tiny_config, tmp_path / "killed", "--resume", *options)
    assert f"Going on in epoch 3, after {seen} of 6 batches" in output
    assert losses(tmp_path / "killed") == expected


def test_a_run_by_iterations_resumes_as_if_it_had_not_stopped(
    iteration_config, train, trained, recorded, tmp_path
):
    trained(iteration_config, tmp_path / "whole")
    expected = recorded(tmp_path / "whole")
    assert [*expected] == [*range(9)]
    # No iteration sees what another saw, though each of the seven scenes returns.
    assert len({entry["draw"] for entry in expected.values()}) == 9
    samples = [tuple(sample) for entry in expected.values() for sample in entry["samples"]]
    assert len({*samples}) == 18 and len({path for path, _ in samples}) == 7

    (killed,) = train(iteration_config, tmp_path / "killed", "--cfg-options",
                      "default_hooks.logger.interval=1")  # fmt: skip
    killed.until(r"Iter\(train\) \[7/9\]")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    # The 6th iteration's may not have been written whole; that of the 3rd was, before it began.
    newest = saved_checkpoints(tmp_path / "killed")[0].name
    assert newest in ("iter_3.pth", "iter_6.pth")
    begin = int(newest[5])
    (tmp_path / "killed" / "rank0.jsonl").unlink()

    # Another number of workers, too.
    trained(iteration_config, tmp_path / "killed", "--resume", "--cfg-options",
            "train_dataloader.num_workers=1")  # fmt: skip
    found = recorded(tmp_path / "killed")
    assert found == {step: expected[step] for step in range(begin, 9)}
