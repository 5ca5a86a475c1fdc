"""``import mmspec`` costs nothing and offers the two functions a notebook needs."""

import ast
import subprocess
import sys

import pytest

import mmspec
import mmspec.checkpoints

# What the encoder of a user's own config brings with it, and nothing else of mmspec.
ENCODER_ROOMS = {
    "checkpoints",
    "conventions",
    "masking",
    "matching",
    "models",
    "ops",
    "optional",
    "pairs",
    "photometry",
    "registry",
    "stack",
    "version",
}
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


def test_an_encoder_imports_no_data_set_and_no_hook():
    code = (
        "import sys, mmspec; from mmengine.registry import MODELS;"
        "MODELS.build(dict(type='mmspec.ConvViT', arch='tiny'));"
        "print({name.split('.')[1] for name in sys.modules if name.startswith('mmspec.')})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    rooms = ast.literal_eval(result.stdout.strip().splitlines()[-1])
    assert rooms <= ENCODER_ROOMS, result.stderr
