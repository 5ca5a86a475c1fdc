from pathlib import Path

import pytest
import torch
from exporting import export_encoder
from mmpretrain.models import VisionTransformer

from mmspec.checkpoints import load_encoder, read_checkpoint
from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.models.backbones import ConvViT, MaskedViT
from mmspec.models.heads import ReconstructionHead
from mmspec.models.necks import DualModalityDecoder
from mmspec.models.selfsup import MSpecGene

ARCH = dict(embed_dims=48, num_layers=3, num_heads=4, feedforward_channels=192)
INIT = "mmspec.PretrainedEncoder"


@pytest.fixture(scope="module")
def released(golden_root):
    return golden_root / "mspecgene_small_official.pth"


@pytest.fixture(scope="module")
def features(released) -> torch.Tensor:
    """What the released encoder gives for the picture of :func:`picture`."""
    backbone, _ = load_encoder(released, arch=dict(num_heads=4))
    return backbone(picture())[0]


def picture() -> torch.Tensor:
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def test_every_tensor_has_a_place_and_the_one_norm_fills_both(released):
    state, info = read_checkpoint(released)
    assert (info.layout, info.epoch) == ("M-SpecGene", 500)
    assert set(info.ignored) == {"neck.decoder_pos_embed", "neck.decoder_pos_embed2"}
    model = MSpecGene(
        MaskedViT(ARCH),
        DualModalityDecoder(in_dims=48, dims=32, depth=2, num_heads=4),
        ReconstructionHead(),
        torch.nn.Identity(),
    )
    assert {k: v.shape for k, v in state.items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }
    for kind in ("weight", "bias"):
        norms = [state[f"neck.{side}.norm.{kind}"] for side in ("infrared", "visible")]
        assert torch.equal(*norms) and norms[0].data_ptr() != norms[1].data_ptr()


def test_unnumbered_names_are_the_infrared_decoder(released):
    official = torch.load(released, weights_only=False)["state_dict"]
    ours, _ = read_checkpoint(released)
    for theirs, side in (("", "infrared"), ("2", "visible")):
        for old, new in (
            (f"mask_token{theirs}", "mask_token"),
            (f"decoder_embed{theirs}.weight", "embed.weight"),
            (f"decoder_blocks{theirs}.1.ln2.bias", "blocks.1.norm2.bias"),
            (f"cross_attention{theirs}.attn.q_bias", "cross.attn.q_bias"),
            (f"decoder_pred{theirs}.bias", "pred.bias"),
        ):
            assert torch.equal(official[f"neck.{old}"], ours[f"neck.{side}.{new}"]), old


def test_load_encoder_takes_the_encoder_alone(released):
    backbone, report = load_encoder(released, arch=dict(num_heads=4))
    assert isinstance(backbone, MaskedViT)
    assert (report.missing, report.new, report.resized, report.coverage) == ({}, [], {}, 1.0)
    assert len(report.matched) == 42
    assert all(name.startswith("neck.") for name in report.ignored)


STATUS = Path("/proc/self/status")


def resident_mib(field: str) -> float:
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 2**10


@pytest.mark.skipif(not STATUS.exists(), reason="no /proc: memory is not known")
def test_an_optimisers_state_is_not_read(released, tmp_path):
    content = torch.load(released, weights_only=False)
    content["optimizer"] = dict(state={0: dict(exp_avg=torch.ones(48 * 2**20))})  # 192 MiB
    torch.save(content, tmp_path / "whole.pth")
    del content
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident_mib("VmRSS")
    load_encoder(tmp_path / "whole.pth", arch=dict(num_heads=4))
    assert resident_mib("VmHWM") - before < 64


@pytest.mark.parametrize("kind", [MaskedViT, VisionTransformer])
def test_init_cfg_of_a_vit(released, features, kind):
    init_cfg = dict(type=INIT, checkpoint=str(released))
    backbone = kind(arch=ARCH, img_size=224, out_type="featmap", init_cfg=init_cfg)
    backbone.init_weights()
    backbone.eval()
    assert torch.equal(backbone(picture())[0], features)


def test_the_first_stage_starts_the_second(tmp_path):
    from mmpretrain.models.selfsup import MAEViT

    torch.manual_seed(0)
    first = MAEViT(arch=ARCH)
    state = {f"backbone.{name}": torch.randn_like(v) for name, v in first.state_dict().items()}
    torch.save({"state_dict": state, "meta": {"epoch": 400}}, tmp_path / "mae.pth")
    model = MSpecGene(
        dict(
            type="mmspec.MaskedViT",
            arch=ARCH,
            init_cfg=dict(type=INIT, checkpoint=str(tmp_path / "mae.pth")),
        ),
        DualModalityDecoder(in_dims=48, dims=32, depth=1, num_heads=4),
        ReconstructionHead(),
        torch.nn.Identity(),
    )
    model.init_weights()
    ours = model.backbone.state_dict()
    assert all(torch.equal(ours[name.removeprefix("backbone.")], state[name]) for name in state)
    assert model.neck.infrared.mask_token.std() > 0


def test_other_names_come_back_as_they_were(released, features, tmp_path):
    state, _ = read_checkpoint(released)
    encoder = {k: v for k, v in state.items() if k.startswith("backbone.")}
    for target in ("vitdet", "mmseg"):
        key, tensors, left_out = export_encoder(state, target)
        assert set(left_out) == set(state) - set(encoder)
        torch.save({key: tensors}, tmp_path / f"{target}.pth")
        again, _ = read_checkpoint(tmp_path / f"{target}.pth")
        assert again.keys() == encoder.keys()
        assert all(torch.equal(again[name], encoder[name]) for name in encoder)


def test_vitdet_names(released):
    key, tensors, _ = export_encoder(read_checkpoint(released)[0], "vitdet")
    assert key == "model"
    assert {name for name in tensors if not name.startswith(("blocks.1.", "blocks.2."))} == {
        "cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias",
        "norm.weight", "norm.bias",
        *(f"blocks.0.{layer}.{kind}" for kind in ("weight", "bias") for layer in
          ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")),
    }  # fmt: skip


def test_mmseg_loads_its_names_by_its_own_means(released, features, tmp_path):
    from mmseg.models.backbones import MAE

    key, tensors, _ = export_encoder(read_checkpoint(released)[0], "mmseg")
    torch.save({key: tensors}, tmp_path / "mmseg.pth")
    backbone = MAE(
        embed_dims=48,
        num_layers=3,
        num_heads=4,
        out_indices=[2],
        final_norm=True,
        init_values=1.0,
        norm_cfg=dict(type="LN", eps=1e-6),
        init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "mmseg.pth")),
    )
    backbone.init_weights()
    backbone.eval()
    assert torch.allclose(backbone(picture())[0], features, atol=1e-5)


def test_another_encoder_has_no_vit_names():
    state = ConvViT("tiny").state_dict()
    with pytest.raises(CheckpointError, match="a layout of plain ViTs"):
        export_encoder({f"backbone.{k}": v for k, v in state.items()}, "vitdet")


def test_learned_decoder_positions_are_refused(released, tmp_path):
    content = torch.load(released, weights_only=False)
    content["state_dict"]["neck.decoder_pos_embed2"][0, 5] += 0.1
    torch.save({"state_dict": content["state_dict"]}, tmp_path / "learned.pth")
    with pytest.raises(CheckpointError, match="neck.decoder_pos_embed2"):
        read_checkpoint(tmp_path / "learned.pth")
