"""Checkpoints of plain ViTs into mmpretrain's ViTSAM, the windowed one that detectors take."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch.nn import functional as F

from mmspec.checkpoints import load_into, read_checkpoint
from mmspec.checkpoints.safe_load import CheckpointError

DIMS, HEADS, LAYERS = 64, 2, 3
ARCH = dict(
    embed_dims=DIMS,
    num_layers=LAYERS,
    num_heads=HEADS,
    feedforward_channels=2 * DIMS,
    global_attn_indexes=[0, 1, 2],
)


def mae_state(grid=14) -> dict[str, torch.Tensor]:
    """The encoder of facebookresearch/mae and of timm's ViT, and parts that no backbone has."""
    shapes = {
        "cls_token": (1, 1, DIMS),
        "pos_embed": (1, grid**2 + 1, DIMS),
        "patch_embed.proj.weight": (DIMS, 3, 16, 16),
        "patch_embed.proj.bias": (DIMS,),
        "norm.weight": (DIMS,),
        "norm.bias": (DIMS,),
        "decoder_embed.weight": (8, DIMS),
    }
    for i in range(LAYERS):
        for name, rows, columns in [("attn.qkv", 3, 1), ("attn.proj", 1, 1), ("mlp.fc1", 2, 1),
                                    ("mlp.fc2", 1, 2)]:  # fmt: skip
            shapes[f"blocks.{i}.{name}.weight"] = (rows * DIMS, columns * DIMS)
            shapes[f"blocks.{i}.{name}.bias"] = (rows * DIMS,)
        for name in ("norm1", "norm2"):
            shapes[f"blocks.{i}.{name}.weight"] = shapes[f"blocks.{i}.{name}.bias"] = (DIMS,)
    generator = torch.Generator().manual_seed(0)
    return {k: torch.randn(v, generator=generator) * 0.1 for k, v in shapes.items()}


def plain_vit(state: dict, image: torch.Tensor) -> torch.Tensor:
    """A ViT of these names without class token and final norm, written out: (B, C, rows, cols)."""

    def linear(x, name):
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, (DIMS,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    x = F.conv2d(image, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], 16)
    rows = x.shape[2]
    x = x.flatten(2).transpose(1, 2) + state["pos_embed"][:, 1:]
    for i in range(LAYERS):
        qkv = linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn.qkv")
        q, k, v = qkv.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-1, -2) / (DIMS // HEADS) ** 0.5).softmax(-1) @ v
        x = x + linear(attention.transpose(1, 2).flatten(2), f"blocks.{i}.attn.proj")
        hidden = F.gelu(linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.fc1"))
        x = x + linear(hidden, f"blocks.{i}.mlp.fc2")
    return x.transpose(1, 2).unflatten(2, (rows, -1))


def resized(positions: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """(1, rows, columns, C) by bicubic interpolation."""
    channel_first = positions.permute(0, 3, 1, 2)
    return F.interpolate(channel_first, grid, mode="bicubic").permute(0, 2, 3, 1)


def vit_sam(**kwargs) -> torch.nn.Module:
    settings = dict(arch=ARCH, img_size=224, out_channels=0, window_size=0) | kwargs
    return MODELS.build(ConfigDict(type="mmpretrain.ViTSAM", **settings))


def saved(folder, state: dict, key: str = "model"):
    torch.save({key: state}, folder / f"{key}.pth")
    return folder / f"{key}.pth"


def load(folder, backbone, state: dict, key: str = "model"):
    return load_into(backbone, *read_checkpoint(saved(folder, state, key)))


@pytest.mark.parametrize("names", ["mae", "mmpretrain"])
def test_it_computes_what_the_vit_computes(names, tmp_path):
    state = mae_state()
    path = saved(tmp_path, state)
    if names == "mmpretrain":
        ours, _ = read_checkpoint(path)
        path = saved(tmp_path, ours | {"head.layers.head.weight": torch.ones(1)}, "state_dict")
    backbone = vit_sam()
    backbone.eval()
    report = load_into(backbone, *read_checkpoint(path))
    image = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.allclose(backbone(image)[0], plain_vit(state, image), atol=1e-4)
    assert report.missing == {}
    assert report.new == [
        f"layers.{i}.attn.rel_pos_{axis}" for i in range(LAYERS) for axis in ("h", "w")
    ]
    assert report.resized == {
        "pos_embed": "(1, 197, 64) to (1, 14, 14, 64), without the class token's"
    }
    assert len(report.matched) == 2 + 12 * LAYERS
    other = "decoder_embed.weight" if names == "mae" else "head.layers.head.weight"
    assert report.ignored == {
        other: "not part of the encoder",
        "backbone.cls_token": "this backbone does not have it",
        "backbone.ln1.weight": "this backbone does not have it",
        "backbone.ln1.bias": "this backbone does not have it",
    }


def test_positions_are_resized_by_bicubic_interpolation(tmp_path):
    state = mae_state()
    backbone = vit_sam(img_size=(320, 240))
    report = load(tmp_path, backbone, state)
    expected = resized(state["pos_embed"][:, 1:].unflatten(1, (14, 14)), (20, 15))
    assert torch.equal(backbone.pos_embed, expected)
    assert report.resized == {
        "pos_embed": "(1, 197, 64) to (1, 20, 15, 64), without the class token's"
    }


def test_windows_and_channel_reduction_are_new(tmp_path):
    windowed = ARCH | dict(global_attn_indexes=[1])
    backbone = vit_sam(arch=windowed, window_size=7, out_channels=16, img_size=448)
    report = load(tmp_path, backbone, mae_state())
    assert report.missing == {}
    assert {name.split(".")[0] for name in report.new} == {"layers", "channel_reduction"}
    tables = [layer.attn.rel_pos_h.shape[0] for layer in backbone.layers]
    assert tables == [13, 55, 13]
    assert backbone(torch.randn(1, 3, 200, 300))[0].shape == (1, 16, 13, 19)


def test_its_own_checkpoint_comes_back_at_another_size(tmp_path):
    torch.manual_seed(0)
    tuned = vit_sam(use_rel_pos=False)
    torch.nn.init.normal_(tuned.pos_embed)
    state = {f"backbone.{name}": value for name, value in tuned.state_dict().items()}
    backbone = vit_sam(use_rel_pos=False, img_size=320)
    report = load(tmp_path, backbone, state, "state_dict")
    assert (report.missing, report.new, report.coverage) == ({}, [], 1.0)
    assert report.resized == {"pos_embed": "(1, 14, 14, 64) to (1, 20, 20, 64)"}
    assert torch.equal(backbone.pos_embed, resized(tuned.pos_embed, (20, 20)))


def test_a_vit_without_class_token_takes_the_checkpoint_too(tmp_path):
    state = mae_state()
    vit = dict(type="mmpretrain.VisionTransformer", arch=ARCH, img_size=224, with_cls_token=False,
               out_type="featmap", final_norm=False)  # fmt: skip
    backbone = MODELS.build(ConfigDict(vit))
    backbone.eval()
    load(tmp_path, backbone, state)
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.allclose(backbone(image)[0], plain_vit(state, image), atol=1e-4)


def test_positions_of_no_square_grid_are_refused(tmp_path):
    state = mae_state()
    state["pos_embed"] = torch.zeros(1, 301, DIMS)
    with pytest.raises(CheckpointError, match=r"pos_embed: \(1, 301, 64\) in the checkpoint"):
        load(tmp_path, vit_sam(), state)


def test_the_initialiser_keeps_what_it_loaded(tmp_path):
    state = mae_state()
    init_cfg = dict(type="mmspec.PretrainedEncoder", checkpoint=str(saved(tmp_path, state)))
    backbone = vit_sam(init_cfg=init_cfg)
    for _ in range(2):
        backbone.init_weights()
        assert torch.equal(backbone.pos_embed.flatten(1, 2), state["pos_embed"][:, 1:])
        assert torch.equal(backbone.layers[2].attn.qkv.weight, state["blocks.2.attn.qkv.weight"])
        assert torch.equal(
            backbone.layers[1].ffn.layers[1].weight, state["blocks.1.mlp.fc2.weight"]
        )
