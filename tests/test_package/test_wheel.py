"""The wheel: configs, tools and model index lie where ``mim`` looks for them."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mmspec.checkpoints import shipped_encoders
from mmspec.version import __version__

REPO = Path(__file__).resolve().parents[2]
SOURCES = (
    *("setup.py", "pyproject.toml", "model-index.yml"),
    *("README.md", "LICENSE", "NOTICE", "WEIGHTS.md"),
)
FOLDERS = ("mmspec", "configs", "tools")
WEIGHT = "mmspec/checkpoints/weights/of_test.safetensors"
CONFIG = "infmae_convvit-tiny-p16_1xb16-coslr_demo.py"


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    result = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from a copy of the sources, so that nothing is left in the clone."""
    sources = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        shutil.copy(REPO / name, sources)
    for name in FOLDERS:
        ignore = shutil.ignore_patterns("__pycache__", ".mim")
        shutil.copytree(REPO / name, sources / name, ignore=ignore)
    # One more encoder than there are, also while there are none.
    (sources / WEIGHT).parent.mkdir(exist_ok=True)
    (sources / WEIGHT).write_bytes(b"")
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", sources / "dist", sources)
    return next((sources / "dist").glob("*.whl"))


def test_contents(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tools = {f"tools/{path.name}" for path in (REPO / "tools").iterdir() if path.is_file()}
    configs = {str(path.relative_to(REPO)) for path in (REPO / "configs").rglob("*.py")}
    assert {"tools/train.py", "tools/test.py", f"configs/pretrain/{CONFIG}"} <= tools | configs
    for home in ("mmspec", f"mmspec-{__version__}.dist-info"):
        wanted = {f"{home}/.mim/{name}" for name in {*tools, *configs, "model-index.yml"}}
        assert wanted <= names
    # A folder without __init__.py would be left out.
    modules = {str(path.relative_to(REPO)) for path in (REPO / "mmspec").rglob("*.py")}
    assert modules == {name for name in names if re.match(r"mmspec/[^.].*\.py$", name)}
    assert not [name for name in names if name.startswith("tests") or "__pycache__" in name]
    weights = {f"mmspec/checkpoints/weights/{path.name}" for path in shipped_encoders().values()}
    assert weights | {WEIGHT} == {name for name in names if name.endswith(".safetensors")}
    # Their licences' attribution goes where they go.
    assert {name.rpartition("/")[2] for name in names if ".dist-info/" in name} >= {
        *("LICENSE", "NOTICE", "WEIGHTS.md")
    }
    assert wheel.stat().st_size < 15_000_000


def test_metadata(wheel):
    archive = zipfile.ZipFile(wheel)
    metadata = archive.read(f"mmspec-{__version__}.dist-info/METADATA").decode()
    assert re.search(rf"^Version: {re.escape(__version__)}$", metadata, re.MULTILINE)
    assert {"docs", "export", "onedl", "openmmlab", "radiometric", "tests", "tools"} == set(
        re.findall(r"^Provides-Extra: (\S+)", metadata, re.M)
    )
    files = archive.read(f"mmspec-{__version__}.dist-info/top_level.txt").decode()
    assert files.split() == ["mmspec"]


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """A folder in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--no-index", "--target", folder, wheel)
    return folder


def test_commands_run_the_tools_of_the_installed_wheel(site, tmp_path):
    config = site / "mmspec/.mim/configs/pretrain" / CONFIG
    # It has read the config and built the model if it misses the checkpoint.
    result = subprocess.run(
        [
            *[sys.executable, "-m", "mmspec", "predict", config, "no.pth", "no.png"],
            *["--out", tmp_path / "out"],
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith("error: checkpoint no.pth: no such file")


def test_mim_finds_config_and_tool_of_the_installed_wheel(site, tmp_path):
    pytest.importorskip("mim")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # The tool is found and reads the config if it complains of the option.
    result = subprocess.run(
        [
            *[sys.executable, "-m", "mim", "train", "mmspec", CONFIG],
            *["--gpus", "0", "--cfg-options", "no_such_key=1"],
        ],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    expected = (
        rf"no 'no_such_key' in {re.escape(str(site))}/.*/configs/pretrain/{re.escape(CONFIG)}"
    )
    assert re.search(expected, result.stderr), result.stdout + result.stderr
