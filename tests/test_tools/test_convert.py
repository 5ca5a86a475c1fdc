import hashlib
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from processes import Program, run

from mmspec import __version__, load_encoder, read_checkpoint
from mmspec.models.backbones import ConvViT, MaskedViT
from mmspec.registry import MODELS

REPO = Path(__file__).resolve().parents[2]
TOOL = REPO / "tools" / "model_converters" / "convert.py"
PRETRAIN = REPO / "configs" / "pretrain"


def convert(*arguments) -> Program:
    return run(TOOL, *arguments)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_official_file_goes_there_and_back(golden_root, tmp_path, suffix):
    source, target = golden_root / "infmae_small_official.pth", tmp_path / f"plain{suffix}"
    result = convert(source, target)
    assert result.returncode == 0, result.stderr
    assert "144 tensors" in result.stdout
    assert "left out: patch_embed.proj.bias (moves every masking score alike)" in result.stdout
    before, after = read_checkpoint(source)[0], read_checkpoint(target)[0]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_encoder_only(golden_root, tmp_path):
    result = convert(
        golden_root / "infmae_small_official.pth", tmp_path / "e.safetensors", "--encoder-only"
    )
    assert "left out: neck.pred.weight (not part of the encoder)" in result.stdout
    assert all(k.startswith("backbone.") for k in read_checkpoint(tmp_path / "e.safetensors")[0])
    _, report = load_encoder(tmp_path / "e.safetensors", arch=dict(num_heads=4))
    assert report.coverage == 1.0


def test_released_mspecgene_under_other_names(golden_root, tmp_path):
    source = golden_root / "mspecgene_small_official.pth"
    state = read_checkpoint(source)[0]
    for layout, key, name in (
        ("vitdet", "model", "blocks.2.norm1.weight"),
        ("mmseg", "state_dict", "layers.2.ln1.weight"),
    ):
        target = tmp_path / f"{layout}.pth"
        result = convert(source, target, "--layout", layout)
        assert "42 tensors" in result.stdout
        assert "left out: neck.visible.pred.bias (not part of the encoder)" in result.stdout
        written = torch.load(target, weights_only=True)[key]
        assert torch.equal(written[name], state["backbone.layers.2.ln1.weight"])
        assert load_encoder(target, arch=dict(num_heads=4))[1].coverage == 1.0
    assert convert(source, tmp_path / "all.safetensors").returncode == 0
    after = read_checkpoint(tmp_path / "all.safetensors")[0]
    assert state.keys() == after.keys()
    assert all(torch.equal(state[name], after[name]) for name in state)
    result = convert(source, tmp_path / "a.safetensors", "--layout", "vitdet")
    assert result.returncode == 1 and "vitdet reads .pth files" in result.stderr


def test_bad_input_is_one_line(tmp_path):
    (tmp_path / "text.pth").write_text("no checkpoint")
    for arguments, message in (
        ((tmp_path / "text.pth", tmp_path / "a.pth"), "text.pth: not a torch checkpoint"),
        ((tmp_path / "absent.pth", tmp_path / "a.pth"), "absent.pth: no such file"),
        ((tmp_path / "text.pth", tmp_path / "a.bin"), "must end in .safetensors or .pth"),
    ):
        result = convert(*arguments)
        assert result.returncode == 1
        assert message in result.stderr and "Traceback" not in result.stderr


def test_converting_in_place_keeps_the_tensors(golden_root, tmp_path):
    target = tmp_path / "a.pth"
    target.write_bytes((golden_root / "infmae_small_official.pth").read_bytes())
    before = {k: v.clone() for k, v in read_checkpoint(target)[0].items()}
    assert convert(target, target).returncode == 0
    after = read_checkpoint(target)[0]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


ARCH = "embed_dims=(8, 12, 16), depths=(1, 1, 2), num_heads=2, mlp_ratios=(2, 2, 2)"
CONFIG = f"""
neck = dict(in_dims=16, dims=8, depth=1, num_heads=2)
_base_ = "{PRETRAIN}/infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"
model = dict(backbone=dict(arch=dict(_delete_=True, {ARCH})), neck=neck)
"""


@pytest.fixture
def trained(tmp_path):
    """A checkpoint and the config of its training."""
    (tmp_path / "mine.py").write_text(CONFIG)
    model = MODELS.build(Config.fromfile(tmp_path / "mine.py").model)
    torch.save({"state_dict": model.state_dict(), "meta": {"epoch": 2}}, tmp_path / "last.pth")
    return tmp_path / "last.pth", tmp_path / "mine.py"


def test_encoder_of_half_precision_says_what_it_is(trained, tmp_path):
    (source, config), target = trained, tmp_path / "new folder" / "mine.safetensors"
    notes = ("licence=CC-BY-4.0", "data=flies = bees")
    result = convert(
        source, target, "--encoder-only", "--float16", "--config", config, "--note", *notes
    )
    assert result.returncode == 0, result.stderr
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert f"{target.stat().st_size:,} bytes, SHA-256 {digest}" in result.stdout
    before, after = read_checkpoint(source)[0], read_checkpoint(target)[0]
    assert after.keys() == {name for name in before if name.startswith("backbone.")}
    assert all(torch.equal(before[name].half(), after[name]) for name in after)
    backbone, report = load_encoder(target)
    assert report.coverage == 1.0 and backbone.arch["num_heads"] == 2
    arch = dict(embed_dims=[8, 12, 16], depths=[1, 1, 2], num_heads=2, mlp_ratios=[2, 2, 2])
    header = report.info.header
    assert json.loads(header.pop("arch")) == arch
    assert header == dict(
        format="pt", mmspec_version=__version__, source="last.pth", recipe="mine",
        mean="[108.375, 108.375, 108.375]", std="[51.0, 51.0, 51.0]", pretrain_grid="14",
        licence="CC-BY-4.0", data="flies = bees",
    )  # fmt: skip
    # What the file tells stays with it.
    again = tmp_path / "again.pth"
    assert convert(target, again).returncode == 0
    kept = read_checkpoint(again)[1]
    assert kept.arch == arch and kept.header == dict(
        header, arch=kept.header["arch"], source="mine.safetensors"
    )


def test_convvit_under_the_names_of_convmae(trained, tmp_path):
    target = tmp_path / "convmae.pth"
    assert convert(trained[0], target, "--layout", "convmae").returncode == 0
    written = torch.load(target, weights_only=True)["model"]
    assert written["blocks1.0.conv1.weight"].shape == (8, 8, 1, 1)
    assert written["blocks3.1.mlp.fc1.weight"].shape == (32, 16)
    assert written["pos_embed"].shape == (1, 196, 16)
    before, (after, info) = read_checkpoint(trained[0])[0], read_checkpoint(target)
    assert (info.layout, info.pretrain_grid) == ("ConvMAE / InfMAE", 14)
    assert after.keys() == {name for name in before if name.startswith("backbone.")}
    assert all(torch.equal(before[name], after[name]) for name in after)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layout", "vitdet"], "vitdet is a layout of plain ViTs"),
        (["--layout", "convmae", "--float16"], "--float16: convmae wants 32 bits"),
        (["--note", "licence"], "--note licence: KEY=TEXT"),
        (["--note", "arch=tiny"], "--note arch=tiny: readers take arch for settings"),
        (["--config", "OTHER"], "do not go together"),
        (["--float16"], "backbone.token_proj.bias: values that float16 cannot hold"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(trained, tmp_path, options, message):
    other = tmp_path / "other.py"
    other.write_text(CONFIG.replace("(8, 12, 16)", "(8, 12, 24)").replace("=16", "=24"))
    content = torch.load(trained[0], weights_only=True)
    content["state_dict"]["backbone.token_proj.bias"] += 1e6
    torch.save(content, trained[0])
    options = [str(other) if option == "OTHER" else option for option in options]
    result = convert(trained[0], tmp_path / "new.pth", *options)
    assert result.returncode == 1 and message in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and not (tmp_path / "new.pth").exists()


@pytest.mark.parametrize("layout", ["convmae", "mmseg"])
def test_adapters_have_no_place_in_other_layouts(tmp_path, layout):
    arch = dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32)
    encoder = (
        ConvViT("tiny", pretraining=True, adapter_dims=8)
        if layout == "convmae"
        else MaskedViT(arch, img_size=64, adapter_dims=8)
    )
    state = {f"backbone.{name}": value for name, value in encoder.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "adapted.pth")
    result = convert(tmp_path / "adapted.pth", tmp_path / "new.pth", "--layout", layout)
    assert result.returncode == 1 and f"{layout} has no such layer" in result.stderr
    assert "adapter" in result.stderr and not (tmp_path / "new.pth").exists()


def test_means_of_both_sides_of_pairs_are_told(tmp_path):
    config = PRETRAIN / "mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py"
    model = MODELS.build(Config.fromfile(config).model)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "pairs.pth")
    target = tmp_path / "pairs.safetensors"
    result = convert(tmp_path / "pairs.pth", target, "--encoder-only", "--config", config)
    assert result.returncode == 0, result.stderr
    header = read_checkpoint(target)[1].header
    assert (
        json.loads(header["arch"])["num_heads"] == load_encoder(target)[0].layers[0].attn.num_heads
    )
    assert {"mean_infrared", "std_infrared", "mean_visible", "std_visible"} <= header.keys()
    imagenet = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    assert read_checkpoint(target)[1].mean_std == imagenet
    notes = ("meaning=of roads", "std=none", "mean=108")  # texts, whatever they are called
    noted = tmp_path / "noted.safetensors"
    result = convert(tmp_path / "pairs.pth", noted, "--encoder-only", "--note", *notes)
    assert result.returncode == 0, result.stderr
    read = read_checkpoint(noted)[1]
    assert read.header["meaning"] == "of roads" and read.mean_std is None
