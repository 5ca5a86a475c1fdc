"""Hear libjpeg out: of a damaged scan it tells on the process's standard error alone.

Pillow silences these warnings, and bindings of TurboJPEG keep the last of them only, which may be
the harmless one.
"""

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
    with _LOCK, _spool() as spool:
        try:
            terminal = os.dup(_STANDARD_ERROR)
        except OSError:
            yield said
            return
        os.dup2(spool.fileno(), _STANDARD_ERROR)
        try:
            yield said
        finally:
            os.dup2(terminal, _STANDARD_ERROR)
            if os.fstat(spool.fileno()).st_size:
                spool.seek(0)
                written = spool.read()
                said += [line.decode("latin-1") for line in _SAID.findall(written)]
                os.write(terminal, _SAID.sub(b"", written))
            os.close(terminal)


def _spool():
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("standard error"), "rb+", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
