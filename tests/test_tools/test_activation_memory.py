import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "analysis_tools"))
from activation_memory import saved_bytes, state_bytes


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 8)

    def forward(self, images, mode):
        return dict(loss=self.linear(images).pow(2).mean())


@pytest.mark.parametrize(
    # Of an item its 4 inputs and 8 outputs; a power is taken in float32.
    ("dtype", "each"),
    [("float32", 4 * 4 + 8 * 4), ("bfloat16", 4 * 2 + 8 * 4)],
)
def test_what_a_backward_pass_needs_is_counted_in_the_gpus_precision(dtype, each):
    with FakeTensorMode(), torch.device("cuda"):
        model = Model()
        one, three = (saved_bytes(model, torch.empty(batch, 4), dtype) for batch in (1, 3))
    assert three - one == 2 * each


def test_what_is_frozen_has_no_gradients_and_moments():
    model = Model()
    model.linear.bias.requires_grad = False
    assert state_bytes(model, "float32") == 32 * 16 + 8 * 4
    assert state_bytes(model, "bfloat16") == 32 * 18 + 8 * 6
