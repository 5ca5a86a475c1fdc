"""How the tools end when something is wrong: one message that names it, not a stack trace."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Exit status of a command that Ctrl-C ended, as a shell gives it.
INTERRUPTED = 130


@contextmanager
def explained(parser: argparse.ArgumentParser) -> Iterator[None]:
    """End the program with a message: status 2 for what a user can mend, 130 after Ctrl-C.

    What a user can mend are the errors of mmspec's own classes, a missing file, and a loss that is
    no number: their messages name what is at fault and the way out.
    """
    try:
        yield
    except KeyboardInterrupt:
        parser.exit(INTERRUPTED, _by_one_process("Interrupted"))
    except Exception as error:
        kind = type(error)
        if kind.__module__.partition(".")[0] != "mmspec" and not isinstance(
            error, FileNotFoundError | FloatingPointError
        ):
            raise
        # That of a loader's worker holds the worker's traceback, which ends with the message.
        parser.error(str(error).rpartition(f"{kind.__name__}: ")[2].strip())


def command_to_resume(work_dir: str) -> str:
    """How to go on after Ctrl-C: this process's command line with ``--resume``."""
    from mmspec.checkpoints.work_dir import saved_checkpoints

    if not saved_checkpoints(work_dir):
        return _by_one_process("Interrupted before the first checkpoint: nothing to resume")
    if "--launcher" in sys.argv:
        return _by_one_process("Interrupted. To go on: the same command with --resume")
    given = [part for part in sys.argv if not part.startswith("--resume=")]
    if "--resume" in given:
        place = given.index("--resume")
        file = [part for part in given[place + 1 : place + 2] if not part.startswith("-")]
        del given[place : place + 1 + len(file)]
    command = shlex.join(["python", *given, "--resume"])
    return _by_one_process(f"Interrupted. To go on:\n  {command}")


def _by_one_process(message: str) -> str:
    """The message, for the first of several processes."""
    return f"\n{message}\n" if os.environ.get("RANK", "0") == "0" else ""
