"""The runner of the tables: what it trains, keeps, resumes and prints. Trainings are stood in."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from mmspec.launch import read_config

REPO = Path(__file__).resolve().parents[2]
TABLES = {p.stem: runpy.run_path(str(p)) for p in (REPO / "tools" / "tables").glob("*.py")}

TABLE = """
TITLE, METRIC = "A table", "mIoU"
PRETRAIN = {"encoder": dict(config="pre.py", options=[], checkpoint="epoch_1.pth")}
ROW = dict(config="fine.py", options=["a=1"], checkpoint="iter_2.pth")
BUDGETS = {"cpu": dict(seeds=(0, 1), rows=[
    dict(name="scratch", pretrain=None, paper=56.5, **ROW),
    dict(name="ours, long", pretrain="encoder", paper=None, **ROW),
])}
"""


@pytest.fixture
def reproduce(tmp_path, monkeypatch):
    """The tool with a table of two rows; its commands are recorded, and leave what they should."""
    tool = runpy.run_path(str(REPO / "tools" / "reproduce.py"))
    scope = tool["main"].__globals__
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "toy.py").write_text(TABLE)
    commands: list[list[str]] = []

    def stand_in(command, log):
        commands.append(command[1:])
        if "broken" in scope and len(commands) == scope["broken"]:
            raise scope["Failed"]("exit status 1")
        if "--out" in command:
            seed = 10 * len(commands)
            Path(command[command.index("--out") + 1]).write_text(json.dumps({"mIoU": seed}))
        else:
            work_dir = Path(command[command.index("--work-dir") + 1])
            work_dir.mkdir(parents=True, exist_ok=True)
            name = "epoch_1.pth" if "pre.py" in command else "iter_2.pth"
            (work_dir / name).touch()

    scope.update(TABLES=tmp_path / "tables", run=stand_in)

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
    encoder = reproduce.out / "cpu" / "encoder" / "epoch_1.pth"
    assert f"model.backbone.init_cfg.checkpoint={encoder}" in commands[3]
    assert {"a=1", "randomness.seed=0"} <= set(commands[0])
    assert "randomness.seed=1" in commands[5] and "--resume" in commands[5]

    text = (reproduce.out / "toy-cpu.md").read_text()
    assert text in capsys.readouterr().out
    # Values are ten times the number of the command: 20 and 70, 50 and 90.
    assert "| scratch | 56.5 | 45.00 ± 35.36 (n=2) | 20.00 | 70.00 |" in text
    assert "| ours, long | - | 70.00 ± 28.28 (n=2) | 50.00 | 90.00 |" in text
    content = json.loads((reproduce.out / "toy-cpu.json").read_text())
    cell = content["rows"][1]["cells"]["1"]
    assert cell["metrics"] == {"mIoU": 90}
    assert cell["command"].startswith("python tools/train.py fine.py --work-dir")
    assert cell["commit"]

    assert reproduce() == []  # all is done


def test_a_failed_cell_is_named_and_the_others_are_run(reproduce):
    reproduce.scope["broken"] = 1
    with pytest.raises(SystemExit, match="scratch, seed 0: exit status 1"):
        reproduce()
    text = (reproduce.out / "toy-cpu.md").read_text()
    assert "| scratch | 56.5 |" in text and "(n=1) | not run |" in text
    del reproduce.scope["broken"]
    assert [c[0] for c in reproduce()] == ["tools/train.py", "tools/test.py"]


def test_a_dry_run_and_chosen_rows(reproduce, capsys):
    assert reproduce("--dry-run") == []
    assert "| scratch | 56.5 | not run | not run | not run |" in capsys.readouterr().out
    assert {c[1] for c in reproduce("--rows", "scratch")} == {"fine.py"}


def test_an_interrupted_test_is_not_trained_again(reproduce):
    reproduce.scope["broken"] = 2
    with pytest.raises(SystemExit):
        reproduce("--rows", "scratch")
    del reproduce.scope["broken"]
    assert [c[0] for c in reproduce("--rows", "scratch")] == ["tools/test.py"]


def test_the_end_of_the_log_is_shown(tmp_path):
    tool = runpy.run_path(str(REPO / "tools" / "reproduce.py"))
    command = [sys.executable, "-c", "raise SystemExit('the dog ate it')"]
    with pytest.raises(tool["Failed"], match=r"(?s)exit status 1.*log.txt.*the dog ate it"):
        tool["run"](command, tmp_path / "log.txt")


@pytest.mark.parametrize("task", TABLES)
def test_every_row_of_every_table_names_a_config_and_options_that_it_has(task):
    table = TABLES[task]
    assert set(table["BUDGETS"]) == {"cpu", "gpu", "paper"}
    entries = dict(table["PRETRAIN"])
    for name, budget in table["BUDGETS"].items():
        rows = budget["rows"]
        assert len({row["name"] for row in rows}) == len(rows)
        entries |= {f"{name}: {row['name']}": row for row in rows}
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
