"""Encoders that mmspec ships: what their names mean, and what WEIGHTS.md says of their files."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import mmspec
from mmspec.checkpoints import find_checkpoint, shipped, shipped_encoders
from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.models.backbones import ConvViT
from mmspec.probing import FrozenEncoder
from mmspec.registry import MODELS

REPO = Path(__file__).resolve().parents[2]
ARCH = dict(embed_dims=(8, 12, 16), depths=(1, 1, 2), num_heads=2, mlp_ratios=(2, 2, 2))


def encoder() -> ConvViT:
    torch.manual_seed(0)
    return ConvViT(ARCH, pretraining=True, pretrain_grid=7)


@pytest.fixture
def fly(tmp_path, monkeypatch) -> Path:
    """A shipped encoder called 'fly', of half precision; the current folder is empty."""
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    state = {f"backbone.{k}": v.half() for k, v in encoder().state_dict().items()}
    header = dict(mmspec_version="0", arch=json.dumps(ARCH), pretrain_grid="7", licence="any")
    save_file(state, home / "fly.safetensors", header)
    monkeypatch.setattr(shipped, "FOLDER", home)
    monkeypatch.chdir(here)
    return home / "fly.safetensors"


def test_a_name_loads_all_as_float32(fly):
    backbone, report = mmspec.load_encoder("fly", out_indices=(0, 1, 2))
    assert (report.missing, report.new, report.resized, report.coverage) == ({}, [], {}, 1.0)
    assert report.info.path == str(fly) and report.info.header["licence"] == "any"
    # Tensors do not tell heads and grid: the header does.
    assert backbone.arch["num_heads"] == 2 and backbone.pretrain_grid == 7
    own = encoder().state_dict()
    for name, value in backbone.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, own[name].half().float())


def test_every_place_of_an_encoder_takes_the_name(fly):
    start = dict(type="mmspec.PretrainedEncoder", checkpoint="fly")
    backbone = MODELS.build(dict(type="mmspec.ConvViT", arch=ARCH, pretrain_grid=7, init_cfg=start))
    backbone.init_weights()
    weight = encoder().token_proj.weight.half().float()
    assert torch.equal(backbone.token_proj.weight, weight)
    frozen = FrozenEncoder("fly")
    assert frozen.name == "fly" and torch.equal(frozen.backbone.token_proj.weight, weight)
    assert frozen.key == FrozenEncoder(str(fly)).key
    assert FrozenEncoder("random", "fly").backbone.arch["num_heads"] == 2
    assert mmspec.read_checkpoint("fly")[0].keys() == mmspec.read_checkpoint(fly)[0].keys()


def test_a_name_that_is_not_shipped_lists_those_that_are(fly):
    with pytest.raises(FileNotFoundError, match=r"^checkpoint bee: no such file; .* ships: fly$"):
        mmspec.load_encoder("bee")
    with pytest.raises(FileNotFoundError, match=r"^checkpoint bee.pth: no such file$"):
        mmspec.load_encoder("bee.pth")
    fly.unlink()
    with pytest.raises(FileNotFoundError, match=r"ships: none$"):
        find_checkpoint("bee")


def test_a_file_with_the_name_is_not_passed_over(fly):
    Path("fly").mkdir()  # a folder is no checkpoint
    assert find_checkpoint("fly") == fly
    Path("fly").rmdir()
    torch.save({"a": torch.zeros(1)}, "fly")
    with pytest.raises(CheckpointError, match=rf"write ./fly for the file, {re.escape(str(fly))}"):
        find_checkpoint("fly")
    assert find_checkpoint("./fly") == find_checkpoint(Path("fly")) == Path("fly")
    assert find_checkpoint(str(fly)) == fly


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(num_heads=4), "trained with num_heads=2, this backbone has 4"),
        (dict(embed_dims=(8, 12, 24)), "have another shape"),
    ],
)
def test_another_architecture_is_refused(fly, change, message):
    with pytest.raises(CheckpointError, match=message):
        mmspec.load_encoder("fly", arch=change)


def test_weights_md_tells_name_size_and_checksum_of_every_file():
    text = (REPO / "WEIGHTS.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \| `([0-9a-f]{64})` \|", text, re.M)
    found = [
        (
            name,
            f"{sum(v.numel() for v in mmspec.read_checkpoint(name)[0].values()):,}",
            f"{file.stat().st_size:,}",
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for name, file in shipped_encoders().items()
    ]
    assert sorted(rows) == found


def test_shipped_files_are_encoders_of_half_precision_that_say_where_they_are_from():
    for name in shipped_encoders():
        backbone, report = mmspec.load_encoder(name)
        assert isinstance(backbone, ConvViT)
        assert report.coverage == 1.0 and not (report.missing or report.resized)
        state, info = mmspec.read_checkpoint(name)
        assert {value.dtype for value in state.values()} == {torch.float16}
        assert all(key.startswith("backbone.") for key in state)
        told = {"arch", "mean", "std", "recipe", "licence", "data", "mmspec_version"}
        assert told <= info.header.keys()
        assert list(REPO.glob(f"configs/pretrain/{info.header['recipe']}.py"))
