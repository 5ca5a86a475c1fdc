"""Tensors by the names that earlier versions gave them."""

import re

from torch import Tensor, nn

_BLOCK = r"\b((?:infrared|visible)\.(?:cross|blocks\.\d+)\.)"
_RULES = [
    (re.compile(pattern), current)
    for pattern, current in (
        (r"\bthermal\.", "infrared."),  # one word for the modality
        # Blocks of M-SpecGene's decoders were mmpretrain's, as those released are.
        (_BLOCK + r"ln([12])\.", r"\1norm\2."),
        (_BLOCK + r"ffn\.layers\.0\.0\.", r"\1mlp.fc1."),
        (_BLOCK + r"ffn\.layers\.1\.", r"\1mlp.fc2."),
    )
]


def current_name(name: str) -> str:
    """Give today's name of a tensor, which may be its own."""
    for pattern, current in _RULES:
        name = pattern.sub(current, name)
    return name


def take_earlier_names(module: nn.Module) -> None:
    """Let a module load state dicts of earlier versions, alone or as a part of a model."""

    def rename(state: dict[str, Tensor], prefix: str, *_) -> None:
        for name in [name for name in state if name.startswith(prefix)]:
            state[current_name(name)] = state.pop(name)

    module._register_load_state_dict_pre_hook(rename)
