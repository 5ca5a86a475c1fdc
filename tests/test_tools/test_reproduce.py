"""The runner of the tables: what it trains, keeps, resumes and prints. Trainings are stood in."""

import dataclasses
import functools
import json
import re
import runpy
import socket
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmspec.engine.launch import read_config
from mmspec.registry import MODELS

REPO = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(REPO / "tools" / "reproduce.py"))
TABLES = {task: TOOL["read_table"](task) for task in TOOL["tasks"]()}
config_of = functools.cache(lambda name: read_config(str(REPO / name)))

TABLE = """
PRETRAIN = {"encoder": dict(config="pre.py", options=[], checkpoint="epoch_1.pth")}
ROW = dict(config="fine.py", options=["a=1"], checkpoint="iter_2.pth")
BUDGETS = {"cpu": dict(seeds=(0, 1), tables=[dict(
    name="data", title="A table", metrics={"mIoU": "mIoU", "IoU/car": "Car"}, rows=[
        dict(name="scratch", pretrain=None, paper={"mIoU": 56.5}, **ROW),
        dict(name="ours, long", pretrain="encoder", paper={}, **ROW),
    ],
)])}
"""


#: A row without a training, one that scores its training in another way.
SCORED = """
PRETRAIN = {"encoder": dict(config="pre.py", options=[], checkpoint="epoch_1.pth")}
def row(name, config, pretrain, **more):
    score = dict(
        command=["score.py", "{weights}", "--seed", "{seed}", "--out", "{metrics}"],
        read=lambda found: {"MMA": found["mIoU"] + 0.5},
    )
    return dict(name=name, config=config, options=[], checkpoint="iter_2.pth", pretrain=pretrain,
                paper={}, score=score, **more)
BUDGETS = {"cpu": dict(seeds=(0, 1), tables=[dict(
    name="data", title="A table", metrics={"MMA": "MMA"}, rows=[
        row("as it is", None, None, seeds=(0,)),
        row("frozen", None, "encoder"),
        row("head", "fine.py", None),
    ],
)])}
"""


#: A pre-training for each seed, and two rows of what one command finds out about it.
PROBED = """
PRETRAIN = {"encoder": dict(config="seeded.py", options=[], checkpoint="epoch_1.pth")}
def row(name, of, pretrain="encoder"):
    score = dict(
        command=["probe.py", "{weights}", "--first-seed", "{seed}", "--to", "{folder}"],
        file="results.json",
        read=lambda found: {f"{name}: mIoU": value for name, value in found.items()},
    )
    return dict(name=name, config=None, options=[], pretrain=pretrain, seeded=True, paper={},
                of=of, cell=("probe", pretrain or ""), score=score)
BUDGETS = {"cpu": dict(seeds=(0, 1), tables=[dict(
    name="data", title="A table", metrics={"mIoU": "mIoU"}, rows=[
        row("ours, first", "F1: "), row("ours, second", "F2: "), row("none", "F1: ", None),
        row("no such map", "F3: "),
    ],
)])}
"""


#: Two stages of pre-training, for four and for two GPUs.
STAGES = """
PRETRAIN = {
    "first": dict(config="mae_4xb64-2e.py", options=[], checkpoint="epoch_1.pth"),
    "second": dict(config="ours_2xb8-2e.py", options=[], checkpoint="epoch_1.pth", start="first"),
}
ROW = dict(config="fine.py", options=[], checkpoint="iter_2.pth", paper={})
BUDGETS = {"cpu": dict(seeds=(0,), tables=[dict(
    name="data", title="A table", notes=["What the paper says twice."], metrics={"mIoU": "mIoU"},
    rows=[
        dict(name="one stage", pretrain="first", encoder="model.encoder", **ROW),
        dict(name="two stages", pretrain="second", **ROW),
        dict(name="the same", pretrain="second", cell=("toy", "data", "two stages"), **ROW),
    ],
)])}
"""
FOR_GPUS = """
model = dict()
train_dataloader = dict(batch_size={batch})
optim_wrapper = dict(optimizer=dict(lr=1.0))
auto_scale_lr = dict(base_batch_size={images})
"""


@pytest.fixture
def reproduce(tmp_path, monkeypatch):
    """The tool with a table of two rows; its commands are recorded, and leave what they should."""
    tool = runpy.run_path(str(REPO / "tools" / "reproduce.py"))
    scope = tool["main"].__globals__
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "toy.py").write_text(TABLE)
    for name, text in (
        ("pre.py", "x = 1"),
        ("fine.py", "a = 0\nrandomness = dict()\nmodel = dict()"),
    ):
        (tmp_path / name).write_text(text)
    commands: list[list[str]] = []

    def stand_in(command, log):
        commands.append(command[1:])
        log.parent.mkdir(parents=True, exist_ok=True)
        if "broken" in scope and len(commands) == scope["broken"]:
            raise scope["Failed"]("exit status 1")
        if "--out" in command:
            value = 10 * len(commands)
            metrics = json.dumps({"mIoU": value, "IoU/car": value + 1})
            Path(command[command.index("--out") + 1]).write_text(metrics)
        else:
            work_dir = Path(command[command.index("--work-dir") + 1])
            work_dir.mkdir(parents=True, exist_ok=True)
            name = "iter_2.pth" if "fine.py" in command else "epoch_1.pth"
            torch.save({}, work_dir / name)
            (work_dir / "finished").write_text(name)

    scope.update(TABLES=tmp_path / "tables", ROOT=tmp_path, run=stand_in)
    scope["read_config"] = lambda path, options: Config.fromfile(path)

    def call(*options: str) -> list[list[str]]:
        commands.clear()
        arguments = ["reproduce.py", "toy", "--budget", "cpu", "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", [*arguments, *options])
        tool["main"]()
        return list(commands)

    call.scope, call.out = scope, tmp_path / "out"
    return call


def test_trains_every_cell_once_and_pretrains_once(reproduce, capsys):
    commands = reproduce()
    tools = [f"{c[0]} {c[1]}" for c in commands]
    train, test, pretrain = (
        "tools/train.py fine.py", "tools/test.py fine.py", "tools/train.py pre.py"
    )  # fmt: skip
    assert tools == [train, test, pretrain, train, test, train, test, train, test]
    (encoder,) = (reproduce.out / "cpu").glob("encoder-*/epoch_1.pth")
    assert f"model.backbone.init_cfg.checkpoint={encoder}" in commands[3]
    assert {"a=1", "randomness.seed=0"} <= set(commands[0])
    assert "randomness.seed=1" in commands[5]
    assert not any("--resume" in command for command in commands)  # there is nothing to resume
    # A test is of the configuration that was trained.
    assert set(commands[3][commands[3].index("--cfg-options") :]) <= set(commands[4])

    text = (reproduce.out / "toy-cpu.md").read_text()
    assert text in capsys.readouterr().out
    # Values are ten times the number of the command: 20 and 70, 50 and 90.
    assert "| row | seeds | mIoU | Car |" in text
    assert "| scratch | 2/2 | 45.00 ± 35.36 (56.5) | 46.00 ± 35.36 |" in text
    assert "| ours, long | 2/2 | 70.00 ± 28.28 | 71.00 ± 28.28 |" in text
    (table,) = json.loads((reproduce.out / "toy-cpu.json").read_text())
    cell = table["rows"][1]["seeds"]["1"]
    assert cell["metrics"].pop("minutes") > 0
    assert cell["metrics"].pop("minutes of pre-training") > 0
    assert cell["metrics"] == {"mIoU": 90, "IoU/car": 91}
    assert cell["command"].startswith("python tools/train.py fine.py --work-dir")
    (pretraining,) = cell["pretraining"]
    assert pretraining.startswith("python tools/train.py pre.py --work-dir")
    assert cell["commit"]
    assert table["notes"] == [
        "One pre-training serves all seeds (encoder): the spread is that of what follows it."
    ]
    assert table["notes"][0] in text

    assert reproduce() == []  # all is done
    # A row asked for does not make the others unknown.
    assert reproduce("--rows", "scratch") == []
    assert (reproduce.out / "toy-cpu.md").read_text() == text


def test_rows_without_a_training_and_with_a_test_of_their_own(reproduce, capsys):
    (reproduce.scope["TABLES"] / "toy.py").write_text(SCORED)
    commands = reproduce()
    (encoder,) = (reproduce.out / "cpu").glob("encoder-*/epoch_1.pth")
    heads = sorted((reproduce.out / "cpu" / "toy" / "data-head").glob("*/iter_2.pth"))
    scored = [command[1:4] for command in commands if command[0] == "score.py"]
    assert scored[:2] == [["", "--seed", "0"], [str(encoder), "--seed", "0"]]
    assert scored[3] == [str(encoder), "--seed", "1"]
    assert {scored[2][0], scored[4][0]} == set(map(str, heads)) and len(scored) == 5
    assert [command[0] for command in commands].count("tools/train.py") == 3
    text = capsys.readouterr().out
    assert "| as it is | 1/1 | 10.50 |" in text  # the first command
    assert "| frozen | 2/2 |" in text and "| head | 2/2 |" in text
    (table,) = json.loads((reproduce.out / "toy-cpu.json").read_text())
    assert table["rows"][0]["seeds"]["0"]["command"].startswith("python score.py  --seed 0 --out")
    assert table["rows"][2]["seeds"]["0"]["command"].startswith("python tools/train.py fine.py")
    assert reproduce() == []


def test_each_seed_pretrains_and_one_probe_of_it_fills_several_rows(reproduce, capsys):
    (reproduce.scope["TABLES"] / "toy.py").write_text(PROBED)
    (reproduce.scope["ROOT"] / "seeded.py").write_text("randomness = dict(seed=0)")
    reproduce.scope["read_config"] = read_config
    trained = reproduce.scope["run"]

    def stand_in(command, log):
        if command[1] != "probe.py":
            return trained(command, log)
        commands.append(command[1:])
        folder = Path(command[-1])
        (folder / "features").mkdir(parents=True)
        found = {"F1": len(commands), "F2": 10 * len(commands)}
        (folder / "results.json").write_text(json.dumps(found))

    commands: list[list[str]] = []
    reproduce.scope["run"] = stand_in
    pretrained = reproduce()
    assert [command[-1] for command in pretrained] == ["randomness.seed=0", "randomness.seed=1"]
    weights = [str(Path(c[c.index("--work-dir") + 1]) / "epoch_1.pth") for c in pretrained]
    assert [command[1:4] for command in commands] == [
        [weights[0], "--first-seed", "0"],
        ["", "--first-seed", "0"],
        [weights[1], "--first-seed", "1"],
        ["", "--first-seed", "1"],
    ]
    assert not list(reproduce.out.rglob("features"))
    text = capsys.readouterr().out
    assert "| ours, first | 2/2 | 2.00 ± 1.41 |" in text
    assert "| ours, second | 2/2 | 20.00 ± 14.14 |" in text
    assert "| none | 2/2 | 3.00 ± 1.41 |" in text
    assert "| no such map | 2/2 | - |" in text
    assert "F1: mIoU 1.00" in text
    (table,) = json.loads((reproduce.out / "toy-cpu.json").read_text())
    assert table["notes"] == []  # the spread is that of the whole
    assert table["rows"][0]["seeds"]["1"]["metrics"]["minutes of pre-training"] > 0
    assert reproduce() == [] and len(commands) == 4


def test_a_budget_that_a_table_does_not_have(reproduce):
    with pytest.raises(SystemExit, match="error: toy has the budgets cpu"):
        reproduce("--budget", "paper")


def test_what_the_tool_of_probes_writes_becomes_columns():
    read = TOOL["read_table"]("ablations")["recipe_tables"]()[0]["rows"][0]["score"]["read"]
    records = [
        dict(map=name, judge="linear", rolled=rolled, score="mIoU", mIoU=value)
        for name, rolled, value in (("F1", False, 50), ("F1", True, 45), ("F2", False, 60),
                                    ("F2", True, 40), ("all", False, 70))
    ]  # fmt: skip
    assert read(dict(results=records)) == {
        "F1: linear": 50,
        "F1: linear, no positions": 45,
        "F2: linear": 60,
        "F2: linear, no positions": 40,
        "all: linear": 70,
        "best: linear": 60,
        "best: linear, no positions": 45,
    }
    head = dict(map="F1", judge="head", rolled=False, score="IoU", shown=["IoU", "Fa"], IoU=1, Fa=2)
    found = read(dict(results=[head]))
    assert found == {"F1: IoU": 1, "F1: Fa": 2, "best: IoU": 1, "best: Fa": 2}


@pytest.fixture
def stages(reproduce):
    """The tool with a table whose pre-trainings are for several GPUs."""
    scope = reproduce.scope
    (scope["TABLES"] / "toy.py").write_text(STAGES)
    root = scope["ROOT"]
    (root / "mae_4xb64-2e.py").write_text(FOR_GPUS.format(batch=64, images=256))
    (root / "ours_2xb8-2e.py").write_text(FOR_GPUS.format(batch=8, images=16))
    scope["read_config"] = read_config
    return reproduce


def test_as_many_processes_as_the_config_is_for_stage_by_stage(stages, capsys):
    assert stages("--dry-run") == []
    shown = capsys.readouterr().out
    # All starts, before what follows them.
    assert re.findall(r"^\[(\S+ ?\S*)\] (.*) \.\.\. (\S+ \S+ \S+ \S+)", shown, re.MULTILINE) == [
        ("pre-training 1/2", "first", "bash tools/dist_train.sh mae_4xb64-2e.py 4"),
        ("pre-training 2/2", "second", "bash tools/dist_train.sh ours_2xb8-2e.py 2"),
        ("1/2", "data, one stage, seed 0", "python tools/train.py fine.py --work-dir"),
        ("2/2", "data, two stages, seed 0", "python tools/train.py fine.py --work-dir"),
    ]
    assert "second starts from first." in shown and "What the paper says twice." in shown

    commands = stages()
    started = [c[:3] for c in commands if "tools/test.py" not in c]
    assert started == [
        ["tools/dist_train.sh", "mae_4xb64-2e.py", "4"],
        ["tools/train.py", "fine.py", "--work-dir"],
        ["tools/dist_train.sh", "ours_2xb8-2e.py", "2"],
        ["tools/train.py", "fine.py", "--work-dir"],
    ]
    (first,) = (stages.out / "cpu").glob("first-*/epoch_1.pth")
    (second,) = (stages.out / "cpu").glob("second-*/epoch_1.pth")
    kind = "init_cfg.type=mmspec.PretrainedEncoder"
    assert "--cfg-options" not in commands[0]
    assert commands[1][-2:] == [
        f"model.encoder.{kind}",
        f"model.encoder.init_cfg.checkpoint={first}",
    ]
    assert commands[3][-2:] == [
        f"model.backbone.{kind}",
        f"model.backbone.init_cfg.checkpoint={first}",
    ]
    assert commands[4][-1] == f"model.backbone.init_cfg.checkpoint={second}"
    (table,) = json.loads((stages.out / "toy-cpu.json").read_text())
    cells = [row["seeds"]["0"] for row in table["rows"]]
    assert [len(cell["pretraining"]) for cell in cells] == [1, 2, 2]
    assert cells[1] == cells[2]  # one cell, in two rows
    assert stages() == []


def test_fewer_gpus_accumulate_the_gradients_of_the_same_batch(stages):
    commands = stages("--gpus", "1")
    assert [c[:2] for c in commands if "fine.py" not in c] == [
        ["tools/train.py", "mae_4xb64-2e.py"],
        ["tools/train.py", "ours_2xb8-2e.py"],
    ]
    assert commands[0][-1] == "optim_wrapper.accumulative_counts=4"
    assert commands[3][-1] == "optim_wrapper.accumulative_counts=2"
    text = (stages.out / "toy-cpu.md").read_text()
    assert "first: gradients of 4 steps accumulated, on 1 GPUs in place of 4." in text
    # Trained otherwise, it is another cell.
    commands = stages("--gpus", "2", "--rows", "one stage")
    assert commands[0][:3] == ["tools/dist_train.sh", "mae_4xb64-2e.py", "2"]
    assert commands[0][-1] == "optim_wrapper.accumulative_counts=2"
    with pytest.raises(SystemExit, match=r"--gpus 3: mae_4xb64-2e.py is for 4 GPUs of 64 images"):
        stages("--gpus", "3")


@pytest.mark.parametrize(
    ("options", "command"),
    [
        (["train_dataloader.batch_size=128"], ["tools/dist_train.sh", "mae_4xb64-2e.py", "2"]),
        (["optim_wrapper.accumulative_counts=4"], ["tools/train.py", "mae_4xb64-2e.py"]),
        (
            ["auto_scale_lr.enable=True", "train_dataloader.batch_size=48"],
            ["tools/dist_train.sh", "mae_4xb64-2e.py", "4"],
        ),
        (
            ["auto_scale_lr.enable=True", "optim_wrapper.accumulative_counts=4"],
            ["tools/dist_train.sh", "mae_4xb64-2e.py", "4"],
        ),
        (["train_dataloader.batch_size=48"], "no number of processes of 48 makes up"),
        (["train_dataloader.batch_size=512"], "no number of processes of 512 makes up"),
    ],
)
def test_the_images_a_step_are_those_of_the_rate_or_it_is_refused(stages, options, command):
    table = STAGES.replace("options=[], checkpoint", f"options={options}, checkpoint", 1)
    (stages.scope["TABLES"] / "toy.py").write_text(table)
    if isinstance(command, list):
        assert stages()[0][: len(command)] == command
    else:
        with pytest.raises(SystemExit, match=f"mae_4xb64-2e.py: .*{command}"):
            stages()


def test_a_machine_with_fewer_gpus_is_told_before_anything_starts(stages, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SystemExit, match="for 4 GPUs and this machine has 2: --gpus 2"):
        stages()
    assert not list(stages.out.rglob("*.pth"))


def test_weights_that_are_there_take_the_place_of_a_pretraining(stages, tmp_path, capsys):
    weights = tmp_path / "published.pth"
    weights.touch()
    commands = stages("--start", f"second={weights}")
    trained = [c[1] for c in commands if "train" in c[0]]
    assert trained == ["mae_4xb64-2e.py", "fine.py", "fine.py"]
    assert commands[3][-1] == f"model.backbone.init_cfg.checkpoint={weights}"
    assert f"second: the weights of {weights}, not trained here." in capsys.readouterr().out
    with pytest.raises(SystemExit, match="--start third: this table starts from first, second"):
        stages("--start", f"third={weights}")
    with pytest.raises(SystemExit):
        stages("--start", "second=no.pth")
    assert "--start second=no.pth: give NAME=FILE" in capsys.readouterr().err


def test_rows_of_single_seeds(reproduce):
    commands = reproduce("--rows", "scratch, seed 1", "ours, long, seed 0")
    trained = [c for c in commands if c[:2] == ["tools/train.py", "fine.py"]]
    assert [c[-1] for c in trained if "randomness.seed=1" in c] == ["randomness.seed=1"]
    (pretrained,) = (c for c in trained if "randomness.seed=0" in c)
    assert any(x.startswith("model.backbone.init_cfg.checkpoint=") for x in pretrained)
    assert len(trained) == 2
    with pytest.raises(SystemExit, match="--rows scratsh: in no row's name, such as data, "):
        reproduce("--rows", "scratch", "--rows", "scratsh")


def test_a_changed_config_is_another_cell(reproduce):
    assert len(reproduce("--rows", "scratch")) == 4
    config = reproduce.out.parent / "fine.py"
    config.write_text(config.read_text() + "\nb = 2")
    assert len(reproduce("--rows", "scratch")) == 4
    assert len(list((reproduce.out / "cpu" / "toy" / "data-scratch").iterdir())) == 4


def test_a_failed_cell_is_named_and_the_others_are_run(reproduce):
    reproduce.scope["broken"] = 1
    with pytest.raises(SystemExit, match="scratch, seed 0: exit status 1"):
        reproduce()
    text = (reproduce.out / "toy-cpu.md").read_text()
    assert "| scratch | 1/2 | 60.00 (56.5) | 61.00 |" in text
    del reproduce.scope["broken"]
    assert [c[0] for c in reproduce()] == ["tools/train.py", "tools/test.py"]


def test_a_dry_run_lists_what_is_to_do_and_runs_nothing(reproduce, capsys):
    assert reproduce("--dry-run") == []
    shown = capsys.readouterr().out
    assert "| scratch | not run | - (56.5) | - |" in shown
    assert shown.count("python tools/train.py fine.py") == 4
    reproduce("--rows", "scratch")
    for checkpoint in (reproduce.out / "cpu").rglob("*.pth"):
        checkpoint.unlink()
    capsys.readouterr()
    assert reproduce("--dry-run") == []  # nor is what was removed after a test trained again
    shown = capsys.readouterr().out
    assert shown.count("python tools/train.py fine.py") == 2
    assert shown.count("[pre-training 1/1] encoder ... python tools/train.py pre.py") == 1
    assert reproduce("--rows", "scratch") == []


def test_an_interrupted_test_is_not_trained_again(reproduce):
    reproduce.scope["broken"] = 2
    with pytest.raises(SystemExit):
        reproduce("--rows", "scratch")
    del reproduce.scope["broken"]
    assert [c[0] for c in reproduce("--rows", "scratch")] == ["tools/test.py"]


@pytest.mark.parametrize("fault", ["truncated", "not said to be finished"])
def test_a_training_is_finished_when_it_says_so_and_its_checkpoint_is_whole(reproduce, fault):
    reproduce.scope["broken"] = 2
    with pytest.raises(SystemExit):
        reproduce("--rows", "scratch")
    del reproduce.scope["broken"]
    (weights,) = (reproduce.out / "cpu").rglob("seed0-*/iter_2.pth")
    if fault == "truncated":
        weights.write_bytes(weights.read_bytes()[:100])
    else:
        (weights.parent / "finished").unlink()
    commands = reproduce("--rows", "scratch")
    assert [command[0] for command in commands] == ["tools/train.py", "tools/test.py"]
    assert commands[0][-1] == "--resume"
    assert "--resume" not in (weights.parent / "result.json").read_text()


def test_an_area_under_a_curve_keeps_its_digits():
    text = TOOL["_cell_text"]
    assert text([0.9866, 0.9912], 0.912) == "0.9889 ± 0.0033 (0.912)"
    assert text([0.5, 61.36], None) == "30.93 ± 43.03"


def test_what_a_metric_leaves_undefined_is_said():
    assert TOOL["_cell_text"]([None, 61.36], 57.0) == "undefined (57.0)"


def test_the_end_of_the_log_is_shown(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('the dog ate it')"]
    with pytest.raises(TOOL["Failed"], match=r"(?s)exit status 1.*log.txt.*the dog ate it"):
        TOOL["run"](command, tmp_path / "log.txt")


@pytest.mark.parametrize("task", TABLES)
def test_every_row_of_every_table_names_a_config_and_options_that_it_has(task):
    table = TABLES[task]
    known = ["cpu"] if task == "probe" else ["cpu", "gpu", "paper"]
    assert list(table["BUDGETS"]) == known
    entries = dict(table["PRETRAIN"])
    for name, budget in table["BUDGETS"].items():
        for part in budget["tables"]:
            rows = part["rows"]
            assert len({row["name"] for row in rows}) == len(rows)
            assert all(set(row["paper"]) <= set(part["metrics"]) for row in rows)
            for row in rows:
                assert row["config"] is not None or "score" in row
                if row["config"] is not None:
                    entries[f"{name}, {part['name']}: {row['name']}"] = row
            assert {row["pretrain"] for row in rows} - {None} <= set(table["PRETRAIN"])
    for name, entry in entries.items():
        cfg = config_of(entry["config"])
        options = dict(option.split("=", 1) for option in entry["options"])
        for key, value in options.items():
            node = cfg.to_dict()
            # Of what is probed, which another test builds, arguments that the file leaves out too.
            if not (name.startswith("probed-") and key.startswith(("model.", "optim_wrapper."))):
                for part in key.split("."):
                    node = node[int(part) if part.isdigit() else part]
            assert node is not None, f"{name}: {key}={value}"
        last = entry["checkpoint"].removesuffix(".pth")
        kind, number = last.split("_")
        loop = {"iter": "max_iters", "epoch": "max_epochs"}[kind]
        asked = options.get(f"train_cfg.{loop}", cfg.train_cfg.get(loop))
        assert int(asked) == int(number), name


@functools.cache
def plan(task: str, budget: str) -> list:
    """The cells of one seed."""
    chosen = TABLES[task]["BUDGETS"][budget]
    table = {**TABLES[task], "BUDGETS": {budget: {**chosen, "seeds": chosen["seeds"][:1]}}}
    return TOOL["plan"](task, table, budget, Path("out"))


BUDGETS = [(task, budget) for task, table in TABLES.items() for budget in table["BUDGETS"]]


@pytest.mark.parametrize(("task", "budget"), BUDGETS)
def test_no_row_is_trained_with_another_batch_than_its_rate_is_for(task, budget):
    checked = set()
    for cell in plan(task, budget):
        training = cell.training or cell.start
        while training is not None and training.folder not in checked:
            checked.add(training.folder)
            cfg = read_config(str(REPO / training.config), training.options)
            images = training.processes * cfg.train_dataloader.batch_size
            assert images == cfg.auto_scale_lr.base_batch_size, training.command
            if budget == "paper":
                gpus, batch = map(int, re.search(r"_(\d+)xb(\d+)-", training.config).groups())
                assert (training.processes, images) == (gpus, gpus * batch)
            training = training.start


def test_overrides_of_the_test_are_no_part_of_the_training():
    cell = dataclasses.replace(plan("irstd", "cpu")[0], test_options=["test_evaluator.x=1"])
    assert cell.test[-2:] == ["randomness.seed=0", "test_evaluator.x=1"]
    assert cell.training.command[-1] == "randomness.seed=0"


def test_mspecgene_starts_from_its_first_stage_in_every_row_of_the_paper():
    for cell in plan("rgbt", "paper"):
        stages = [command.split()[2:4] for command in cell.start.commands()]
        folder = "configs/pretrain"
        assert stages == [
            [f"{folder}/mae_vit-base-p16_8xb128-amp-coslr-400e_imagenet-thermal.py", "8"],
            [f"{folder}/mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k.py", "8"],
        ]
        assert cell.training.options[-1].startswith("model.backbone.backbone.init_cfg.checkpoint=")


def test_tables_4_to_8_share_the_row_of_tables_1_and_2():
    ablations = plan("ablations", "paper")
    tables = TABLES["ablations"]["BUDGETS"]["paper"]["tables"]
    for task, row in (("seg", "InfMAE, UperNet"), ("det", "InfMAE, Mask R-CNN")):
        (cell,) = (cell for cell in plan(task, "paper") if cell.row == row)
        shared = [tables[other.table]["name"] for other in ablations if other.folder == cell.folder]
        assert shared == [f"table {n} {task}" for n in range(4, 9)]


@pytest.mark.parametrize("budget", ["cpu", "gpu", "paper"])
def test_equal_cells_of_the_ablations_are_equal_trainings(budget):
    by_folder: dict[Path, tuple] = {}
    for cell in plan("ablations", budget):
        if cell.training is None:
            training = tuple(cell.test)
        else:
            training = (cell.training.config, cell.training.options)
        assert by_folder.setdefault(cell.folder, training) == training


@pytest.mark.parametrize("task", ["ablations", "probe"])
def test_every_encoder_that_is_probed_is_built_by_its_options(task):
    trainings = {c.start.folder: c.start for c in plan(task, "cpu") if c.start and not c.training}
    assert len(trainings) >= 5
    init_default_scope("mmpretrain")
    for training in trainings.values():
        cfg = read_config(str(REPO / training.config), training.options)
        model = MODELS.build(cfg.model)
        build_optim_wrapper(model, cfg.optim_wrapper)
        size = sum(weight.numel() for weight in model.backbone.parameters())
        assert 3e6 < size < 8e6, f"{training.command}: {size} parameters are not tiny"


#: A model of two numbers, trained by two processes and tested.
REAL = """
PRETRAIN = {"line": dict(config="line_2xb4-2e.py", options=[], checkpoint="epoch_2.pth")}
TEST = ["tools/test.py", "line_2xb4-2e.py", "{weights}", "--out", "{metrics}"]
BUDGETS = {"cpu": dict(seeds=(0,), tables=[dict(
    name="data", title="A table", metrics={"error": "error"}, rows=[
        dict(name="ours", config=None, options=[], pretrain="line", paper={},
             score=dict(command=TEST, read=lambda found: found)),
    ],
)])}
"""


def test_a_real_run_with_two_processes(tmp_path, monkeypatch, capsys):
    tools = runpy.run_path(str(REPO / "tests" / "test_package" / "test_tools.py"))
    tool = runpy.run_path(str(REPO / "tools" / "reproduce.py"))
    (tmp_path / "toy.py").write_text(REAL)
    (tmp_path / "line_task.py").write_text(tools["MODULE"])
    (tmp_path / "line_2xb4-2e.py").write_text(tools["CONFIG"])  # by its name alone
    (tmp_path / "tools").symlink_to(REPO / "tools")
    tool["main"].__globals__.update(ROOT=tmp_path, TABLES=tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PORT", str(free.getsockname()[1]))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{REPO}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    arguments = ["reproduce.py", "toy", "--budget", "cpu", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    tool["main"]()
    (log,) = (tmp_path / "out" / "cpu").glob("line-*/log.txt")
    # 16 samples, batches of 4: two steps for each of two processes.
    assert "Epoch(train) [1][2/2]" in log.read_text()
    assert re.search(r"\| ours \| 1/1 \| [\d.]+ \|", capsys.readouterr().out)


def test_given_files_of_one_folder_have_their_own_cells():
    folders = [
        {
            cell.folder
            for cell in TOOL["plan"](
                "rgbt", TABLES["rgbt"], "cpu", Path("out"), given={"infmae-tiny": Path(name)}
            )
            if cell.row == "InfMAE frozen"
        }
        for name in ("w/a.pth", "w/b.pth")
    ]
    assert all(folders) and not set.intersection(*folders)
