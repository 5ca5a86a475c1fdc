"""Where the files of mmspec lie that are no modules."""

from pathlib import Path


def tools_folder() -> Path:
    """``tools/`` of a clone, or what a wheel holds of it (``mmspec/.mim/tools``)."""
    package = Path(__file__).resolve().parent
    homes = (package.parent / "tools", package / ".mim" / "tools")
    return next((home for home in homes if (home / "train.py").is_file()), homes[1])
