from pathlib import Path

import pytest
import torch
from processes import Program, run

from mmspec import load_encoder, read_checkpoint

TOOL = Path(__file__).resolve().parents[2] / "tools" / "model_converters" / "convert.py"


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
