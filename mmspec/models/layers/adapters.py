"""Adapters: what fine-tuning trains in a frozen encoder."""

import torch.nn.functional as F
from torch import Tensor, nn

#: Part of the names of their parameters; no pre-trained checkpoint has them.
NAME = "adapter"


class PatchScaledAdapter(nn.Module):
    """``s(x) * W2 relu(W1 x)`` of tokens (..., C), s a number a token (PAD, arXiv 2312.08192).

    The scale is a linear map of the token, 1 at the start, so that each patch takes as much of what
    is new as it needs. W2 starts at zero: an encoder with fresh adapters is the encoder without.
    The start and what the adapter reads, the normalised input of the MLP beside it, are ours.

    Args:
        dims: width C of the tokens.
        hidden_dims: width between the two maps (PAD: 64).
    """

    def __init__(self, dims: int, hidden_dims: int) -> None:
        super().__init__()
        self.down = nn.Linear(dims, hidden_dims)
        self.up = nn.Linear(hidden_dims, dims)
        self.scale = nn.Linear(dims, 1)
        self.init_weights()

    def init_weights(self) -> None:
        for module in (self.up, self.scale):
            nn.init.zeros_(module.weight)
        nn.init.zeros_(self.up.bias)
        nn.init.ones_(self.scale.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(x) * self.up(F.relu(self.down(x)))


def start(encoder: nn.Module) -> None:
    """Make the adapters of an encoder fresh: it computes what it would without them."""
    for module in encoder.modules():
        if isinstance(module, PatchScaledAdapter):
            module.init_weights()


def add_adapters(mlps: list[nn.Module], dims: list[int], hidden_dims: int) -> None:
    """Give each MLP an adapter beside it, as its child: no other name changes.

    Args:
        mlps: modules of tokens (..., C), those of the blocks.
        dims: C of each.
        hidden_dims: see :class:`PatchScaledAdapter`.
    """
    if hidden_dims < 0:
        raise ValueError(f"adapter_dims={hidden_dims}: a width, 64 say, or 0 for no adapters")
    for mlp, width in zip(mlps, dims) if hidden_dims else ():
        mlp.add_module(NAME, PatchScaledAdapter(width, hidden_dims))
        mlp.register_forward_hook(_add)


def _add(mlp: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    # By the module that is called, not a closure: a copy of the encoder has adapters of its own.
    return output + getattr(mlp, NAME)(inputs[0])
