"""``python -m mmspec COMMAND``."""

from pathlib import Path

import pytest
from processes import run

from mmspec.__main__ import COMMANDS
from mmspec.installed import tools_folder

REPO = Path(__file__).resolve().parents[2]


def test_commands_are_the_tools_of_the_clone():
    assert tools_folder() == REPO / "tools"
    tools = {name: REPO / "tools" / tool for name, tool in COMMANDS.items()}
    assert [name for name, tool in tools.items() if not tool.is_file()] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: python -m mmspec {train,test,predict,"),
        (["predic"], "error: no command 'predic'"),
        (["predict", "config.py"], "predict.py: error: the following arguments are required"),
        (["check"], "check_dataset.py: error: "),
    ],
)
def test_what_is_missing_is_said(arguments, message):
    done = run("-m", "mmspec", *arguments)
    assert done.returncode != 0 and message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_of_a_command_is_its_tools():
    done = run("-m", "mmspec", "predict", "--help")
    assert done.returncode == 0 and "--score-thr" in done.stdout
    assert "python -m mmspec COMMAND --help" in run("-m", "mmspec", "--help").stdout
