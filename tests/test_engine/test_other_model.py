"""Checkpoints against the model of a run."""

from functools import partial

import pytest
import torch

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.engine.launch import LaunchError
from mmspec.engine.other_model import refuse_other_model

refuse = partial(refuse_other_model, source="theirs.pth")


def test_checkpoint_of_the_model_is_loaded():
    model = torch.nn.Linear(2, 3)
    refuse(model, {"state_dict": model.state_dict()}, whole=True)
    wrapped = {f"module.{name}": value for name, value in model.state_dict().items()}
    refuse(model, {"state_dict": wrapped}, whole=True)


def test_a_checkpoint_with_nan_is_refused():
    model = torch.nn.Linear(2, 3)
    model.bias.data[1] = torch.nan
    with pytest.raises(CheckpointError, match=r"theirs\.pth: bias holds NaN"):
        refuse(model, {"state_dict": model.state_dict()}, whole=False)


@pytest.mark.parametrize(
    "checkpoint",
    [
        {"state_dict": {"encoder.weight": torch.zeros(3, 2)}},
        {"state_dict": torch.nn.Linear(2, 4).state_dict()},
        {"model": torch.nn.Linear(2, 3).state_dict(), "epoch": 3},
    ],
    ids=["other names", "other shapes", "tensors below another key"],
)
def test_checkpoint_of_another_model_is_refused(checkpoint):
    message = "theirs.pth is of another model than the config's: 2 of the 2 tensors .* weight"
    with pytest.raises(LaunchError, match=message) as error:
        refuse(torch.nn.Linear(2, 3), checkpoint, whole=True)
    assert "(100 % of the values)" in str(error.value)


def test_a_head_of_another_shape_is_no_checkpoint_to_test():
    """Nine of ten tensors fit, and most values: with a random head all the same."""
    layers = [torch.nn.Linear(8, 8) for _ in range(9)]
    theirs = torch.nn.Sequential(*layers, torch.nn.Linear(8, 2))
    ours = torch.nn.Sequential(*layers, torch.nn.Linear(8, 3))
    checkpoint = {"state_dict": theirs.state_dict()}
    message = r"2 of the 20 tensors .* such as 9.weight: \(3, 8\) in the model, \(2, 8\) in the"
    with pytest.raises(LaunchError, match=message):
        refuse(ours, checkpoint, whole=True)
    # A training may start from it.
    refuse(ours, checkpoint, whole=False)


def test_a_share_is_one_of_values():
    """Two large tensors of many are most of a model."""
    ours = torch.nn.ModuleDict({str(i): torch.nn.Linear(1, 1) for i in range(20)})
    ours["encoder"] = torch.nn.Linear(64, 64)
    state = {k: v for k, v in ours.state_dict().items() if not k.startswith("encoder")}
    with pytest.raises(LaunchError, match=r"2 of the 42 tensors \(99 % of the values\)"):
        refuse(ours, {"state_dict": state}, whole=False)


def test_layers_that_the_model_lacks_are_refused_and_parts_warned_of(monkeypatch):
    said = []
    monkeypatch.setattr(
        "mmspec.engine.other_model.print_log", lambda message, **_: said.append(message)
    )
    deep = torch.nn.ModuleDict(
        {
            "layers": torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(3))),
            "auxiliary_head": torch.nn.Linear(2, 2),
        }
    )
    shallow = torch.nn.ModuleDict({"layers": deep["layers"][:2]})
    with pytest.raises(LaunchError, match=r"theirs\.pth is of a deeper model .* layers\.2\."):
        refuse(shallow, {"state_dict": deep.state_dict()}, whole=True)
    headless = torch.nn.ModuleDict({"layers": deep["layers"]})
    refuse(headless, {"state_dict": deep.state_dict()}, whole=True)
    assert "theirs.pth holds what" in said[0] and "auxiliary_head" in said[0]
