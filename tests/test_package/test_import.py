"""``import mmspec`` costs nothing and offers the two functions a notebook needs."""

import subprocess
import sys

import pytest

import mmspec
import mmspec.checkpoints

HEAVY = ("torch", "numpy", "mmengine", "mmcv", "mmpretrain", "mmspec.registry")


def test_import_loads_no_framework():
    code = f"import sys, mmspec; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("name", ["load_encoder", "read_checkpoint"])
def test_functions_are_loaded_when_asked_for(name):
    assert getattr(mmspec, name) is getattr(mmspec.checkpoints, name)
    assert name in dir(mmspec)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'mmspec' has no attribute 'load_encoders'"):
        _ = mmspec.load_encoders


def test_mmcv_operators_are_offered():
    from mmspec.ops.stand_in import FINDER

    assert FINDER in sys.meta_path
