"""From our names of an encoder to those that other code loads."""

import re
from typing import NamedTuple

from torch import Tensor

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.models.layers.position import sincos_positions

_VITDET_NAMES = [
    (r"(cls_token|pos_embed)$", r"\1"),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
    (r"layers\.(\d+)\.ln([12])\.", r"blocks.\1.norm\2."),
    (r"layers\.(\d+)\.attn\.(qkv|proj)\.", r"blocks.\1.attn.\2."),
    (r"layers\.(\d+)\.ffn\.layers\.0\.0\.", r"blocks.\1.mlp.fc1."),
    (r"layers\.(\d+)\.ffn\.layers\.1\.", r"blocks.\1.mlp.fc2."),
    (r"ln1\.", "norm."),
]
_CONVMAE_NAMES = [
    (r"embeds\.0\.", "patch_embed1."),
    (r"embeds\.1\.", "patch_embed2."),
    (r"embeds\.2\.", "patch_embed3."),
    (r"token_proj\.", "patch_embed4."),
    (r"stages\.0\.(\d+)\.", r"blocks1.\1."),
    (r"stages\.1\.(\d+)\.", r"blocks2.\1."),
    (r"stages\.2\.(\d+)\.", r"blocks3.\1."),
    (r"fuse\.0\.", "stage1_output_decode."),
    (r"fuse\.1\.", "stage2_output_decode."),
    (r"norm\.", "norm."),
]
#: Within a convolution block, whose linear maps are convolutions of one pixel there.
_CONVMAE_BLOCK = {".proj_in.": ".conv1.", ".proj_out.": ".conv2.", ".dwconv.": ".attn."}


class Target(NamedTuple):
    """Where other code looks for the tensors, and how it calls those of ``backbone.*``."""

    key: str
    rules: list[tuple[str, str]]
    marker: str  # a tensor of ours that the encoders it can build have
    kind: str  # of these encoders


_VIT = ("backbone.patch_embed.projection.weight", "plain ViT")
#: ViTDet as facebookresearch/mae, whose files detectron2 and timm read too; mmseg's MAE as
#: mmpretrain's ViT; the code of ConvMAE and InfMAE, which stands on timm.
TARGETS = {
    "vitdet": Target("model", _VITDET_NAMES, *_VIT),
    "mmseg": Target("state_dict", [(r"", "")], *_VIT),
    "convmae": Target("model", _CONVMAE_NAMES, "backbone.embeds.0.proj.weight", "ConvViT"),
}


def export_encoder(
    state: dict[str, Tensor], target: str, grid: int = 14
) -> tuple[str, dict[str, Tensor], dict[str, str]]:
    """An encoder as a file that other code starts from.

    Args:
        state: tensors under mmspec's names.
        target: 'vitdet', 'mmseg' or 'convmae'.
        grid: patches a side that a ConvViT's fixed positions are made for, which ConvMAE stores.

    Returns:
        The key of the file under which the tensors belong, the tensors as float32, and {name of a
        tensor that is left out: why}.

    Raises:
        CheckpointError: another encoder, or a tensor that the other framework has no place for.
    """
    key, rules, marker, kind = TARGETS[target]
    if marker not in state:
        raise CheckpointError(
            f"{target} is a layout of {kind}s, and this checkpoint holds another encoder; "
            "mmspec's own layout is for all"
        )
    renamed, left_out = {}, {}
    for name, value in state.items():
        if not name.startswith("backbone."):
            left_out[name] = "not part of the encoder"
            continue
        own = name.removeprefix("backbone.")
        rule = next((rule for rule in rules if re.match(rule[0], own)), None)
        # Of no other code: what the targets would drop in silence.
        ours = ".adapter." in own or (target == "convmae" and ".rel_pos_" in own)
        if rule is None or ours:
            raise CheckpointError(
                f"{name}: {target} has no such layer; without --layout the file keeps all"
            )
        renamed[re.sub(f"^{rule[0]}", rule[1], own)] = value.float()
    if target == "convmae":
        renamed = _of_convmae(renamed, grid)
    return key, renamed, left_out


def _of_convmae(renamed: dict[str, Tensor], grid: int) -> dict[str, Tensor]:
    """Convolution blocks and positions as ConvMAE has them."""
    written = {}
    for name, value in renamed.items():
        if name.startswith(("blocks1.", "blocks2.")):
            for own, other in _CONVMAE_BLOCK.items():
                name = name.replace(own, other)
            if value.dim() == 2:
                value = value[..., None, None]
        written[name] = value
    dims = written["patch_embed4.bias"].shape[0]
    return written | {"pos_embed": sincos_positions((grid, grid), dims, grid)[None]}
