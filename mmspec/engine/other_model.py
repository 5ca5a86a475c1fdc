"""Whether a loaded checkpoint is of the model that a run has built."""

import logging

from mmengine.logging import print_log
from torch import nn

from mmspec.checkpoints.safe_load import refuse_nan

from .launch import LaunchError


def refuse_other_model(
    network: nn.Module, checkpoint: dict, whole: bool, source: str | None = None
) -> None:
    """Refuse a checkpoint that is not of a model, by its tensors' names and shapes.

    mmengine loads what matches, warns about the rest and goes on, with random weights if need be.

    Args:
        network: the model, without a wrapper.
        checkpoint: its content, or a bare state dict.
        whole: every tensor of the model must be there, as a test and a resumed run need, and every
            numbered layer of the checkpoint must have its place; a part that the model does not
            have (an auxiliary head) is warned of. False, to start a training: at least 90 % of the
            model's values.
        source: what messages call the checkpoint.

    Raises:
        LaunchError: it is of another model; the first tensor that differs is named.
        CheckpointError: a tensor holds NaN.
    """
    source = source or "the checkpoint"
    model = network.state_dict()
    state = checkpoint.get("state_dict", checkpoint)
    refuse_nan(state, source)
    loaded = {k.removeprefix("module."): getattr(v, "shape", None) for k, v in state.items()}
    # Counters of old batch norms, which no result depends on, are not missed by torch either.
    missing = [
        name
        for name, value in model.items()
        if loaded.get(name) != value.shape and not name.endswith("num_batches_tracked")
    ]
    share = sum(model[name].numel() for name in missing) / sum(v.numel() for v in model.values())
    if missing and (whole or share > 0.1):
        first = missing[0]
        there = f"{tuple(loaded[first])}" if loaded.get(first) is not None else "absent"
        raise LaunchError(
            f"{source} is of another model than the config's: {len(missing)} of the {len(model)} "
            f"tensors ({100 * share:.3g} % of the values) are not in it in the same shape, such as "
            f"{first}: {tuple(model[first].shape)} in the model, {there} in the checkpoint. Give "
            "the config it was trained with"
        )
    parts = sorted({_absent_part(name, model) for name in loaded if whole and name not in model})
    # Of more layers than the model's, what they computed would be lost.
    if deeper := [part for part in parts if part.rpartition(".")[2].isdigit()]:
        raise LaunchError(
            f"{source} is of a deeper model than the config's, which has no place for {deeper[0]}. "
            "Give the config it was trained with"
        )
    if parts:
        print_log(
            f"{source} holds what the config's model does not have, and what is now left out: "
            f"{', '.join(parts[:6])}{', ...' if len(parts) > 6 else ''}",
            logger="current",
            level=logging.WARNING,
        )


def _absent_part(name: str, model: dict) -> str:
    """The largest part of a tensor's dotted name of which a state dict has nothing."""
    words = name.split(".")
    for end in range(1, len(words)):
        part = ".".join(words[:end])
        if not any(other.startswith(f"{part}.") for other in model):
            return part
    return name
