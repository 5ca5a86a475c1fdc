"""How a tool ends: faults in one line, Ctrl-C with the way to go on."""

import argparse
import ctypes
import shlex
import signal

import pytest
from mmengine.config import Config

from mmspec.datasets import UnreadableImageError
from mmspec.engine.config_faults import naming_faults
from mmspec.engine.launch import LaunchError
from mmspec.explain import KeyValueAction, command_to_resume, explained

WORKER = """Caught {kind} in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "worker.py", line 3, in _worker_loop
    raise error
{kind}: a.png: cut short"""


def end(error: BaseException, capsys) -> tuple[int, str]:
    """Exit status and last line of a tool that meets an error."""
    with pytest.raises(SystemExit) as ended, explained(argparse.ArgumentParser(prog="tool")):
        raise error
    return ended.value.code, capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LaunchError("no config x.py"), "no config x.py"),
        (FileNotFoundError(2, "No such file", "a.json"), "[Errno 2] No such file: 'a.json'"),
        (PermissionError(13, "Permission denied", "/out"), "[Errno 13] Permission denied: '/out'"),
        (FloatingPointError("loss is nan"), "loss is nan"),
        (
            UnreadableImageError(WORKER.format(kind="mmspec.image_io.UnreadableImageError")),
            "a.png: cut short",
        ),
        (FileNotFoundError(WORKER.format(kind="FileNotFoundError")), "a.png: cut short"),
    ],
)
def test_what_a_user_can_mend_is_one_line(error, line, capsys):
    with pytest.raises(SystemExit) as ended, explained(argparse.ArgumentParser(prog="tool")):
        raise error
    assert (ended.value.code, capsys.readouterr().err) == (2, f"tool: error: {line}\n")


def test_other_errors_keep_their_traceback():
    with pytest.raises(ValueError, match="a bug"), explained(argparse.ArgumentParser()):
        raise ValueError("a bug")


def test_ctrl_c_that_a_library_turned_into_another_error(capsys):
    try:
        try:
            raise KeyboardInterrupt
        except BaseException as error:  # as mmengine does where it formats a config
            raise SyntaxError("failed to format") from error
    except SyntaxError as error:
        turned = error
    assert end(turned, capsys) == (130, "Interrupted")


def test_ctrl_c_ends_with_its_status(capsys, monkeypatch):
    assert end(KeyboardInterrupt(), capsys) == (130, "Interrupted")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as ended, explained(argparse.ArgumentParser()):
        raise KeyboardInterrupt
    assert ended.value.code == 130 and capsys.readouterr().err == ""


def test_ctrl_c_that_is_pending_when_another_process_is_gone(capsys):
    interrupt = ctypes.CDLL(None)["raise"]
    tool = explained(argparse.ArgumentParser(), lambda: "Interrupted. To go on: --resume")
    with pytest.raises(SystemExit) as ended, tool, naming_faults(Config()):
        # A signal, then an error, in one call of C: Python heeds the signal in its next function,
        # which is no longer one of the block.
        sum(map(interrupt, [signal.SIGINT]), None)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "\nInterrupted. To go on: --resume\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("c.py", "c.py --resume"),
        ("c.py --resume", "c.py --resume"),
        ("c.py --resume --amp", "c.py --amp --resume"),
        ("c.py --resume old/iter_2.pth --amp", "c.py --amp --resume"),
        ("c.py --resume=old/iter_2.pth", "c.py --resume"),
        ("c.py --cfg-options 'a=[1, 2]' b=3", "c.py --cfg-options 'a=[1, 2]' b=3 --resume"),
    ],
)
def test_the_command_that_goes_on(given, told, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", *shlex.split(given)])
    (tmp_path / "best_acc_iter_4.pth").touch()
    assert "before the first checkpoint" in command_to_resume(str(tmp_path))
    (tmp_path / "iter_4.pth").touch()
    assert command_to_resume(str(tmp_path)).splitlines()[-1] == f"  python train.py {told}"


def test_options_keep_blanks_and_say_what_they_take(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="+", action=KeyValueAction, default={})
    given = ["ann_file=my list.txt", "size=(64, 32)", "a=b=c"]
    options = dict(ann_file="my list.txt", size=(64, 32), a="b=c")
    assert parser.parse_args(["--options", *given]).options == options
    for fault, line in (("modality", "takes KEY=VALUE"), ("a=[dict(b=1, c=2)]", "KEY.NAME=VALUE")):
        with pytest.raises(SystemExit):
            parser.parse_args(["--options", fault])
        assert line in capsys.readouterr().err
