"""The errors of files, below all that read them."""

from __future__ import annotations

import os


class FileError(ValueError):
    """A file that cannot be used; the message names it and what is wrong.

    ``reason`` is what is wrong alone, for reports that name the file elsewhere.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)  # one argument is enough to raise it again out of a worker
        self.reason = reason or message

    @classmethod
    def of(cls, path: str | os.PathLike, reason: str) -> FileError:
        """The error for one file."""
        return cls(f"{path}: {reason}", reason)


class UnreadableImageError(FileError):
    """An image file that cannot be used; the message names it and what is wrong."""
