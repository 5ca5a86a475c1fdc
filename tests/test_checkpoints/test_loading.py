import re
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS

from mmspec.checkpoints import load_encoder, load_into, read_checkpoint
from mmspec.checkpoints.reader import CheckpointInfo
from mmspec.checkpoints.safe_load import CheckpointError, load_file
from mmspec.masking import PatchMask
from mmspec.models.backbones import ConvViT, MaskedViT
from mmspec.models.heads import ReconstructionHead
from mmspec.models.necks import InfMAEDecoder
from mmspec.models.selfsup import InfMAE

ARCH = dict(embed_dims=(8, 12, 16), depths=(1, 2, 3), num_heads=2, mlp_ratios=(4, 3, 2))
INFO = CheckpointInfo("a.pth", "test")


def pretrained(**kwargs) -> InfMAE:
    torch.manual_seed(0)
    model = InfMAE(
        backbone=ConvViT(ARCH, pretraining=True, out_indices=(0, 1, 2), **kwargs),
        neck=InfMAEDecoder(16, 8, 1, 2),
        head=ReconstructionHead(),
    )
    return model


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "own.pth"
    torch.save({"state_dict": pretrained().state_dict(), "meta": {"epoch": 3, "iter": 7}}, path)
    return path


def mae_state(dims=128, layers=2, patches=196) -> dict[str, torch.Tensor]:
    """Names and shapes of facebookresearch/mae."""
    shapes = {
        "cls_token": (1, 1, dims),
        "pos_embed": (1, patches + 1, dims),
        "patch_embed.proj.weight": (dims, 3, 16, 16),
        "patch_embed.proj.bias": (dims,),
        "norm.weight": (dims,),
        "norm.bias": (dims,),
        "mask_token": (1, 1, 64),
        "decoder_embed.weight": (64, dims),
    }
    for i in range(layers):
        for name, shape in {
            "norm1.weight": (dims,), "norm1.bias": (dims,), "attn.qkv.weight": (3 * dims, dims),
            "attn.qkv.bias": (3 * dims,), "attn.proj.weight": (dims, dims),
            "attn.proj.bias": (dims,), "norm2.weight": (dims,), "norm2.bias": (dims,),
            "mlp.fc1.weight": (4 * dims, dims), "mlp.fc1.bias": (4 * dims,),
            "mlp.fc2.weight": (dims, 4 * dims), "mlp.fc2.bias": (dims,),
        }.items():  # fmt: skip
            shapes[f"blocks.{i}.{name}"] = shape
    generator = torch.Generator().manual_seed(0)
    return {k: torch.randn(v, generator=generator) * 0.05 for k, v in shapes.items()}


def test_own_training_checkpoint_gives_the_same_features(checkpoint):
    backbone, report = load_encoder(checkpoint, arch=dict(num_heads=2), out_indices=(0, 1, 2))
    assert (report.missing, report.new, report.resized, report.coverage) == ({}, [], {}, 1.0)
    assert set(report.ignored.values()) == {
        "not part of the encoder",
        "this backbone does not have it",
    }
    assert report.info.layout == "mmspec" and report.info.epoch == 3
    image = torch.randn(1, 3, 48, 64)
    for f, g in zip(backbone(image), pretrained().eval().extract_feat(image)):
        assert torch.equal(f, g)


def test_new_layers_are_called_new(checkpoint):
    backbone, report = load_encoder(checkpoint, dict(num_heads=2), use_rel_pos=True)
    assert {name.split(".")[-1] for name in report.new} == {
        "weight",
        "bias",
        "rel_pos_h",
        "rel_pos_w",
    }
    assert report.coverage == 1.0
    assert "2 new" not in str(report) and "8 new" in str(report)


def test_windows_take_any_checkpoint_and_their_tables_are_new(checkpoint, tmp_path):
    args = dict(arch=dict(num_heads=2), use_rel_pos=True, window_size=7, out_indices=(2,))
    backbone, report = load_encoder(checkpoint, **args)
    assert report.new == [f"stages.2.{i}.attn.rel_pos_{axis}" for i in range(3) for axis in "hw"]
    assert (report.missing, report.coverage) == ({}, 1.0)
    assert [block.attn.rel_pos_h.shape[0] for block in backbone.stages[2]] == [13, 27, 13]
    # Back from what it was tuned to: block 1 tells the grid of positions, not the windows'.
    torch.save(backbone.state_dict(), tmp_path / "tuned.pth")
    tuned, report = load_encoder(tmp_path / "tuned.pth", **args)
    assert (report.new, report.resized, tuned.pretrain_grid) == ([], {}, 14)
    with pytest.raises(CheckpointError, match="Give the settings it was trained with"):
        load_encoder(tmp_path / "tuned.pth", **args | dict(window_size=0))


def test_heads_of_no_named_arch_must_be_given(checkpoint):
    with pytest.raises(ValueError, match="num_heads"):
        load_encoder(checkpoint)


@pytest.mark.parametrize("written", ["{}", "import os\n{}", "model = dict(\n", "model = TINY\n"])
def test_heads_are_those_of_the_config_of_the_training(written, checkpoint, tmp_path):
    config = Config(dict(model=dict(backbone=dict(type="mmspec.ConvViT", arch=ARCH)))).pretty_text
    content = load_file(checkpoint)
    content["meta"] = dict(cfg=written.format(config))
    torch.save(content, tmp_path / "epoch_3.pth")
    if "{}" not in written:  # none that can be read
        with pytest.raises(CheckpointError, match="give arch=dict"):
            load_encoder(tmp_path / "epoch_3.pth")
        return
    assert load_encoder(tmp_path / "epoch_3.pth")[0].arch["num_heads"] == 2
    with pytest.raises(CheckpointError, match="trained with num_heads=2, this backbone has 4"):
        load_encoder(tmp_path / "epoch_3.pth", dict(num_heads=4))


def test_heads_of_a_vit_are_not_guessed_and_are_compared(tmp_path):
    small = MaskedViT("small", img_size=32)  # as wide as the base, with 8 heads
    torch.save({f"backbone.{k}": v for k, v in small.state_dict().items()}, tmp_path / "vit.pth")
    with pytest.raises(CheckpointError, match=r"give arch=dict\(num_heads=...\)"):
        load_encoder(tmp_path / "vit.pth")
    backbone, report = load_encoder(tmp_path / "vit.pth", "small", img_size=32)
    assert backbone.layers[0].attn.num_heads == 8 and report.coverage == 1
    state, info = read_checkpoint(tmp_path / "vit.pth")
    info = replace(info, arch=dict(num_heads=12))
    with pytest.raises(CheckpointError, match="trained with num_heads=12, this backbone has 8"):
        load_into(small, state, info)


def test_a_conv_vit_without_its_last_stage_says_how_it_is_loaded(tmp_path):
    part = ConvViT(ARCH, out_indices=(0, 1))
    torch.save({f"backbone.{k}": v for k, v in part.state_dict().items()}, tmp_path / "two.pth")
    with pytest.raises(CheckpointError, match=r"without stage 3.*load_into\(backbone, state"):
        load_encoder(tmp_path / "two.pth", ARCH, out_indices=(0, 1))
    assert load_into(part, *read_checkpoint(tmp_path / "two.pth")).coverage == 1


def test_named_archs_are_recognised(tmp_path):
    with torch.device("meta"):
        state = ConvViT("tiny", out_indices=(0, 1, 2)).state_dict()
    torch.save({k: torch.zeros(v.shape) for k, v in state.items()}, tmp_path / "bare.pth")
    backbone, report = load_encoder(tmp_path / "bare.pth")
    assert backbone.arch["num_heads"] == 4
    assert report.info.layout == "mmspec backbone"


def test_official_file_by_its_own_names(golden_root):
    backbone, report = load_encoder(golden_root / "infmae_small_official.pth", dict(num_heads=4))
    assert len(report.matched) == 106 and report.missing == {}
    assert report.new == ["downsample.weight", "downsample.bias"]
    assert [tuple(f.shape) for f in backbone(torch.zeros(1, 3, 64, 64))] == [
        (1, 16, 16, 16), (1, 24, 8, 8), (1, 48, 4, 4), (1, 48, 2, 2)
    ]  # fmt: skip


@pytest.mark.parametrize("prefix", ["module.", "model.", "module._orig_mod."])
def test_prefix_of_a_wrapper_is_taken_off(prefix, tmp_path):
    state = {prefix + k: v for k, v in pretrained().state_dict().items()}
    torch.save({"model": state}, tmp_path / "ddp.pth")
    assert load_encoder(tmp_path / "ddp.pth", dict(num_heads=2))[1].coverage == 1.0


def test_tensors_lie_deeper_or_are_not_found_by_what_there_is(tmp_path):
    state = pretrained().state_dict()
    torch.save({"model": {"epoch": 3, "state_dict": state}}, tmp_path / "deeper.pth")
    assert load_encoder(tmp_path / "deeper.pth", dict(num_heads=2))[1].coverage == 1.0
    torch.save({"student": state, "epoch": 3}, tmp_path / "dino.pth")
    with pytest.raises(CheckpointError, match=r"dino\.pth: 0 .*student: OrderedDict, epoch: int"):
        read_checkpoint(tmp_path / "dino.pth")
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match=r"list\.pth: 0 tensors \(only file: list"):
        read_checkpoint(tmp_path / "list.pth")


def test_weights_of_a_training_that_diverged_are_refused(checkpoint):
    content = torch.load(checkpoint)
    content["state_dict"]["backbone.norm.weight"][2] = torch.nan
    torch.save(content, checkpoint)
    with pytest.raises(CheckpointError, match=r"own\.pth: backbone\.norm\.weight holds NaN"):
        load_encoder(checkpoint, dict(num_heads=2), min_coverage=0)


def test_mae_checkpoint_computes_what_a_vit_computes(tmp_path):
    state = mae_state()
    torch.save({"model": state}, tmp_path / "mae.pth")
    backbone, report = load_encoder(tmp_path / "mae.pth", arch=dict(num_heads=2))
    assert isinstance(backbone, MaskedViT)
    assert (report.missing, report.coverage) == ({}, 1.0)
    assert report.ignored == {
        "mask_token": "not part of the encoder", "decoder_embed.weight": "not part of the encoder"
    }  # fmt: skip
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        ours = backbone(image)[0].flatten(2).transpose(1, 2)
        assert torch.allclose(ours, _plain_vit(state, image)[:, 1:], atol=1e-4)


def _plain_vit(state, image):
    """A ViT of the MAE file's names, written out."""
    from torch.nn import functional as F

    def linear(x, name):
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    x = F.conv2d(image, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], 16)
    x = torch.cat([state["cls_token"], x.flatten(2).transpose(1, 2)], 1) + state["pos_embed"]
    for i in range(2):
        q, k, v = linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn.qkv").view(
            1, 197, 3, 2, 64).permute(2, 0, 3, 1, 4)  # fmt: skip
        attention = (q @ k.transpose(-1, -2) / 8).softmax(-1) @ v
        x = x + linear(attention.transpose(1, 2).flatten(2), f"blocks.{i}.attn.proj")
        hidden = F.gelu(linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.fc1"))
        x = x + linear(hidden, f"blocks.{i}.mlp.fc2")
    return norm(x, "norm")


def test_positions_of_a_vit_are_resized_and_said_so(tmp_path):
    torch.save({"model": mae_state()}, tmp_path / "mae.pth")
    backbone, report = load_encoder(
        tmp_path / "mae.pth", arch=dict(num_heads=2), img_size=(320, 240)
    )
    assert report.resized == {"pos_embed": "(1, 197, 128) to (1, 301, 128)"}
    assert backbone(torch.zeros(1, 3, 320, 240))[0].shape == (1, 128, 20, 15)


@pytest.mark.parametrize("size", [(112, 448), (96, 160), (128, 128)])
def test_positions_are_those_of_the_grid_they_were_made_for(size, tmp_path):
    """7 x 28 patches are as many as 14 x 14."""
    arch = dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=64)
    trained = MaskedViT(arch, img_size=size)
    trained.init_weights()
    trained.eval()
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "vit.pth")
    again, report = load_encoder(tmp_path / "vit.pth", dict(num_heads=2))
    image = torch.randn(1, 3, *size)
    assert report.resized == {} and torch.equal(again(image)[0], trained(image)[0])
    square, report = load_encoder(tmp_path / "vit.pth", dict(num_heads=2), img_size=224)
    assert list(report.resized) == ["pos_embed"]
    with torch.no_grad():
        trained.pos_embed.normal_()  # learned: no table tells the grid, the training's config does
    cfg = f"model = dict(backbone=dict(img_size={size}))"
    content = {"state_dict": trained.state_dict(), "meta": dict(cfg=cfg)}
    torch.save(content, tmp_path / "vit.pth")
    again, report = load_encoder(tmp_path / "vit.pth", dict(num_heads=2))
    assert report.resized == {} and torch.equal(again(image)[0], trained(image)[0])


def test_the_unit_of_positions_is_that_of_the_training(tmp_path):
    content = {"state_dict": pretrained(pretrain_grid=7).state_dict()}
    content["meta"] = dict(cfg="model = dict(backbone=dict(pretrain_grid=7))")
    torch.save(content, tmp_path / "own.pth")
    assert load_encoder(tmp_path / "own.pth", dict(num_heads=2))[0].pretrain_grid == 7


def test_one_channel_input_is_exact_for_equal_channels(checkpoint):
    three, _ = load_encoder(checkpoint, dict(num_heads=2), out_indices=(0,))
    one, report = load_encoder(checkpoint, dict(num_heads=2), out_indices=(0,), in_channels=1)
    assert list(report.resized) == ["embeds.0.proj.weight"]
    gray = torch.randn(1, 1, 32, 32)
    assert torch.allclose(one(gray)[0], three(gray.expand(-1, 3, -1, -1))[0], atol=1e-5)


IMAGENET = dict(trained_mean=(123.675, 116.28, 103.53), trained_std=(58.395, 57.12, 57.375))


@pytest.mark.parametrize("size", [(32, 48), (30, 41)])
def test_one_channel_in_pre_training_is_exact(checkpoint, size):
    """The masked and the dense forward, padded too; double precision leaves no doubt."""
    three = pretrained().backbone.double().eval()
    weights = dict(type="mmspec.PretrainedEncoder", checkpoint=str(checkpoint))
    one = ConvViT(ARCH, in_channels=1, pretraining=True, init_cfg=weights)
    one.init_weights()
    gray = torch.randn(2, 1, *size, dtype=torch.float64)
    pairs = list(zip(one.double().eval()(gray), three(gray.expand(-1, 3, -1, -1)), strict=True))
    if size == (32, 48):
        mask = PatchMask.from_keep(torch.tensor([[1, 4], [0, 5]]), (2, 3))
        pairs.append((one(gray, mask), three(gray.expand(-1, 3, -1, -1), mask)))
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_one_channel_of_a_plain_vit(tmp_path):
    torch.save({"model": mae_state()}, tmp_path / "mae.pth")
    three, _ = load_encoder(tmp_path / "mae.pth", dict(num_heads=2))
    one, report = load_encoder(tmp_path / "mae.pth", dict(num_heads=2), in_channels=1)
    assert report.resized == {
        "patch_embed.projection.weight": "(128, 3, 16, 16) to (128, 1, 16, 16),"
        " three equal channels as one"
    }
    gray = torch.randn(1, 1, 224, 224)
    found, expected = one(gray)[0], three(gray.expand(-1, 3, -1, -1))[0]
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_one_channel_under_means_that_differ(tmp_path):
    """ImageNet's statistics: the kernel alone cannot be exact, with the bias it is."""
    torch.save({"model": mae_state()}, tmp_path / "mae.pth")
    three, _ = load_encoder(tmp_path / "mae.pth", dict(num_heads=2))
    gray = dict(mean=100.0, std=50.0, **IMAGENET)
    one, report = load_encoder(tmp_path / "mae.pth", dict(num_heads=2), in_channels=1, gray=gray)
    assert report.resized == dict.fromkeys(
        ["patch_embed.projection.weight", "patch_embed.projection.bias"],
        "three channels as one, normalised by mean=100.0, std=50.0",
    )
    levels = torch.randint(0, 256, (1, 1, 224, 224)).double()
    mean, std = (levels.new_tensor(IMAGENET[k])[:, None, None] for k in IMAGENET)
    found, expected = one.double()((levels - 100) / 50)[0], three.double()((levels - mean) / std)[0]
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    summed, _ = load_encoder(tmp_path / "mae.pth", dict(num_heads=2), in_channels=1)
    assert (summed.double()((levels - 100) / 50)[0] - expected).abs().max() > 0.01


def test_gray_without_three_channels_to_fold_is_an_error(tmp_path):
    torch.save({"model": mae_state()}, tmp_path / "mae.pth")
    gray = dict(mean=100.0, std=50.0, **IMAGENET)
    with pytest.raises(CheckpointError, match="set in_channels=1, or leave gray out"):
        load_encoder(tmp_path / "mae.pth", dict(num_heads=2), gray=gray)
    with pytest.raises(ValueError, match="three values each"):
        load_encoder(tmp_path / "mae.pth", dict(num_heads=2), gray=gray | dict(trained_std=(1,)))


def test_learned_positions_are_refused(tmp_path, golden_root):
    official = torch.load(golden_root / "infmae_small_official.pth", weights_only=False)["model"]
    official["pos_embed"] = torch.randn_like(official["pos_embed"])
    torch.save({"model": official}, tmp_path / "learned.pth")
    with pytest.raises(ValueError, match="pos_embed is not the fixed sine-cosine table"):
        read_checkpoint(tmp_path / "learned.pth")


def test_another_arch_is_an_error_that_shows_the_shapes():
    state = pretrained().state_dict()
    other = ConvViT({**ARCH, "embed_dims": (8, 12, 32)})
    with pytest.raises(CheckpointError, match=r"tensors have another shape") as error:
        load_into(other, state, INFO)
    assert "proj.weight: (16, 12, 2, 2) in the checkpoint, (32, 12, 2, 2) here" in str(error.value)
    report = load_into(other, state, INFO, min_coverage=0)
    assert 0 < report.coverage < 0.5


def test_deeper_encoder_misses_blocks_and_says_which():
    deeper = ConvViT({**ARCH, "depths": (1, 2, 4)})
    report = load_into(deeper, pretrained().state_dict(), INFO, min_coverage=0.5)
    assert {name.split(".")[2] for name in report.missing} == {"3"}
    assert set(report.missing.values()) == {"not in the checkpoint"}


def test_a_shallower_backbone_would_lose_blocks():
    shallow = ConvViT({**ARCH, "depths": (1, 2, 1)})
    with pytest.raises(CheckpointError, match=r"only [\d.]+ % of the encoder"):
        load_into(shallow, pretrained().state_dict(), INFO)


def test_relative_positions_come_back(tmp_path):
    torch.manual_seed(0)
    encoder = ConvViT(ARCH, use_rel_pos=True, pretrain_grid=7).eval()
    for block in encoder.stages[2]:
        torch.nn.init.normal_(block.attn.rel_pos_h)
    torch.save(encoder.state_dict(), tmp_path / "tuned.pth")
    backbone, report = load_encoder(tmp_path / "tuned.pth", dict(num_heads=2))
    assert (report.coverage, report.ignored, report.new) == (1.0, {}, [])
    image = torch.randn(1, 3, 64, 64)
    for f, g in zip(backbone(image), encoder(image)):
        assert torch.equal(f, g)


def test_patch_size_and_heads_of_a_published_vit_are_inferred(tmp_path):
    state = mae_state(dims=192, layers=1, patches=256)
    state["patch_embed.proj.weight"] = torch.zeros(192, 3, 14, 14)
    torch.save({"model": state}, tmp_path / "p14.pth")
    backbone, report = load_encoder(tmp_path / "p14.pth")
    assert backbone.patch_embed.projection.kernel_size == (14, 14) and report.resized == {}
    assert backbone.layers[0].attn.num_heads == 3
    state = mae_state(dims=64, layers=1)
    torch.save({"model": state}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match="num_heads"):
        load_encoder(tmp_path / "odd.pth")


def test_a_vit_with_other_layers_is_refused(tmp_path):
    state = mae_state()
    state["blocks.0.ls1.gamma"] = torch.ones(128)
    torch.save({"model": state}, tmp_path / "dino.pth")
    with pytest.raises(CheckpointError, match=r"blocks\.0\.ls1\.gamma"):
        load_encoder(tmp_path / "dino.pth", dict(num_heads=2))


def test_positions_of_another_pretraining_size_are_kept(tmp_path, golden_root):
    from mmspec.models.layers.position import sincos_positions

    official = torch.load(golden_root / "infmae_small_official.pth", weights_only=False)["model"]
    official["pos_embed"] = sincos_positions((28, 28), 48, 28)[None]
    torch.save({"model": official}, tmp_path / "p448.pth")
    backbone, report = load_encoder(tmp_path / "p448.pth", dict(num_heads=4))
    assert backbone.pretrain_grid == report.info.pretrain_grid == 28
    state, info = read_checkpoint(tmp_path / "p448.pth")
    with pytest.raises(CheckpointError, match="set pretrain_grid=28"):
        load_into(ConvViT(backbone.arch), state, info)


def test_another_model_is_no_silent_start_from_scratch(tmp_path):
    torch.save({"state_dict": {"backbone.conv1.weight": torch.ones(1)}}, tmp_path / "resnet.pth")
    with pytest.raises(ValueError, match=r"resnet\.pth: 1 tensors \(backbone\.conv1\.weight"):
        read_checkpoint(tmp_path / "resnet.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(ValueError, match=r"empty\.pth: 0 tensors"):
        read_checkpoint(tmp_path / "empty.pth")


def build(checkpoint, **kwargs):
    init_cfg = dict(type="mmspec.PretrainedEncoder", checkpoint=str(checkpoint))
    return MODELS.build(ConfigDict(type="mmspec.ConvViT", arch=ARCH, init_cfg=init_cfg, **kwargs))


def test_initialiser_loads_after_random_values(checkpoint):
    backbone = build(checkpoint, out_indices=(0, 1, 2))
    backbone.init_weights()
    expected = pretrained().state_dict()
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, expected[f"backbone.{name}"]), name


def test_initialiser_stands_a_second_call_and_must_come_last(checkpoint):
    backbone = build(checkpoint)
    backbone.init_weights()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    backbone.init_weights()
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())
    backbone = build(checkpoint)
    backbone.init_cfg = [backbone.init_cfg, dict(type="Kaiming", layer="Conv2d")]
    with pytest.raises(ValueError, match="put it last"):
        backbone.init_weights()


def test_initialiser_refuses_another_model(tmp_path):
    torch.save({"model": mae_state()}, tmp_path / "mae.pth")
    with pytest.raises(CheckpointError, match="only 0.0 % of the encoder"):
        build(tmp_path / "mae.pth").init_weights()


def test_initialiser_on_a_whole_model_says_where_it_belongs(checkpoint):
    init_cfg = dict(type="mmspec.PretrainedEncoder", checkpoint=str(checkpoint))
    model = pretrained()
    model.init_cfg = init_cfg
    with pytest.raises(ValueError, match="write it into the backbone's config"):
        model.init_weights()


@pytest.mark.parametrize("type_", ["mmspec.MaskedViT", "mmpretrain.VisionTransformer"])
def test_initialiser_serves_mmpretrains_vit(tmp_path, type_):
    state = mae_state()
    torch.save({"model": state}, tmp_path / "mae.pth")
    arch = dict(embed_dims=128, num_layers=2, num_heads=2, feedforward_channels=512)
    init_cfg = dict(type="mmspec.PretrainedEncoder", checkpoint=str(tmp_path / "mae.pth"))
    vit = MODELS.build(ConfigDict(type=type_, arch=arch, img_size=224, init_cfg=init_cfg))
    vit.init_weights()
    assert torch.equal(vit.pos_embed, state["pos_embed"])
    assert torch.equal(vit.layers[1].ffn.layers[1].weight, state["blocks.1.mlp.fc2.weight"])
    assert torch.equal(vit.patch_embed.projection.weight, state["patch_embed.proj.weight"])


def test_initialiser_serves_mmpretrains_swin(tmp_path):
    """Every map has a norm at fine-tuning, the last alone at pre-training."""
    arch = dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
    swin = dict(type="mmpretrain.SwinTransformer", arch=arch, img_size=64)
    state = MODELS.build(ConfigDict(swin)).state_dict()
    path = tmp_path / "swin.pth"
    torch.save({"state_dict": {f"backbone.{k}": v for k, v in state.items()}}, path)
    init_cfg = dict(type="mmspec.PretrainedEncoder", checkpoint=str(path))
    backbone = MODELS.build(ConfigDict(swin, out_indices=(0, 1, 2, 3), init_cfg=init_cfg))
    backbone.init_weights()
    for name, value in backbone.state_dict().items():
        assert name.startswith(("norm0", "norm1", "norm2")) or torch.equal(value, state[name])
    del state["stages.1.blocks.0.norm1.weight"]
    with pytest.raises(CheckpointError, match="lacks stages.1.blocks.0.norm1.weight"):
        load_into(backbone, {f"backbone.{k}": v for k, v in state.items()}, INFO)


@pytest.mark.parametrize("indices", [(0,), (0, 1), (1, 3)])
def test_maps_that_are_not_built_are_no_loss(checkpoint, indices):
    backbone, report = load_encoder(checkpoint, dict(num_heads=2), out_indices=indices)
    assert (report.missing, report.coverage) == ({}, 1.0)
    assert len(backbone.stages) == min(indices[-1] + 1, 3)
    image = torch.randn(1, 3, 48, 64)
    expected = pretrained().eval().extract_feat(image)
    for f, i in zip(backbone(image), indices):
        assert i == 3 or torch.equal(f, expected[i])


def test_layers_that_are_not_built_are_no_loss(tmp_path):
    torch.save({"model": mae_state(layers=3)}, tmp_path / "mae.pth")
    backbone, report = load_encoder(tmp_path / "mae.pth", dict(num_heads=2), out_indices=(0,))
    assert (len(backbone.layers), report.missing, report.coverage) == (1, {}, 1.0)


#: A ViT's file with these tensors more, these less, and the name that a message must have.
ODD = {
    "query and key norms": ({"blocks.1.attn.q_norm.weight": (64,)}, (), "1.attn.q_norm.weight"),
    "register tokens": ({"reg_token": (1, 4, 128)}, (), "reg_token"),
    "a distillation token": ({"dist_token": (1, 1, 128)}, (), "dist_token"),
    "shared relative positions": ({"rel_pos_bias.table": (732, 2)}, (), "rel_pos_bias.table"),
    "a norm before the layers": ({"norm_pre.weight": (128,)}, (), "norm_pre.weight"),
    "layer scale": ({"blocks.1.ls1.gamma": (128,)}, (), "blocks.1.ls1.gamma"),
    "layer scale of BEiT": ({"blocks.1.gamma_1": (128,)}, (), "blocks.1.gamma_1"),
    "a norm inside the MLP": ({"blocks.0.mlp.norm.bias": (512,)}, (), "blocks.0.mlp.norm.bias"),
    "biases of q and v": (
        {"blocks.1.attn.q_bias": (128,), "blocks.1.attn.v_bias": (128,)},
        ("blocks.1.attn.qkv.bias",),
        "blocks.1.attn.q_bias",
    ),
    "no bias of q, k, v": ({}, ("blocks.1.attn.qkv.bias",), "layers.1.attn.qkv.bias"),
    "no bias of a norm": ({}, ("blocks.1.norm2.bias",), "layers.1.ln2.bias"),
    "no positions": ({}, ("pos_embed",), "pos_embed"),
    "no bias of patches": ({}, ("patch_embed.proj.bias",), "patch_embed.projection.bias"),
}


def odd_vit(folder, kind):
    more, less, name = ODD[kind]
    state = {k: v for k, v in mae_state().items() if k not in less}
    torch.save({"model": state | {k: torch.ones(v) for k, v in more.items()}}, folder / "odd.pth")
    return folder / "odd.pth", name


@pytest.mark.parametrize("kind", ODD)
def test_a_vit_that_almost_fits_is_refused_by_name(kind, tmp_path):
    path, name = odd_vit(tmp_path, kind)
    with pytest.raises(CheckpointError, match=re.escape(name)) as error:
        load_encoder(path, dict(num_heads=2))
    assert "do not go together" in str(error.value) and "min_coverage=0" in str(error.value)
    _, report = load_encoder(path, dict(num_heads=2), min_coverage=0)
    assert any(name in found for found in (*report.missing, *report.ignored))
    arch = dict(embed_dims=128, num_layers=2, num_heads=2, feedforward_channels=512)
    for type_ in ("mmspec.MaskedViT", "mmpretrain.VisionTransformer"):
        init_cfg = dict(type="mmspec.PretrainedEncoder", checkpoint=str(path))
        vit = MODELS.build(dict(type=type_, arch=arch, img_size=224, init_cfg=init_cfg))
        with pytest.raises(CheckpointError, match=re.escape(name)):
            vit.init_weights()
        init_cfg["min_coverage"] = 0
        MODELS.build(dict(type=type_, arch=arch, img_size=224, init_cfg=init_cfg)).init_weights()


def test_settings_make_a_file_without_biases_fit(tmp_path):
    state = {k: v for k, v in mae_state().items() if not k.endswith("qkv.bias")}
    torch.save({"model": state}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match="qkv_bias=False"):
        load_encoder(tmp_path / "odd.pth", dict(num_heads=2))
    _, report = load_encoder(tmp_path / "odd.pth", dict(num_heads=2), qkv_bias=False)
    assert (report.missing, report.coverage) == ({}, 1.0)


def test_gated_mlps_are_refused(tmp_path):
    state = {k: v for k, v in mae_state().items() if ".mlp." not in k}
    for i in range(2):
        state |= {f"blocks.{i}.mlp.w12.weight": torch.ones(512, 128)}
        state |= {f"blocks.{i}.mlp.w3.weight": torch.ones(128, 256)}
    torch.save({"model": state}, tmp_path / "swiglu.pth")
    with pytest.raises(CheckpointError, match="SwiGLU"):
        load_encoder(tmp_path / "swiglu.pth", dict(num_heads=2))
    arch = dict(num_heads=2, feedforward_channels=256)
    with pytest.raises(CheckpointError, match=r"blocks\.0\.mlp\.w12\.weight"):
        load_encoder(tmp_path / "swiglu.pth", arch)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("layers.0.attn.gamma1.weight", (16,)),
        ("layers.1.attn.q_norm.weight", (8,)),
        ("layers.1.attn.rel_pos_h", (3, 8)),
        ("register_tokens", (1, 4, 16)),
        ("pre_norm.weight", (16,)),
    ],
)
@pytest.mark.parametrize("prefix", ["backbone.", ""])
def test_parts_of_an_mmpretrain_vit_are_not_lost(name, shape, prefix, tmp_path):
    arch = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
    vit = MaskedViT(arch=arch, img_size=32)
    state = {prefix + k: v for k, v in vit.state_dict().items()}
    torch.save({"state_dict": state | {prefix + name: torch.ones(shape)}}, tmp_path / "vit.pth")
    source = read_checkpoint(tmp_path / "vit.pth")
    with pytest.raises(CheckpointError, match=rf"no place for the checkpoint's {re.escape(name)}"):
        load_into(vit, *source)
    assert load_into(vit, *source, min_coverage=0).coverage > 0.9
    torch.save({"state_dict": state}, tmp_path / "vit.pth")
    assert load_into(vit, *read_checkpoint(tmp_path / "vit.pth")).coverage == 1.0


@pytest.mark.parametrize(
    "lost", ["stages.2.1.mlp.fc1.bias", "token_proj.bias", "embeds.1.norm.weight"]
)
def test_small_parts_of_a_conv_vit_must_be_there(lost):
    state = pretrained().state_dict()
    del state[f"backbone.{lost}"]
    with pytest.raises(CheckpointError, match=f"the checkpoint lacks {lost}"):
        load_into(ConvViT(ARCH), state, INFO, min_coverage=0.5)
    state = pretrained().state_dict() | {"backbone.stages.2.1.attn.k_norm.weight": torch.ones(8)}
    with pytest.raises(
        CheckpointError, match=r"no place for .* stages\.2\.1\.attn\.k_norm\.weight"
    ):
        load_into(ConvViT(ARCH), state, INFO, min_coverage=0.5)


def test_one_block_less_is_not_all():
    deeper = ConvViT({**ARCH, "depths": (1, 2, 4)})
    with pytest.raises(CheckpointError, match=r"less than min_coverage=1\.0"):
        load_into(deeper, pretrained().state_dict(), INFO)


def test_a_fine_tuned_vit_and_one_without_class_token_are_what_they_were(tmp_path):
    state = mae_state()
    for name in ("norm.weight", "norm.bias"):
        state[f"fc_{name}"] = state.pop(name)
    state["head.weight"] = torch.ones(10, 128)
    torch.save({"model": state}, tmp_path / "tuned.pth")
    backbone, report = load_encoder(tmp_path / "tuned.pth", dict(num_heads=2))
    assert (report.missing, report.coverage, backbone.final_norm) == ({}, 1.0, False)
    arch = dict(embed_dims=128, num_layers=2, num_heads=2, feedforward_channels=512)
    with pytest.raises(CheckpointError, match="final_norm=False"):
        load_into(MaskedViT(arch=arch), *read_checkpoint(tmp_path / "tuned.pth"))
    del state["cls_token"]
    state["pos_embed"] = state["pos_embed"][:, 1:]
    torch.save({"model": state}, tmp_path / "mean.pth")
    backbone, report = load_encoder(tmp_path / "mean.pth", dict(num_heads=2))
    assert (report.missing, report.coverage, backbone.cls_token) == ({}, 1.0, None)
