"""The one place where the version of mmspec is written."""

__version__ = "0.1.0"
