"""Training steps in bfloat16, on the CPU too."""

import torch
from mmengine.optim import build_optim_wrapper

from mmspec.engine import Bfloat16OptimWrapper


def test_a_step_computes_in_bfloat16_and_moves_float32_weights():
    model = torch.nn.Conv2d(3, 4, 3)
    before = model.weight.detach().clone()
    wrapper = build_optim_wrapper(
        model, dict(type="mmspec.Bfloat16OptimWrapper", optimizer=dict(type="SGD", lr=0.1))
    )
    assert isinstance(wrapper, Bfloat16OptimWrapper)
    with wrapper.optim_context(model):
        found = model(torch.ones(2, 3, 8, 8))
        assert found.dtype == torch.bfloat16
        assert found.is_contiguous(memory_format=torch.channels_last)
    wrapper.update_params(found.float().mean())
    assert model.weight.dtype == torch.float32 and not torch.equal(model.weight, before)
    assert model(torch.ones(2, 3, 8, 8)).dtype == torch.float32  # outside of the context
