import json
import signal
from pathlib import Path


def losses(work_dir: Path) -> dict[int, float]:
    """Loss by iteration of all runs in a work directory, later runs over earlier ones."""
    result = {}
    for path in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            result[entry["step"]] = entry["loss"]
    return result


def test_a_run_killed_in_an_epoch_resumes_as_if_it_had_not_stopped(tiny_config, train, tmp_path):
    # Losses as they are, not averaged over a window.
    options = ("--cfg-options", "log_processor.window_size=1")
    whole = train(tiny_config, tmp_path / "whole", *options)
    output, _ = whole.communicate(timeout=120)
    assert whole.returncode == 0, output
    expected = losses(tmp_path / "whole")
    assert len(expected) == 24

    killed = train(tiny_config, tmp_path / "killed", *options)
    for line in killed.stdout:
        if "Epoch(train) [3][2/6]" in line:
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "killed" / "last_checkpoint").read_text().endswith("epoch_2.pth")

    resumed = train(tiny_config, tmp_path / "killed", "--resume", *options)
    output, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, output
    found = losses(tmp_path / "killed")
    assert {step: found[step] for step in range(13, 25)} == {
        step: expected[step] for step in range(13, 25)
    }


def test_a_run_by_iterations_resumes_as_if_it_had_not_stopped(
    iteration_config, train, recorded, tmp_path
):
    whole = train(iteration_config, tmp_path / "whole")
    output, _ = whole.communicate(timeout=120)
    assert whole.returncode == 0, output
    expected = recorded(tmp_path / "whole")
    assert [*expected] == [*range(9)]
    # No iteration sees what another saw, though each of the seven scenes returns.
    assert len({entry["draw"] for entry in expected.values()}) == 9
    samples = [tuple(sample) for entry in expected.values() for sample in entry["samples"]]
    assert len({*samples}) == 18 and len({path for path, _ in samples}) == 7

    killed = train(iteration_config, tmp_path / "killed", "--cfg-options",
                   "default_hooks.logger.interval=1")  # fmt: skip
    for line in killed.stdout:
        if "Iter(train) [5/9]" in line:
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait(timeout=60)
    assert (tmp_path / "killed" / "last_checkpoint").read_text().endswith("iter_3.pth")
    (tmp_path / "killed" / "rank0.jsonl").unlink()

    # Another number of workers, too.
    resumed = train(iteration_config, tmp_path / "killed", "--resume", "--cfg-options",
                    "train_dataloader.num_workers=1")  # fmt: skip
    output, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, output
    found = recorded(tmp_path / "killed")
    assert found == {step: expected[step] for step in range(3, 9)}
