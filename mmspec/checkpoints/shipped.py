"""The encoders that mmspec ships, and what a checkpoint's name means: one of them or a file."""

from pathlib import Path

from .safe_load import CheckpointError, no_such_checkpoint

#: The home of their files; WEIGHTS.md says how each came about.
FOLDER = Path(__file__).with_name("weights")


def shipped_encoders() -> dict[str, Path]:
    """Files of the encoders that come with mmspec, by the names that stand for them."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}


def find_checkpoint(checkpoint: str | Path) -> Path:
    """The file that a checkpoint's name means.

    Args:
        checkpoint: a file, or as a string, not as a ``Path``, the name of a shipped encoder.

    Raises:
        FileNotFoundError: neither.
        CheckpointError: both: a file here has the name of a shipped encoder.
    """
    path, shipped = Path(checkpoint), shipped_encoders()
    own = shipped.get(checkpoint) if isinstance(checkpoint, str) else None
    if own is None and path.is_file():
        return path
    if own is None:
        is_word = str(checkpoint) == path.name and not path.suffix
        names = f"; encoders that mmspec ships: {', '.join(shipped) or 'none'}" if is_word else ""
        raise no_such_checkpoint(path, names)
    if path.is_file():
        raise CheckpointError(
            f"checkpoint {checkpoint} is the name of an encoder that mmspec ships, and of a file"
            f" here: write ./{checkpoint} for the file, {own} for the encoder"
        )
    return own
