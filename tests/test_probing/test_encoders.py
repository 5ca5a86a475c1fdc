"""Encoders of every kind under the probe: which maps they give, and random ones like them."""

import re

import pytest
import torch
from layouts import write_any

from mmspec import load_encoder
from mmspec.models.backbones import ConvViT, MaskedSwin, MaskedViT
from mmspec.probing import FrozenEncoder, ProbeError, probe

VIT = dict(embed_dims=192, num_layers=6, num_heads=3, feedforward_channels=768)
MAE_NAMES = [
    (r"^layers\.(\d+)\.ln", r"blocks.\1.norm"), (r"^layers", "blocks"), (r"^ln1", "norm"),
    (r"ffn\.layers\.0\.0", "mlp.fc1"), (r"ffn\.layers\.1", "mlp.fc2"), ("projection", "proj"),
]  # fmt: skip
SWIN = dict(embed_dims=12, depths=[1, 1, 2, 1], num_heads=[1, 2, 3, 4])
NETWORKS = {
    "vit": (lambda: MaskedViT(VIT, img_size=64), ["block2", "block3", "block4", "block6"]),
    "swin": (
        lambda: MaskedSwin(SWIN, img_size=64, pretraining=True, token_dims=48),
        ["F1", "F2", "F3", "F4"],
    ),
    "conv": (lambda: ConvViT("tiny", pretraining=True), ["F1", "F2", "F3"]),
}


@pytest.fixture(params=NETWORKS)
def saved(request, tmp_path):
    build, names = NETWORKS[request.param]
    torch.manual_seed(0)
    network = build()
    network.init_weights()
    state = {f"backbone.{name}": value for name, value in network.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / "epoch_1.pth")
    return str(tmp_path / "epoch_1.pth"), names, network


def test_maps_of_a_checkpoint_and_of_random_weights_like_it(saved):
    path, names, network = saved
    encoder = FrozenEncoder(path)
    like = [FrozenEncoder("random", path, seed) for seed in (0, 0, 1)]
    images = torch.randint(0, 255, (2, 1, 64, 64), generator=torch.manual_seed(1))
    maps = [one(images) for one in (encoder, *like)]
    assert list(maps[0]) == names
    shapes = [{name: value.shape for name, value in one.items()} for one in maps]
    assert shapes[0] == shapes[1]
    last = names[-1]
    assert torch.equal(maps[1][last], maps[2][last])
    assert not torch.allclose(maps[0][last], maps[1][last])
    assert not torch.allclose(maps[1][last], maps[3][last])
    assert like[0].key == like[1].key != like[2].key
    # Weights as they start: of the scale of those that the network was made with.
    own, drawn = network.state_dict(), like[0].backbone.state_dict()
    for name, value in drawn.items():
        if name in own and value.is_floating_point() and value.numel() > 1000:
            assert value.std().item() == pytest.approx(own[name].std().item(), rel=0.2), name


def test_images_are_normalised_as_the_encoder_was_trained(tmp_path):
    network = MaskedViT(VIT, img_size=64)
    network.init_weights()
    state = {f"backbone.{name}": value for name, value in network.state_dict().items()}
    config = (
        "model = dict(backbone=dict(type='mmspec.MaskedViT'), data_preprocessor=dict("
        "type='mmspec.RGBTDataPreprocessor', options=dict(a=1), "
        "mean_infrared=[120.0, 110.0, 100.0], std_infrared=[50.0, 60.0, 70.0], "
        "mean_visible=[1, 1, 1], std_visible=[1, 1, 1]))"
    )
    images = torch.randint(0, 255, (2, 1, 64, 64))
    mean, std = torch.tensor([[120.0, 110, 100], [50.0, 60, 70]])[..., None, None]
    for name, meta in (("run.pth", dict(cfg=config)), ("bare.pth", {})):
        torch.save(dict(state_dict=state, meta=meta), tmp_path / name)
    found = FrozenEncoder(str(tmp_path / "run.pth"))
    torch.testing.assert_close(found(images)["block6"], found.maps((images - mean) / std)[-1])
    random = FrozenEncoder("random", str(tmp_path / "run.pth"))
    assert random.mean_std == found.mean_std == ([120.0, 110, 100], [50.0, 60, 70])
    assert FrozenEncoder(str(tmp_path / "bare.pth")).mean_std == ([108.375], [51.0])


def test_published_files_of_colours_are_known_by_their_layout(tmp_path):
    network = MaskedViT(VIT, img_size=64)
    network.init_weights()
    renamed = {}
    for name, value in network.state_dict().items():
        for ours, theirs in MAE_NAMES:
            name = re.sub(ours, theirs, name)
        renamed[name] = value
    torch.save(dict(model=renamed), tmp_path / "mae.pth")
    found = FrozenEncoder(str(tmp_path / "mae.pth"))
    assert found.mean_std == ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def test_blocks_of_a_vit_are_its_depths(tmp_path):
    network = MaskedViT(VIT)
    network.init_weights()
    torch.save(network.state_dict(), tmp_path / "vit.pth")
    images = torch.randint(0, 255, (1, 1, 64, 64))
    found = FrozenEncoder(str(tmp_path / "vit.pth"))(images)
    x = ((images - 108.375) / 51).repeat(1, 3, 1, 1)
    tokens = network.patch_tokens(x)
    tokens = torch.cat([(network.cls_token + network.pos_embed[:, :1]), tokens], 1)
    for number, layer in enumerate(network.layers, 1):
        tokens = layer(tokens)
        if (name := f"block{number}") in found:
            last = network.ln1(tokens) if number == 6 else tokens
            expected = last[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
            torch.testing.assert_close(found[name], expected, atol=1e-5, rtol=1e-5)
    assert list(found) == ["block2", "block3", "block4", "block6"]


def test_a_swin_transformer_is_loaded_by_its_tensors(tmp_path):
    network = MaskedSwin(SWIN, img_size=64)
    torch.save(network.state_dict(), tmp_path / "swin.pth")
    found, report = load_encoder(tmp_path / "swin.pth", out_indices=(3,))
    assert isinstance(found, MaskedSwin) and report.coverage == 1 and not report.missing
    x = torch.randn(1, 3, 64, 64)
    network.eval()
    torch.testing.assert_close(found(x), network(x))


def test_a_map_alone_and_one_that_is_not_there(saved, tmp_path):
    path, names, _ = saved
    write_any(tmp_path, "EyeDataset", ("train", "test"), count=2)
    given = dict(out=tmp_path, size=64, seeds=(0,), judges=["neighbours"], rolled=False)
    records = probe(path, "EyeDataset", str(tmp_path), maps=names[-1:], **given)
    assert [one["map"] for one in records] == names[-1:]
    with pytest.raises(ProbeError, match=f"no map 'F7': {names[0]}, {names[1]}"):
        probe(path, "EyeDataset", str(tmp_path), maps=["F7"], **given)


def test_a_size_that_the_coarsest_map_does_not_divide(tmp_path):
    network = MaskedSwin(SWIN, img_size=64)
    torch.save(network.state_dict(), tmp_path / "swin.pth")
    write_any(tmp_path, "EyeDataset", ("train", "test"), count=2)
    with pytest.raises(ProbeError, match="size=80: a multiple of 32"):
        probe(str(tmp_path / "swin.pth"), "EyeDataset", str(tmp_path), out=tmp_path, size=80)


def test_the_infrared_images_of_pairs(tmp_path):
    write_any(tmp_path, "MSRSDataset", ("train", "test"), count=2)
    given = dict(out=tmp_path, size=64, seeds=(0,), judges=["neighbours"], rolled=False)
    records = probe("pixels", "MSRSDataset", str(tmp_path), **given)
    assert len(records[0]["IoU"]) == 9 and np_finite(records[0]["mIoU"])
    with pytest.raises(ValueError, match="does not load what modality='both' means"):
        probe("pixels", "MSRSDataset", str(tmp_path), modality="both", **given)


def np_finite(value: float) -> bool:
    return value == value and 0 <= value <= 100
