"""Shared fixtures: where the real images and the golden numbers are."""

import os
from pathlib import Path

import pytest
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

REPO = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: str) -> Path:
    root = Path(os.environ.get(variable, REPO / default))
    if not root.is_dir():
        pytest.skip(f"{variable}: no folder {root}")
    return root


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of real images (``MMSPEC_DATA``, default ``../shared/data``)."""
    return _folder("MMSPEC_DATA", "../shared/data")


@pytest.fixture(scope="session")
def golden_root() -> Path:
    """Numbers from the authors' code (``MMSPEC_GOLDEN``, default ``../shared/golden``)."""
    return _folder("MMSPEC_GOLDEN", "../shared/golden")


@pytest.fixture(autouse=True)
def _as_the_first_test():
    """mmengine keeps the last scope and the loggers of every run: the next test has neither."""
    yield
    DefaultScope._instance_dict.clear()
    MMLogger._instance_dict.clear()
