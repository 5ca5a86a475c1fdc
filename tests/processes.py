"""Programs in processes of their own which need not import the stack anew.

One process a session imports it; each program is a fork of that process, as
:mod:`multiprocessing`'s fork server makes them. Memory, signals, streams and the exit status are
the program's own. What a program imports, and in which order, is tested where a real process runs:
``test_package``, ``test_mim.py``, ``test_quickstart.py``.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import runpy
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["mmspec", "mmspec.engine.launch", "mmdet.apis", "mmseg.apis", "matplotlib.pyplot"]
)


class Program:
    """A running ``python COMMAND``: a script or ``-m MODULE``, then its arguments."""

    def __init__(self, *command: object, cwd: Path | None = None, **environment: str) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="program")
        words = [str(word) for word in command]
        # A machine with GPUs shall do here what one without does.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environment}
        arguments = (words, self.folder.name, str(cwd or Path.cwd()), environment)
        self.process = _FORKS.Process(target=_program, args=arguments)
        self.process.start()

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self.process.pid

    @property
    def stdout(self) -> str:
        """What was printed so far."""
        return self._read("stdout")

    @property
    def stderr(self) -> str:
        return self._read("stderr")

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def _read(self, name: str) -> str:
        path = Path(self.folder.name, name)
        return path.read_text() if path.exists() else ""

    def until(self, pattern: str, timeout: float = 300) -> None:
        """Wait until the program has printed what the pattern finds."""
        end = time.monotonic() + timeout
        while not re.search(pattern, self.stdout):
            assert self.process.is_alive() and time.monotonic() < end, self.output
            time.sleep(0.02)

    def wait(self, timeout: float = 300) -> Program:
        """Wait for the end; kills and fails after ``timeout`` seconds."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            os.killpg(self.pid, signal.SIGKILL)
            raise TimeoutError(self.output)
        return self

    @property
    def returncode(self) -> int | None:
        """As :mod:`subprocess` has it: minus the signal that ended the program."""
        return self.process.exitcode


def run(*command: object, cwd: Path | None = None, **environment: str) -> Program:
    """A program from its start to its end."""
    return Program(*command, cwd=cwd, **environment).wait()


def ranks(count: int, *command: object, **environment: str) -> list[Program]:
    """What torchrun starts on one machine: the program once a rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = dict(WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1", MASTER_PORT=port, **environment)
    return [
        Program(*command, RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in range(count)
    ]


def _program(words: list[str], folder: str, cwd: str, environment: Mapping[str, str]) -> None:
    os.setsid()
    for stream in (sys.stdout, sys.stderr):
        with open(Path(folder, stream.name.strip("<>")), "w") as file:
            os.dup2(file.fileno(), stream.fileno())
        stream.reconfigure(line_buffering=True)
    # A shell's background jobs ignore Ctrl-C, and so do their children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    module = words[0] == "-m"
    home = cwd if module else str(Path(words[0]).resolve().parent)
    shared = environment.get("PYTHONPATH", "").split(os.pathsep)
    installed = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix))]
    sys.path[:] = [home, *filter(None, shared), str(REPO), *installed]
    sys.argv = words[1:] if module else words
    if module:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")
