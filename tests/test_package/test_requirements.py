"""What setup.py asks for, and the constraints files that pin it."""

import ast
import re
from pathlib import Path

import pytest

from mmspec.version import __version__

REPO = Path(__file__).resolve().parents[2]


def setup_constant(name: str):
    """The value of a constant of setup.py, without running it."""
    for node in ast.parse((REPO / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise KeyError(name)


def distribution(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-")


def test_no_mm_package_is_required():
    required = {distribution(r) for r in setup_constant("INSTALL_REQUIRES")}
    assert not [name for name in required if "mm" in name or name.startswith("onedl")]


@pytest.mark.parametrize("family", ["onedl", "openmmlab"])
def test_constraints_pin_everything_mmspec_asks_for(family):
    lines = (REPO / "requirements" / f"{family}.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all("==" in pin.partition(";")[0] for pin in pins)
    extras = setup_constant("EXTRAS_REQUIRE")
    asked = setup_constant("INSTALL_REQUIRES") + extras[family] + extras["tests"]
    assert {distribution(r) for r in asked} <= {distribution(p) for p in pins}


def test_version_is_a_release_number():
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
