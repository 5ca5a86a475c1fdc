"""How the tools end when something is wrong: one message that names it, not a stack trace."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

#: Exit status of a command that Ctrl-C ended, as a shell gives it.
INTERRUPTED = 130


def key_values(options: Sequence[str]) -> dict:
    """What ``KEY=VALUE`` options set: as mmengine reads them, but words keep their blanks.

    Raises:
        ValueError: an option without ``=``, unpaired brackets, or a dict.
    """
    from mmengine.config import DictAction  # late, so that --help is quick

    for option in options:
        if "=" not in option:
            raise ValueError(f"takes KEY=VALUE, got '{option}'")
    parsed = argparse.Namespace()
    try:
        DictAction([], "values")(None, parsed, options)
    except AssertionError as error:
        raise ValueError(f"{' '.join(options)}: {error}") from error
    except RecursionError as error:  # its own, over brackets behind a word
        raise ValueError(
            f"{' '.join(options)}: a value is a number, a word or a list of such; a dict is set "
            "key by key, KEY.NAME=VALUE"
        ) from error
    for key, _, value in (option.partition("=") for option in options):
        if isinstance(parsed.values[key], str):
            parsed.values[key] = value.strip("'\"")
    return parsed.values


def add_cfg_options(
    parser: argparse.ArgumentParser, example: str = "", dest: str | None = None
) -> None:
    """Add ``--cfg-options``, a list that may be given in several parts, for ``read_config``."""
    parser.add_argument(
        "--cfg-options",
        dest=dest,
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help=f"settings that replace the config's{example and f', such as {example}'}",
    )


class KeyValueAction(argparse.Action):
    """Of an argument that takes ``KEY=VALUE`` options; see :func:`key_values`."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        try:
            found = key_values(values)
        except ValueError as error:
            raise argparse.ArgumentError(self, str(error)) from error
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), **found})


@contextmanager
def explained(
    parser: argparse.ArgumentParser, interrupted: Callable[[], str] = lambda: "Interrupted"
) -> Iterator[None]:
    """End the program with a message: status 2 for what a user can mend, 130 after Ctrl-C.

    Errors of mmspec's own classes, those of the system that name a file (missing, without
    permission, ...) and a loss that is no number can be mended.
    ``interrupted`` gives the message after Ctrl-C.
    """
    if "RANK" in os.environ and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt_once)
    try:
        try:
            yield
        except Exception as error:
            # Where another process went first, its loss is the error, and our own Ctrl-C, still
            # pending, is raised by the next call.
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            kind, others = type(error), FileNotFoundError | FloatingPointError
            of_a_file = isinstance(error, OSError) and error.filename is not None
            own = kind.__module__.startswith("mmspec.")
            if not (own or of_a_file or isinstance(error, others)):
                raise
            # That of a loader's worker holds the worker's traceback, which ends with the message.
            message = str(error).rpartition(f"{kind.__name__}: ")[2].strip()
            # Not parser.error: the command is well-formed, its usage would be beside the point.
            parser.exit(2, f"{parser.prog}: error: {message}\n")
    except KeyboardInterrupt:
        first = os.environ.get("RANK", "0") == "0"
        parser.exit(INTERRUPTED, f"\n{interrupted()}\n" if first else "")


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: mmengine's ``pretty_text`` makes a SyntaxError of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _interrupt_once(number: int, frame: object) -> None:
    """Heed the terminal's Ctrl-C; the launcher's, right after it, would cut the message off."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def command_to_resume(work_dir: str) -> str:
    """How to go on after Ctrl-C: this process's command line with ``--resume``."""
    from mmspec.checkpoints.work_dir import saved_checkpoints

    if not saved_checkpoints(work_dir):
        return "Interrupted before the first checkpoint: nothing to resume"
    if "--launcher" in sys.argv:
        return "Interrupted. To go on: the same command with --resume"
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", nargs="?")
    command = shlex.join(["python", *parser.parse_known_args(sys.argv)[1], "--resume"])
    return f"Interrupted. To go on:\n  {command}"
