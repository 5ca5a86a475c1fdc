import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.engine import AdamW, Muon
from mmspec.engine.muon import orthogonalized

OPTIONS = dict(lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 4, 2, 2)
        self.token = nn.Parameter(torch.ones(1, 4))
        self.fc1, self.norm = nn.Linear(4, 6), nn.LayerNorm(6)
        self.pred = nn.Linear(6, 3)

    def forward(self, images):
        tokens = self.embed(images).flatten(2).transpose(1, 2) + self.token
        return self.pred(self.norm(self.fc1(tokens)).relu()).square().mean()


def wrapper(model, **paramwise):
    cfg = dict(
        constructor="mmspec.MuonOptimWrapperConstructor",
        optimizer=dict(type="mmspec.Muon", **OPTIONS),
        paramwise_cfg=paramwise or None,
    )
    return build_optim_wrapper(model, cfg)


def train(model, optimizer, steps, seed=0):
    torch.manual_seed(seed)
    for images in torch.rand(steps, 2, 1, 4, 4):
        optimizer.zero_grad()
        model(images).backward()
        optimizer.step()


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    values = torch.linspace(1, 4, min(shape))
    found = orthogonalized(left * values @ right)
    assert found.shape == shape
    turned = left.T @ found @ right.T
    assert turned.diagonal().min() > 0.65 and turned.diagonal().max() < 1.25
    assert (turned - turned.diagonal().diag()).abs().max() < 1e-5
    assert orthogonalized(torch.zeros(shape)).eq(0).all()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon")
def test_matrices_move_as_pytorchs_muon_moves_them():
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(8, 5)) for _ in range(2))
    optimizers = (
        Muon([dict(params=[ours], muon=True)], **OPTIONS),
        torch.optim.Muon([theirs], lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for gradient in torch.randn(4, 8, 5):
        for matrix, optimizer in zip((ours, theirs), optimizers):
            matrix.grad = gradient.clone()
            optimizer.step()
    # Theirs computes the steps in bfloat16, of 8 bits; the four together are 0.02 long.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=5e-4)
    assert (ours - 1).abs().mean() > 5e-3


def test_the_constructor_gives_it_linear_layers_but_the_last():
    model = Small()
    optimizer = wrapper(model, norm_decay_mult=0.0, bias_decay_mult=0.0).optimizer
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {names[id(g["params"][0])]: g for g in optimizer.param_groups}
    assert groups.keys() == set(names.values())
    assert [name for name, group in groups.items() if group.get("muon")] == ["fc1.weight"]
    decays = {name: group["weight_decay"] for name, group in groups.items()}
    assert {name for name, decay in decays.items() if decay == 0} == {
        *("embed.bias", "fc1.bias", "norm.weight", "norm.bias", "pred.bias")
    }


def test_all_others_move_as_adamw_moves_them():
    torch.manual_seed(0)
    model = Small()
    model.fc1.weight.requires_grad_(False)
    other = copy.deepcopy(model)
    model.idle = nn.Linear(1, 1)
    train(model, wrapper(model).optimizer, 3)
    train(other, AdamW(other.parameters(), **OPTIONS), 3)
    for name, parameter in other.named_parameters():
        assert torch.equal(model.get_parameter(name), parameter), name


def test_a_run_goes_on_where_it_was_stopped():
    torch.manual_seed(0)
    whole = Small()
    parts = copy.deepcopy(whole)
    optimizer, first = wrapper(whole).optimizer, wrapper(parts).optimizer
    for seed in (1, 2):
        train(whole, optimizer, 2, seed)
    train(parts, first, 2, 1)
    second = wrapper(parts).optimizer
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    train(parts, second, 2, 2)
    for ours, theirs in zip(parts.parameters(), whole.parameters()):
        assert torch.equal(ours, theirs)


def test_what_it_cannot_serve_is_named():
    model = Small()
    with pytest.raises(ValueError, match="MuonOptimWrapperConstructor"):
        Muon(model.parameters(), **OPTIONS)
    with pytest.raises(ValueError, match="matrices, in groups with muon=True"):
        Muon([dict(params=model.embed.parameters(), muon=True)], **OPTIONS)
    state = AdamW([dict(params=[p]) for p in model.parameters()], **OPTIONS).state_dict()
    with pytest.raises(CheckpointError, match="0 groups of Muon's, and this run has 1: resume"):
        wrapper(model).optimizer.load_state_dict(state)
