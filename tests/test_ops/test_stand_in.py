"""How ``mmcv._ext`` is found: the compiled one first, ours last, nothing before it is asked for."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import mmspec.ops

pytest.importorskip("mmcv")
pytestmark = pytest.mark.stack
mmspec.ops.install()

REPO = Path(mmspec.ops.__file__).parents[2]
stand_in_only = pytest.mark.skipif(
    mmspec.ops.backend() == "mmcv", reason="this mmcv has compiled operators"
)


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    run = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_install_twice_adds_one_finder_at_the_end():
    mmspec.ops.install()
    mmspec.ops.install()
    assert sys.meta_path.count(mmspec.ops.FINDER) == 1


def test_install_imports_neither_mmcv_nor_torchvision():
    code = (
        "import sys, mmspec.ops; mmspec.ops.install(); "
        "print([name for name in ('mmcv', 'torchvision') if name in sys.modules])"
    )
    assert run_python(code) == "[]"


@stand_in_only
def test_the_module_is_found_as_mmengine_looks_for_it():
    from mmengine.utils.dl_utils import mmcv_full_available

    spec = importlib.util.find_spec("mmcv._ext")
    assert spec.name == "mmcv._ext"
    assert mmcv_full_available()
    assert mmspec.ops.backend() == "torchvision"


@stand_in_only
def test_the_module_has_any_operator_but_no_private_name():
    extension = importlib.import_module("mmcv._ext")
    assert extension.__spec__.name == "mmcv._ext"
    assert extension.ball_query_forward.__name__ == "ball_query_forward"
    assert not hasattr(extension, "__path__")
    assert not hasattr(extension, "_anything")


@stand_in_only
def test_mmcv_reports_its_environment():
    from mmcv.utils import collect_env

    environment = collect_env()
    assert environment["MMCV Compiler"] == environment["MMCV CUDA Compiler"] == "n/a"


@stand_in_only
def test_it_works_after_mmcv_ops_has_failed():
    code = """
import sys
import torch
try:
    import mmcv.ops
except ImportError as error:
    print(error)
import mmspec.ops
mmspec.ops.install()
import mmcv.ops
print(mmcv.ops.nms(torch.tensor([[0., 0, 9, 9]]), torch.tensor([0.5]), 0.5)[1].tolist())
"""
    assert run_python(code).splitlines() == ["No module named 'mmcv._ext'", "[0]"]


def test_a_compiled_extension_wins(tmp_path):
    package = tmp_path / "mmcv"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_ext.py").write_text("def nms():\n    return 'compiled'\n")
    code = f"""
import sys
import mmspec.ops
mmspec.ops.install()
sys.path.insert(0, {str(tmp_path)!r})
print(mmspec.ops.backend())
import mmcv._ext
print(mmcv._ext.nms(), mmspec.ops.backend(), hasattr(mmcv._ext, 'softnms'))
"""
    assert run_python(code).splitlines() == ["mmcv", "compiled mmcv False"]


def test_without_mmcv_the_backend_has_no_answer():
    code = """
import sys
import mmspec.ops
mmspec.ops.install()
sys.modules['mmcv'] = None
try:
    mmspec.ops.backend()
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert run_python(code) == "mmcv"
