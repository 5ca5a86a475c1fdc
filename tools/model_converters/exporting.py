"""From our names of a ViT to those that other frameworks load."""

from __future__ import annotations

import re

from torch import Tensor

from mmspec.checkpoints.safe_load import CheckpointError

_VITDET_NAMES = [
    (r"(cls_token|pos_embed)$", r"\1"),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
    (r"layers\.(\d+)\.ln([12])\.", r"blocks.\1.norm\2."),
    (r"layers\.(\d+)\.attn\.(qkv|proj)\.", r"blocks.\1.attn.\2."),
    (r"layers\.(\d+)\.ffn\.layers\.0\.0\.", r"blocks.\1.mlp.fc1."),
    (r"layers\.(\d+)\.ffn\.layers\.1\.", r"blocks.\1.mlp.fc2."),
    (r"ln1\.", "norm."),
]
#: Where a framework looks for the tensors, and how it calls those of ``backbone.*``: ViTDet as
#: facebookresearch/mae, whose files detectron2 and timm read too; mmseg's MAE as mmpretrain's ViT.
TARGETS = {"vitdet": ("model", _VITDET_NAMES), "mmseg": ("state_dict", [(r"", "")])}


def export_encoder(
    state: dict[str, Tensor], target: str
) -> tuple[str, dict[str, Tensor], dict[str, str]]:
    """The encoder of a ViT as a file that another framework starts from.

    Args:
        state: tensors under mmspec's names.
        target: 'vitdet' or 'mmseg'.

    Returns:
        The key of the file under which the tensors belong, the tensors, and {name of a tensor that
        is left out: why}.

    Raises:
        CheckpointError: not a plain ViT, or a tensor that the other framework has no place for.
    """
    if "backbone.patch_embed.projection.weight" not in state:
        raise CheckpointError(
            f"{target} is a layout of plain ViTs, and this checkpoint holds another encoder; "
            "mmspec's own layout is for all"
        )
    key, rules = TARGETS[target]
    renamed, left_out = {}, {}
    for name, value in state.items():
        if not name.startswith("backbone."):
            left_out[name] = "not part of the encoder"
            continue
        own = name.removeprefix("backbone.")
        rule = next((rule for rule in rules if re.match(rule[0], own)), None)
        if rule is None:
            raise CheckpointError(f"{name}: {target} has no such layer")
        renamed[re.sub(f"^{rule[0]}", rule[1], own)] = value
    return key, renamed, left_out
