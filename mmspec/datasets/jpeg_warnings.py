"""Hear libjpeg out: of a scan that is damaged it tells on the process's standard error alone."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STANDARD_ERROR = 2
_SAID = re.compile(rb"(Corrupt JPEG data: [^\r\n]*|Premature end of JPEG file)\r?\n?")

# One decoder at a time is listened to; and no process is forked with its standard error turned.
_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )


@contextmanager
def heard_from_libjpeg() -> Iterator[list[str]]:
    """Collect libjpeg's warnings about the data that are decoded meanwhile.

    Anything else that is written to standard error goes there when the block ends. Takes about 20
    microseconds. Without a standard error nothing is heard.

    Yields:
        List that holds the warnings once the block has ended.
    """
    said: list[str] = []
    with _LOCK:
        try:
            terminal = os.dup(_STANDARD_ERROR)
        except OSError:
            yield said
            return
        spool = _spool()
        os.dup2(spool, _STANDARD_ERROR)
        try:
            yield said
        finally:
            os.dup2(terminal, _STANDARD_ERROR)
            if size := os.fstat(spool).st_size:
                os.lseek(spool, 0, os.SEEK_SET)
                written = os.read(spool, size)
                said += [line.decode("latin-1") for line in _SAID.findall(written)]
                if others := _SAID.sub(b"", written):
                    os.write(terminal, others)
            os.close(spool)
            os.close(terminal)


def _spool() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("standard error")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
