"""A training step waits for the device nowhere: no value is read, no shape depends on one.

Without a GPU: fake tensors of another device, which have shapes but no values. PyTorch refuses to
read one (``.item()``, a condition, ``nonzero``) and to mix devices.
"""

import contextlib

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmspec.engine import AdamW
from mmspec.engine.deferred_log import DeferredHistory, defer_norm, update_deferred
from mmspec.models.backbones import ConvViT, MaskedViT
from mmspec.models.heads import ReconstructionHead
from mmspec.models.maskers import CMSSMasking, InformationMasker, RandomPairMasker, UniformMasker
from mmspec.models.necks import DualModalityDecoder, InfMAEDecoder
from mmspec.models.selfsup import InfMAE, MSpecGene

VIT = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
CONVVIT = dict(embed_dims=(8, 12, 16), depths=(1, 1, 1), num_heads=2, mlp_ratios=(2, 2, 2))
ENCODERS = {
    "vit": lambda: MaskedViT(VIT, img_size=64, drop_path_rate=0.1),
    "convvit": lambda: ConvViT(CONVVIT, pretraining=True, drop_path_rate=0.1),
}


class Copies(TorchDispatchMode):
    """Refuse copies between devices, for which one side waits."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        copied = func is torch.ops.aten._to_copy.default and out.device != args[0].device
        if copied and not kwargs.get("non_blocking"):
            raise RuntimeError(f"a copy from {args[0].device} to {out.device}")
        return out


def infmae(encoder, masker) -> tuple[InfMAE, int]:
    neck = InfMAEDecoder(in_dims=16, dims=8, depth=1, num_heads=2)
    return InfMAE(encoder(), neck, ReconstructionHead(), masker()), 3


def mspecgene(encoder, masker) -> tuple[MSpecGene, int]:
    neck = DualModalityDecoder(in_dims=16, dims=8, depth=1, num_heads=2)
    return MSpecGene(encoder(), neck, ReconstructionHead(norm_pix=True), masker()), 6


CASES = {
    "intensity": (infmae, InformationMasker),
    "uniform": (infmae, UniformMasker),
    "pairs": (mspecgene, lambda: RandomPairMasker(0.75)),
    "cmss": (mspecgene, lambda: CMSSMasking(0.75)),
}


def two_steps(build, encoder: str, masker, extra=lambda losses: None) -> None:
    """Of a model on another device, with what is logged of them."""
    init_default_scope("mmpretrain")
    with FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device("meta"):
            model, channels = build(ENCODERS[encoder], masker)
            images = torch.randn(2, channels, 64, 64)
        for hook in model.backbone._forward_pre_hooks.values():
            hook.left = 0  # the first batches of a run are looked at
        # Of AdamW the fused kernel alone counts its steps on the device, and it is CUDA's.
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        wrapper = OptimWrapper(optimizer, clip_grad=dict(max_norm=1.0))
        # Their first values are read.
        hub = wrapper.message_hub
        for name in ("train/grad_norm", "train/loss"):
            hub.log_scalars[name] = DeferredHistory([], [])
        defer_norm(wrapper)
        with Copies():
            for _ in range(2):
                losses = model(images, mode="loss")
                total, logged = model.parse_losses(losses)
                extra(losses)
                wrapper.update_params(total)
                update_deferred(hub, "train/loss", logged["loss"])
        waiting = hub.log_scalars["train/loss"]
        assert not waiting.is_at_hand
        assert len(waiting._waiting) == len(hub.log_scalars["train/grad_norm"]._waiting) == 2
        for name in ("train/grad_norm", "train/loss"):
            del hub.log_scalars[name]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("case", CASES)
def test_a_step_reads_nothing_from_the_device(case, encoder, monkeypatch):
    # CMSS switches it off, and there is none for this device.
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())
    build, masker = CASES[case]
    two_steps(build, encoder, masker)


def test_on_a_gpu_adamw_is_one_kernel_that_reads_nothing():
    with FakeTensorMode(allow_non_fake_inputs=True):
        layer = torch.nn.Linear(2, 2, device="cuda")
        optimizer = AdamW([dict(params=[layer.weight], lr=0.1), dict(params=[layer.bias])], lr=0.2)
        for parameter in layer.parameters():
            parameter.grad = torch.randn_like(parameter)
        with Copies():
            optimizer.step()
    assert optimizer.defaults["fused"]
    assert all(state["step"].is_cuda for state in optimizer.state.values())


WAITS = {
    "item": lambda loss: loss.item(),
    "float": lambda loss: float(loss.detach()),
    "tolist": lambda loss: loss.tolist(),
    "numpy": lambda loss: loss.detach().numpy(),
    "to the host": lambda loss: loss.cpu(),
    "from the host": lambda loss: torch.zeros(3).to(loss.device),
    "a condition": lambda loss: loss > 0 or loss,
    "nonzero": lambda loss: loss.isfinite().nonzero(),
    "a mask for an index": lambda loss: loss[loss.isfinite()],
}


@pytest.mark.parametrize("name", WAITS)
def test_each_kind_of_wait_is_noticed(name):
    def wait(losses):
        with pytest.raises((RuntimeError, NotImplementedError)) as error:
            WAITS[name](losses["loss"])
        noticed.append(str(error.value))

    noticed = []
    two_steps(infmae, "convvit", InformationMasker, wait)
    assert len(noticed) == 2
