"""Compute how many images of a pre-training fit a GPU, on any machine.

    python tools/analysis_tools/activation_memory.py CONFIG --memory 80

The step runs with tensors of a pretended GPU that have no values, under its mixed precision, and
what autograd keeps for the backward pass is counted, each storage once. Weights in float32 make 4
bytes a parameter, gradients and AdamW's two moments 12 more of one that learns, copies of weights
in half precision 2. What comes on top (working tensors of the backward pass, batches, fragments of
the allocator) is taken to be a tenth. Computed, not measured: kernels of a GPU may keep other
things.
"""

import argparse

import torch
from mmengine.registry import init_default_scope
from torch._subclasses.fake_tensor import FakeTensorMode

from mmspec.engine.launch import read_config
from mmspec.explain import explained
from mmspec.models.maskers import RandomPairMasker
from mmspec.models.selfsup import MSpecGene
from mmspec.registry import MODELS

GIB = 2**30


def saved_bytes(model: torch.nn.Module, images: torch.Tensor, dtype: str) -> int:
    """Bytes that autograd keeps of a forward pass, but for parameters."""
    parameters = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            # Held, so that no other storage gets its place.
            kept[storage._cdata] = storage.nbytes(), tensor
        return tensor

    half = dtype != "float32"
    torch.set_autocast_enabled("cuda", half)  # torch.autocast asks for a real GPU
    if half:
        torch.set_autocast_dtype("cuda", getattr(torch, dtype))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = model(images, mode="loss")
    torch.set_autocast_enabled("cuda", False)
    del losses
    return sum(size for size, _ in kept.values())


def state_bytes(model: torch.nn.Module, dtype: str) -> int:
    """Bytes that do not depend on the batch: weights, and what learning them takes."""
    return sum(
        p.numel() * (4 + 12 * p.requires_grad + 2 * (dtype != "float32"))
        for p in model.parameters()
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="of configs/pretrain")
    parser.add_argument("--memory", type=float, default=80, help="GB of the GPU")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    with explained(parser):
        cfg = read_config(args.config, args.cfg_options)
        init_default_scope(cfg.default_scope)
        with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
            model = MODELS.build(cfg.model).train()
            pairs = isinstance(model, MSpecGene)
            if pairs:  # as many patches as CMSS shows
                model.masker = RandomPairMasker(model.masker.mask_ratio)
            for hook in model.backbone._forward_pre_hooks.values():
                hook.left = 0  # no look at pixels that have no values
            shape = (6 if pairs else 3, args.image_size, args.image_size)
            kept = [saved_bytes(model, torch.empty(batch, *shape), args.dtype) for batch in (1, 2)]
    number = sum(p.numel() for p in model.parameters())
    fixed = state_bytes(model, args.dtype)
    each = kept[1] - kept[0]
    largest = int((args.memory * 1e9 * 0.9 - fixed) // each)
    item = "pair" if pairs else "image"
    print(
        f"{number / 1e6:.1f} M parameters: {fixed / 1e9:.2f} GB; {each / 1e6:.1f} MB kept of each"
        f" {item}; {args.memory:g} GB: batches of {largest}, computed, not measured"
    )


if __name__ == "__main__":
    main()
