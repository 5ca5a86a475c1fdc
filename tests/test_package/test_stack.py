"""The check of the mm packages, against made-up sets of installed distributions."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from mmspec import stack

pytestmark = pytest.mark.stack

ONEDL = {
    "onedl-mmengine": "0.10.12",
    "onedl-mmcv": "2.3.6",
    "onedl-mmpretrain": "1.3.6",
}
OPENMMLAB = {
    "mmengine": "0.10.7",
    "mmcv": "2.1.0",
    "mmpretrain": "1.2.0",
}


@pytest.fixture
def installed(monkeypatch):
    """Pretend that these distributions are installed, mmspec too, and no source checkout is."""

    def pretend(distributions, importable=()):
        def version(name):
            if name not in distributions:
                raise metadata.PackageNotFoundError(name)
            return distributions[name]

        monkeypatch.setattr(stack.metadata, "version", version)
        monkeypatch.setattr(stack, "_importable", lambda module: module in importable)
        monkeypatch.setattr(stack, "__file__", "/no/site-packages/mmspec/stack.py")

    return pretend


def message_of_check() -> str:
    with pytest.raises(stack.StackError) as error:
        stack.check()
    return str(error.value)


@pytest.mark.parametrize("family", [ONEDL, OPENMMLAB], ids=["onedl", "openmmlab"])
def test_one_complete_family_passes(installed, family):
    installed(family)
    stack.check()


def test_mmcv_lite_passes(installed):
    installed({**{k: v for k, v in OPENMMLAB.items() if k != "mmcv"}, "mmcv-lite": "2.1.0"})
    stack.check()


def test_nothing_installed(installed):
    installed({})
    assert message_of_check() == (
        "mmspec needs mmengine, mmcv and mmpretrain; not installed: mmengine, mmcv, mmpretrain.\n"
        '  pip install "mmspec[onedl]"'
    )


def test_clone_names_itself(installed, monkeypatch, tmp_path):
    installed({})
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(stack, "__file__", str(tmp_path / "mmspec" / "stack.py"))
    assert message_of_check().endswith(f'\n  pip install -e "{tmp_path}[onedl]"')


def test_missing_part_is_completed_in_its_own_family(installed):
    installed({k: v for k, v in ONEDL.items() if k != "onedl-mmpretrain"})
    assert message_of_check().endswith('not installed: mmpretrain.\n  pip install "mmspec[onedl]"')
    installed({k: v for k, v in OPENMMLAB.items() if k != "mmcv"})
    assert message_of_check().endswith('not installed: mmcv.\n  pip install "mmspec[openmmlab]"')


def test_compiled_mmcv_is_not_overwritten_by_the_extra(installed):
    installed({k: v for k, v in OPENMMLAB.items() if k != "mmpretrain"})
    assert message_of_check().endswith("not installed: mmpretrain.\n  pip install mmpretrain")


def test_both_families_of_a_package(installed):
    installed({**ONEDL, "mmcv": "2.1.0", "mmdet": "3.3.0"})
    assert message_of_check() == (
        "These mm packages overwrite each other's files:\n"
        "  onedl-mmcv 2.3.6 and mmcv 2.1.0\n"
        "Uninstall the mm packages and install one family of them again:\n"
        "  pip uninstall -y onedl-mmengine onedl-mmcv mmcv onedl-mmpretrain mmdet\n"
        '  pip install "mmspec[onedl]"'
    )


def test_optional_package_installed_twice(installed):
    installed({**ONEDL, "onedl-mmsegmentation": "1.4.2", "mmsegmentation": "1.2.2"})
    assert "onedl-mmsegmentation 1.4.2 and mmsegmentation 1.2.2" in message_of_check()


@pytest.mark.parametrize(
    ("name", "version", "needed"),
    [("mmcv", "1.7.2", "2.0"), ("mmdet", "2.28.2", "3.0"), ("mmengine", "0.9.1", "0.10")],
)
def test_too_old(installed, name, version, needed):
    installed({**OPENMMLAB, name: version})
    message = message_of_check()
    assert f"too old for mmspec:\n  {name} {version} (needed: {needed} or newer)\n" in message
    assert "pip uninstall -y mmengine" in message


def test_prerelease_of_the_minimum_passes(installed):
    installed({**OPENMMLAB, "mmcv": "2.0.0rc4"})
    stack.check()


def test_source_checkouts_without_metadata_pass(installed):
    installed({}, importable=("mmengine", "mmcv", "mmpretrain"))
    stack.check()


def test_folder_is_no_source_checkout(tmp_path, monkeypatch):
    (tmp_path / "no_such_mm_package").mkdir()
    (tmp_path / "mm_checkout").mkdir()
    (tmp_path / "mm_checkout" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert not stack._importable("no_such_mm_package")
    assert stack._importable("mm_checkout")
    assert "mm_checkout" not in sys.modules


def test_import_without_a_stack_fails_with_the_command():
    clone = Path(stack.__file__).resolve().parent.parent
    code = f"import sys; sys.path.insert(0, {str(clone)!r}); import mmspec"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.rstrip().endswith(f'pip install -e "{clone}[onedl]"')
