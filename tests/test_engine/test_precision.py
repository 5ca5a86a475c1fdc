import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmspec.engine import AdamW, TF32Hook


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of a capability, as far as the choice of a data type goes."""

    def of(*capability):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # mmengine's log names one
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.setattr("mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available",
                            lambda: True)  # fmt: skip

    return of


def wrapper(**options):
    cfg = dict(type="mmspec.AmpOptimWrapper", optimizer=dict(type="SGD", lr=0.1), **options)
    return build_optim_wrapper(nn.Linear(1, 1), cfg)


@pytest.mark.parametrize(
    ("capability", "options", "dtype"),
    [
        ((9, 0), {}, torch.bfloat16),
        ((8, 0), {}, torch.bfloat16),
        ((7, 5), {}, torch.float16),
        ((9, 0), dict(dtype="float16"), torch.float16),
        ((7, 5), dict(dtype="bfloat16"), torch.bfloat16),
    ],
)
def test_mixed_precision_takes_bfloat16_where_the_gpu_has_it(gpu, capability, options, dtype):
    gpu(*capability)
    found = wrapper(**options)
    assert found.cast_dtype == dtype
    assert found.loss_scaler._enabled == (dtype == torch.float16)


def test_a_run_goes_on_in_the_other_type(gpu):
    gpu(9, 0)
    half, brain = wrapper(dtype="float16"), wrapper()
    half.load_state_dict(brain.state_dict())
    brain.load_state_dict(half.state_dict())
    assert half.loss_scaler._enabled


def test_tf32_is_for_trainings_on_a_gpu(gpu):
    before = torch.get_float32_matmul_precision()
    hook = TF32Hook()
    hook.before_train(None)
    assert torch.get_float32_matmul_precision() == before
    hook.after_train(None)
    gpu(9, 0)
    hook.before_train(None)
    assert torch.get_float32_matmul_precision() == "high"
    hook.after_train(None)
    assert torch.get_float32_matmul_precision() == before


def test_adamw_is_pytorchs_on_a_cpu():
    steps = []
    for kind in (AdamW, torch.optim.AdamW):
        torch.manual_seed(0)
        layer = nn.Linear(2, 2)
        groups = [dict(params=[layer.weight], lr=0.1), dict(params=layer.bias, weight_decay=0.0)]
        optimizer = kind(groups, lr=0.01, betas=(0.9, 0.95), weight_decay=0.05)
        for _ in range(3):
            layer(torch.ones(2)).square().sum().backward()
            optimizer.step()
        steps.append(layer.weight.detach())
        assert not optimizer.defaults["fused"]
    assert torch.equal(*steps)


def test_adamw_reads_generators_of_parameters_once():
    layers = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = AdamW([dict(params=layer.parameters()) for layer in layers])
    held = [len(group["params"]) for group in optimizer.param_groups]
    assert held == [2, 2]


def test_adamw_leaves_the_choice_of_the_kernel_to_who_makes_it():
    assert AdamW(nn.Linear(1, 1).parameters(), fused=False, foreach=True).defaults["foreach"]


def test_a_state_of_the_fused_kernel_is_taken_on_a_cpu():
    layer = nn.Linear(2, 2)
    optimizer = AdamW(layer.parameters(), lr=0.1)
    layer(torch.ones(2)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group["fused"] = True
    other = AdamW(layer.parameters(), lr=0.1)
    other.load_state_dict(state)
    assert not other.param_groups[0]["fused"]
    other.step()


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("avx2 avx512f avx512_bf16", torch.bfloat16),
        ("avx512f amx_tile amx_bf16", torch.bfloat16),
        ("avx2 avx512f", torch.float32),  # emulates bfloat16, slower than float32
        (None, torch.float32),  # not Linux: nothing is known
    ],
)
def test_a_cpu_computes_in_bfloat16_if_it_has_it_and_moves_float32_weights(
    tmp_path, monkeypatch, flags, dtype
):
    info = tmp_path / "cpuinfo"
    if flags:
        info.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr("mmspec.engine.precision._CPU_INFO", info)
    said = []
    monkeypatch.setattr("mmspec.engine.precision.print_log", lambda text, _: said.append(text))
    model = torch.nn.Conv2d(3, 4, 3)
    before = model.weight.detach().clone()
    wrapper = build_optim_wrapper(
        model, dict(type="mmspec.Bfloat16OptimWrapper", optimizer=dict(type="SGD", lr=0.1))
    )
    with wrapper.optim_context(model):
        found = model(torch.ones(2, 3, 8, 8))
        assert found.dtype == dtype
        assert found.is_contiguous(memory_format=torch.channels_last)
    wrapper.update_params(found.float().mean())
    assert model.weight.dtype == torch.float32 and not torch.equal(model.weight, before)
    assert len(said) == (dtype == torch.float32)
    assert model(torch.ones(2, 3, 8, 8)).dtype == torch.float32  # outside of the context
