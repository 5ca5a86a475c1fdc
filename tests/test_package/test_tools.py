"""``tools/train.py`` and ``tools/test.py`` as a user runs them, on a model of two numbers."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest

REPO = Path(__file__).resolve().parents[2]
TOOLS = REPO / "tools"

# y = 2 x + 1, learnt by one linear layer.
MODULE = """
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS


@DATASETS.register_module()
class LineDataset(torch.utils.data.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        x = torch.tensor([index / 16.0])
        return dict(x=x, y=2 * x + 1)


@MODELS.register_module()
class LineModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def forward(self, x, y, mode):
        error = (self.line(x) - y).abs()
        return dict(loss=error.mean()) if mode == 'loss' else list(error)


@METRICS.register_module()
class MeanError(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [float(error) for error in data_samples]

    def compute_metrics(self, results):
        return dict(error=sum(results) / len(results))
"""
CONFIG = """
custom_imports = dict(imports=['line_task'])
model = dict(type='LineModel')
train_dataloader = dict(
    batch_size=4, num_workers=0,
    dataset=dict(type='LineDataset'), sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))
test_dataloader = {**train_dataloader, 'sampler': dict(type='DefaultSampler', shuffle=False)}
test_cfg = dict()
test_evaluator = dict(type='MeanError')
optim_wrapper = dict(type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=0.1))
train_cfg = dict(by_epoch=True, max_epochs=2)
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
randomness = dict(seed=0)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the config ``line.py``, where the commands run."""
    folder = tmp_path_factory.mktemp("line")
    (folder / "line_task.py").write_text(MODULE)
    (folder / "line.py").write_text(CONFIG)
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """Run a command in the folder; gives its output."""

    def call(*command, fails=False) -> str:
        result = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            # Processes on a machine with GPUs shall do here what they do without.
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(folder), str(REPO)]),
                "CUDA_VISIBLE_DEVICES": "-1",
                "PYTHON": sys.executable,
                "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert (result.returncode != 0) == fails, result.stdout
        return result.stdout

    return call


@pytest.fixture(scope="module")
def tool(folder):
    """As ``run`` with a tool, in a process that need not import the stack."""

    def call(name: str, *arguments, fails=False) -> str:
        program = processes.run(TOOLS / name, *arguments, cwd=folder, PYTHONPATH=str(folder))
        assert (program.returncode != 0) == fails, program.output
        return program.output

    return call


@pytest.fixture(scope="module")
def trained(run, folder) -> tuple[Path, str]:
    """Work directory and output of a training of two epochs, as ``mim`` starts it on a CPU."""
    output = run(sys.executable, TOOLS / "train.py", "line.py", "--device", "cpu")
    return folder / "work_dirs" / "line", output


def test_train(trained):
    work_dir, output = trained
    assert "No GPU: training in float32" in output
    assert (work_dir / "epoch_2.pth").is_file()


def test_resume(tool, trained):
    work_dir, _ = trained
    options = ["--resume", "--cfg-options", "train_cfg.max_epochs=3"]
    output = tool("train.py", "line.py", *options)
    assert "resumed epoch: 2, iter: 8" in output
    assert set(re.findall(r"Epoch\(train\) +\[(\d)\]", output)) == {"3"}
    assert (work_dir / "epoch_3.pth").is_file()


def test_test(run, folder, trained):
    work_dir, _ = trained
    options = ["--out", "metrics.json", "--work-dir", "tested"]
    run(sys.executable, TOOLS / "test.py", "line.py", work_dir / "epoch_2.pth", *options)
    assert 0 < json.loads((folder / "metrics.json").read_text())["error"] < 2
    assert (folder / "tested").is_dir()


def test_two_processes_without_a_gpu(run, folder):
    output = run(TOOLS / "dist_train.sh", "line.py", "2", "--work-dir", "both")
    assert "No GPU: the processes talk through gloo" in output
    assert "Epoch(train) [1][2/2]" in output  # 16 samples, 2 processes of batch 4
    assert (folder / "both" / "epoch_2.pth").is_file()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("train.py", ["no.py"], "train.py: error: no config file no.py"),
        (
            "train.py",
            [str(REPO / "configs/_base_/models/mae_vit-base.py")],
            "mae_vit-base.py has no train_dataloader",
        ),
        ("train.py", ["line.py", "--resume", "no.pth"], "--resume: no checkpoint no.pth"),
        ("train.py", ["line.py", "--gpus", "2"], "--gpus 2 needs --launcher pytorch"),
        ("train.py", ["line.py", "--auto-scale-lr"], "has no auto_scale_lr"),
        ("train.py", ["line.py", "--resume", "--work-dir", "typo"], "--resume: no folder typo"),
        (
            "train.py",
            ["line.py", "--resume", "--work-dir", "empty"],
            "to resume: no epoch_N.pth",
        ),
        (
            "train.py",
            ["line.py", "--iters", "9"],
            "line.py trains for max_epochs=2; give --epochs",
        ),
        ("train.py", ["line.py", "--epochs", "0"], "--epochs 0: train for at least 1"),
        ("train.py", ["line.py", "--epochs", "1", "--iters", "9"], "not allowed with argument"),
        ("test.py", ["line.py", "no.pth"], "test.py: error: no checkpoint no.pth"),
        ("test.py", ["line.py", "no.pth", "--out", "x.txt"], ".json holds the metrics"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(tool, name, arguments, message):
    output = tool(name, *arguments, fails=True)
    assert message in output.splitlines()[-1]
    assert "Traceback" not in output


def test_a_damaged_checkpoint_is_tested_in_one_line_too(tool, folder, trained):
    file = folder / "cut.pth"
    file.write_bytes((trained[0] / "epoch_1.pth").read_bytes()[:-50])
    output = tool("test.py", "line.py", "cut.pth", fails=True)
    assert output.splitlines()[-1].endswith("checkpoint cut.pth is cut short or damaged")
    assert "Traceback" not in output


@pytest.mark.parametrize("launched", [False, True])
def test_ctrl_c_says_how_to_resume(folder, launched):
    given = ["line.py", "--work-dir", "stopped here", "--cfg-options", "train_cfg.max_epochs=9999"]
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"] if launched else []
    )
    program = processes.Program(
        *[*launcher, TOOLS / "train.py", *given, *(["--launcher", "pytorch"] if launched else [])],
        cwd=folder,
        PYTHONPATH=os.pathsep.join([str(folder), str(REPO)]),
    )
    program.until(r"Epoch\(train\) +\[ *3\]")
    os.killpg(program.pid, signal.SIGINT)  # as a terminal does
    output = program.wait().output
    if launched:
        assert "Interrupted. To go on: the same command with --resume" in output, output
        assert output.count("Interrupted.") == 1
        return
    assert program.returncode == 130
    assert "Traceback" not in output
    *_, line = output.strip().splitlines()
    assert shlex.split(line) == ["python", str(TOOLS / "train.py"), *given, "--resume"]


def test_loaders_without_workers(tool, folder):
    loader = (
        "num_workers=0, persistent_workers=True, prefetch_factor=2, timeout=9, pin_memory=True,"
    )
    text = (folder / "line.py").read_text().replace("num_workers=0,", loader)
    (folder / "no_workers.py").write_text(text)
    tool("train.py", "no_workers.py", "--epochs", "1")
    checkpoint = "work_dirs/no_workers/epoch_1.pth"
    tool("test.py", "no_workers.py", checkpoint)


@pytest.mark.parametrize("tool", ["train.py", "test.py"])
def test_help_is_quick_because_it_imports_nothing(tool):
    code = (
        "import runpy, sys; sys.argv = ['tool', '-h']\n"
        f"try: runpy.run_path({str(TOOLS / tool)!r}, run_name='__main__')\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert output.splitlines()[-1] == "False"
    # `mim train` passes its own --gpus on only to a tool whose help has it.
    assert ("--gpus" in output) == (tool == "train.py")


def test_resume_if_any(tool, folder):
    for epochs in ("1", "2"):
        command = ["line.py", "--work-dir", "any", "--resume", "if-any", "--epochs", epochs]
        output = tool("train.py", *command)
        assert ("A new training: there is no checkpoint" in output) == (epochs == "1")
        assert ("resumed epoch: 1, iter: 4" in output) == (epochs == "2")


def test_two_machines_one_of_which_is_preempted(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def start(rank: int) -> subprocess.Popen:
        options = ["train_cfg.max_epochs=9999", "default_hooks.checkpoint.interval=9999"]
        kinds = [f"default_hooks.{key}.type=mmspec.{kind}" for key, kind in (
            ("checkpoint", "DurableCheckpointHook"), ("draws", "RepeatableDrawsHook"))]  # fmt: skip
        command = [TOOLS / "dist_train.sh", "line.py", "1", "--work-dir", "two", "--cfg-options"]
        with open(folder / f"node{rank}.txt", "w") as output:
            return subprocess.Popen(
                [*map(str, command), *options, *kinds],
                cwd=folder,
                env={
                    **os.environ,
                    **dict(NNODES="2", NODE_RANK=str(rank), PORT=port, PYTHON=sys.executable),
                    **dict(CUDA_VISIBLE_DEVICES="-1", OMP_NUM_THREADS="1"),
                    "PYTHONPATH": os.pathsep.join([str(folder), str(REPO)]),
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    nodes = [start(rank) for rank in (0, 1)]
    outputs = [folder / f"node{rank}.txt" for rank in (0, 1)]
    end = time.monotonic() + 240
    while not re.search(r"Epoch\(train\) +\[ *3\]", outputs[0].read_text()):
        assert nodes[0].poll() is None and time.monotonic() < end, outputs[0].read_text()
        time.sleep(0.05)
    nodes[1].send_signal(signal.SIGTERM)
    codes = [node.wait(120) for node in nodes]
    assert codes == [75, 75], [output.read_text() for output in outputs]
    assert "SIGUSR1 after iteration" in outputs[0].read_text()
    (checkpoint,) = (folder / "two").glob("resume_iter_*.pth")
    assert (folder / "two" / "last_checkpoint").read_text().endswith(checkpoint.name)


FAKE = """#!/usr/bin/env bash
echo "$(basename "$0") $* (port ${MASTER_PORT:-none})" >>"$CALLS"
exit ${STATUS:-0}
"""


@pytest.mark.parametrize("status", [0, 1, 75])
def test_a_batch_job_of_slurm_is_queued_again_where_its_run_was_preempted(
    status, tmp_path, monkeypatch
):
    for name in ("srun", "sbatch", "scontrol"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    for name, value in dict(
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        CALLS=str(tmp_path / "calls"),
        REQUEUE="1",
        GPUS="16",
        PYTHON="python",
    ).items():
        monkeypatch.setenv(name, value)
    command = [str(TOOLS / "slurm_train.sh"), "part", "name", "config.py", "--amp"]
    assert subprocess.run(command).returncode == 0
    job = dict(MMSPEC_TOOLS="/tools", SLURM_JOB_ID="40007", STATUS=str(status))
    for restarts in ("0", "1"):
        env = {**os.environ, **job, "SLURM_RESTART_COUNT": restarts}
        assert subprocess.run(command, env=env).returncode == status
    submitted, *calls = (tmp_path / "calls").read_text().splitlines()
    assert submitted.startswith("sbatch --partition=part --job-name=name --gres=gpu:8 --ntasks=16")
    assert "--requeue" in submitted and "--signal=USR1@300" in submitted
    assert submitted.endswith("slurm_train.sh part name config.py --amp (port none)")
    train = "python -u /tools/train.py config.py --launcher slurm --amp"
    first, second = (call for call in calls if call.startswith("srun"))
    assert first.endswith(f"{train} (port 20007)")
    assert second.endswith(f"{train} --resume if-any (port 20007)")
    again = [call for call in calls if call.startswith("scontrol requeue 40007")]
    assert len(again) == (2 if status == 75 else 0)


@pytest.mark.parametrize("script", ["dist_train", "dist_test", "slurm_train", "slurm_test"])
def test_script_without_arguments_says_its_usage(run, script):
    assert run(TOOLS / f"{script}.sh", fails=True).startswith("usage: ")
