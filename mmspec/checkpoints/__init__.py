"""Reading official and own checkpoints. Importing it fills ``WEIGHT_INITIALIZERS``."""

from .initializer import PretrainedEncoder
from .loading import LoadReport, load_encoder, load_into
from .reader import CheckpointInfo, read_checkpoint
from .shipped import find_checkpoint, shipped_encoders

__all__ = [
    "CheckpointInfo",
    "LoadReport",
    "PretrainedEncoder",
    "find_checkpoint",
    "load_encoder",
    "load_into",
    "read_checkpoint",
    "shipped_encoders",
]
