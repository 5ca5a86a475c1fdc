"""The runner of the tables: what it trains, keeps, resumes and prints. Trainings are stood in."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmspec.launch import read_config

REPO = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(REPO / "tools" / "reproduce.py"))
TABLES = {task: TOOL["read_table"](task) for task in TOOL["tasks"]()}

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
            name = "epoch_1.pth" if "pre.py" in command else "iter_2.pth"
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
    assert cell["metrics"] == {"mIoU": 90, "IoU/car": 91}
    assert cell["command"].startswith("python tools/train.py fine.py --work-dir")
    assert cell["commit"]

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
    assert capsys.readouterr().out.count("python tools/train.py") == 2
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
    assert set(table["BUDGETS"]) == {"cpu", "gpu", "paper"}
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
        cfg = read_config(str(REPO / entry["config"]))
        options = dict(option.split("=", 1) for option in entry["options"])
        for key, value in options.items():
            node = cfg.to_dict()
            for part in key.split("."):
                node = node[int(part) if part.isdigit() else part]
            assert node is not None, f"{name}: {key}={value}"
        last = entry["checkpoint"].removesuffix(".pth")
        kind, number = last.split("_")
        loop = {"iter": "max_iters", "epoch": "max_epochs"}[kind]
        asked = options.get(f"train_cfg.{loop}", cfg.train_cfg.get(loop))
        assert int(asked) == int(number), name
