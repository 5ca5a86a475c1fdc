"""What a training leaves in its work directory: checkpoints, some damaged, and word of its end."""

import re
import zipfile
from pathlib import Path

#: File that a training writes when it has ended: the name of its last checkpoint.
FINISHED = "finished"
#: Checkpoint between those of a training's interval, by iterations done; gone when it ends.
RESUME_NAME = "resume_iter_{}.pth"


def is_readable(path: str | Path) -> bool:
    """Whether a checkpoint is whole, by the checksums of the archive that ``torch.save`` writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # a damaged archive can fail in any way
        return False


def saved_checkpoints(work_dir: str | Path, template: str = "*_{}.pth") -> list[Path]:
    """Checkpoints of a work directory, newest first; their state is not looked at.

    The one that ``last_checkpoint`` names comes first, wherever it says that the folder is. The
    others follow by the time they were written: a run started anew over an old one has smaller
    numbers. In ``template``, ``{}`` is the number, and ``*`` anything but ``best_``; those of
    ``RESUME_NAME`` always count.
    """
    work_dir = Path(work_dir)
    name = re.escape(template).replace(r"\*", r"(?!best_).*")
    name = f"(?:{name}|{re.escape(RESUME_NAME)})".replace(r"\{\}", r"(\d+)")
    found = {path: re.fullmatch(name, path.name) for path in work_dir.glob("*")}
    last = work_dir / "last_checkpoint"
    named = Path(last.read_text().strip()).name if last.is_file() else ""
    return sorted(
        (path for path, match in found.items() if match and path.is_file()),
        key=lambda path: (
            path.name == named,
            path.stat().st_mtime_ns,
            int(found[path][found[path].lastindex]),
        ),
        reverse=True,
    )


def is_finished(work_dir: str | Path) -> bool:
    """Whether a training said that it ended, and its last checkpoint is whole."""
    file = Path(work_dir) / FINISHED
    return file.is_file() and is_readable(Path(work_dir) / file.read_text().strip())
