"""Checkpoints of M-SpecGene and of the matching head as earlier versions wrote them."""

import re

import pytest
import torch
from mmengine.runner import load_checkpoint
from torch import Tensor, nn

from mmspec.checkpoints import read_checkpoint
from mmspec.models.backbones import MaskedViT
from mmspec.models.heads import MatchingHead, ReconstructionHead
from mmspec.models.maskers import RandomPairMasker
from mmspec.models.necks import DualModalityDecoder, InfMAEDecoder
from mmspec.models.selfsup import MSpecGene

VIT = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)


def model() -> MSpecGene:
    return MSpecGene(
        MaskedViT(VIT, img_size=64),
        DualModalityDecoder(16, 8, 2, 2),
        ReconstructionHead(),
        RandomPairMasker(),
    )


def earlier(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of the time when the decoders' blocks were mmpretrain's and one was called thermal."""
    rules = (
        (r"^(neck\..*\.)norm([12])\.", r"\1ln\2."),
        (r"^(neck\..*\.)mlp\.fc1\.", r"\1ffn.layers.0.0."),
        (r"^(neck\..*\.)mlp\.fc2\.", r"\1ffn.layers.1."),
        (r"\binfrared\.", "thermal."),
    )
    renamed = {}
    for name, value in state.items():
        for pattern, old in rules:
            name = re.sub(pattern, old, name)
        renamed[name] = value
    return renamed


@pytest.fixture
def written(tmp_path) -> tuple[str, dict[str, Tensor]]:
    """A checkpoint of an earlier version, and its tensors by today's names."""
    state = model().state_dict()
    old = earlier(state)
    assert "neck.thermal.cross.ffn.layers.0.0.weight" in old
    assert "neck.visible.blocks.1.ln2.bias" in old
    assert "backbone.layers.0.ln1.weight" in old
    torch.save(dict(state_dict=old), tmp_path / "epoch_1.pth")
    return str(tmp_path / "epoch_1.pth"), state


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


def test_a_model_loads_it(written):
    path, expected = written
    for load in (
        lambda net: load_checkpoint(net, path, strict=True),  # what resume and load_from call
        lambda net: net.load_state_dict(torch.load(path)["state_dict"]),
        lambda net: net.neck.load_state_dict(
            {k[5:]: v for k, v in torch.load(path)["state_dict"].items() if k.startswith("neck.")}
        ),
    ):
        fresh = model()
        load(fresh)
        part = {k: v for k, v in fresh.state_dict().items() if k.startswith("neck.")}
        assert same(part, {k: v for k, v in expected.items() if k.startswith("neck.")})


def test_the_reader_gives_todays_names(written):
    path, expected = written
    state, info = read_checkpoint(path)
    assert same(state, expected) and info.ignored == {}


def test_optimizer_states_find_their_parameters():
    """They go by the order in which parameters are registered."""
    decoder = [name for name, _ in InfMAEDecoder(16, 8, 1, 2).named_parameters()]
    assert [name.split(".")[0] for name in decoder if name.endswith(("weight", "token"))] == [
        "mask_token", "embed", *["blocks"] * 6, "norm", "pred",
    ]  # fmt: skip
    names = [name for name, _ in DualModalityDecoder(16, 8, 1, 2).named_parameters()]
    assert names == sorted(names, key=lambda name: name.split(".")[0])
    cross = [name for name in names if name.startswith("infrared.cross.")]
    assert names[:3] == [f"infrared.{n}" for n in ("mask_token", "embed.weight", "embed.bias")]
    assert names[3 : 3 + len(cross)] == cross
    assert [name.removeprefix("infrared.cross.") for name in cross] == [
        "norm1.weight", "norm1.bias", "attn.q_bias", "attn.v_bias", "attn.q.weight",
        "attn.k.weight", "attn.v.weight", "attn.proj.weight", "attn.proj.bias",
        "norm2.weight", "norm2.bias",
        "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias",
    ]  # fmt: skip


def test_a_matching_head_loads_it():
    state = MatchingHead([16, 16], 16).state_dict()
    old = earlier(state)
    assert "embeddings.thermal.maps.0.1.weight" in old
    head = nn.ModuleDict(dict(head=MatchingHead([16, 16], 16)))
    head.load_state_dict({f"head.{name}": value for name, value in old.items()})
    assert same(head["head"].state_dict(), state)
