"""Say what holds for many files of a data set once, whatever worker meets it first."""

import atexit
import hashlib
import os
import shutil
import tempfile


class SaidOnce:
    """Tell the first one to ask, in all processes that have a copy of this object.

    Workers share no memory once they are forked, so a file for each remark is created: one of them
    succeeds. The process that made this object removes the files when it ends.
    """

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="mmspec-said-")
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self._known: set[str] = set()

    def __call__(self, remark: str) -> bool:
        """Whether nobody has asked for this remark before."""
        if remark in self._known:
            return False
        self._known.add(remark)
        name = hashlib.sha256(remark.encode()).hexdigest()[:16]
        try:
            os.close(os.open(os.path.join(self.folder, name), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        except OSError:  # the folder was cleared
            pass
        return True
