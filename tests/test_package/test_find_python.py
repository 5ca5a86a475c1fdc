"""The script by which ``make`` finds a Python that fits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "requirements" / "find_python.sh"
OURS = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def find(tmp_path):
    """Run the script where ``python3`` is a Python 3.8, and the named versions are there too."""

    def call(*arguments, there=()) -> subprocess.CompletedProcess:
        for name, version in {"python3": "3.8", **{f"python{v}": v for v in there}}.items():
            program = tmp_path / name
            # Answers the question for its version; any other script of Python succeeds.
            program.write_text(f"#!/bin/sh\ncase $2 in *version_info*) echo {version};; esac\n")
            program.chmod(0o755)
        return subprocess.run(
            ["sh", SCRIPT, *arguments],
            env={**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )

    return call


def test_named_python_that_fits(find):
    assert find(sys.executable, OURS).stdout.strip() == sys.executable


def test_plain_python3_is_replaced_by_one_that_fits(find):
    assert find("python3", "3.91", "3.92", there=["3.92"]).stdout.strip() == "python3.92"


def test_named_python_is_not_replaced(find):
    result = find("python3.8", "3.91", there=["3.8", "3.91"])
    assert result.returncode == 1
    assert result.stdout == ""
    assert "This stack needs Python, one of: 3.91; 'python3.8' is 3.8." in result.stderr
    assert "make install PYTHON=" in result.stderr


def test_none_that_fits(find):
    result = find("python3", "3.91", "3.92")
    assert result.returncode == 1
    assert "one of: 3.91 3.92; 'python3' is 3.8." in result.stderr


def test_named_python_that_is_not_there(find):
    assert "'no-python' is not there." in find("no-python", "3.91").stderr
