"""From the tensor names of published checkpoints to ours."""

import re
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mmspec.models.earlier_names import current_name
from mmspec.models.layers.position import sincos_positions

from .safe_load import CheckpointError

Renamed = tuple[dict[str, Tensor], dict[str, str]]

#: Why a tensor of an encoder is ignored that no encoder of ours has a place for. What it computes
#: without it is something else, so that who loads it must ask for it.
UNKNOWN = "a layer or token that mmspec's encoders do not have"
BESIDE = "not part of the encoder"
_HEADS = re.compile(r"decoder|head|fc|attn_pool|pre_logits|lm_head|project")
_ENCODER = re.compile(r"^(blocks|layers|ln_)|token|pos|norm|embed|rope|gamma")


def _reason(key: str) -> str:
    """Why a tensor that has no name of ours is left out."""
    of_encoder = _ENCODER.search(key) and not _HEADS.match(key) and key != "mask_token"
    return UNKNOWN if of_encoder else BESIDE


class Layout(NamedTuple):
    """How one family of checkpoints names its tensors."""

    name: str  # what reports call it
    marker: str  # a tensor that every file of the family has
    convert: Callable[[dict[str, Tensor]], Renamed]  # state dict to (ours, {ignored name: reason})


def _stage(part: str) -> Callable[[re.Match], str]:
    """Theirs count stages from 1."""
    return lambda match: part.format(int(match[1]) - 1, *match.groups()[1:])


_CONVMAE_NAMES = [
    (r"patch_embed\.proj\.weight$", "masker.kernel"),
    (r"patch_embed([123])\.(proj|norm)\.", _stage("backbone.embeds.{}.{}.")),
    (r"patch_embed4\.", "backbone.token_proj."),
    (r"blocks([12])\.(\d+)\.conv1\.", _stage("backbone.stages.{}.{}.proj_in.")),
    (r"blocks([12])\.(\d+)\.conv2\.", _stage("backbone.stages.{}.{}.proj_out.")),
    (r"blocks([12])\.(\d+)\.attn\.", _stage("backbone.stages.{}.{}.dwconv.")),
    (r"blocks([123])\.(\d+)\.", _stage("backbone.stages.{}.{}.")),
    (r"stage([12])_output_decode\.", _stage("backbone.fuse.{}.")),
    (r"norm\.", "backbone.norm."),
    (r"mask_token$", "neck.mask_token"),
    (r"decoder_(embed|blocks|norm|pred)\.", r"neck.\1."),
]
_POINTWISE = re.compile(r"backbone\.stages\.[01]\.\d+\.(proj_in|proj_out|mlp\.fc[12])\.weight")

_MAE_NAMES = [
    (r"(cls_token|pos_embed)$", r"backbone.\1"),
    (r"patch_embed\.proj\.", "backbone.patch_embed.projection."),
    (r"blocks\.(\d+)\.norm([12])\.", r"backbone.layers.\1.ln\2."),
    (r"blocks\.(\d+)\.attn\.(qkv|proj)\.", r"backbone.layers.\1.attn.\2."),
    (r"blocks\.(\d+)\.mlp\.fc1\.", r"backbone.layers.\1.ffn.layers.0.0."),
    (r"blocks\.(\d+)\.mlp\.fc2\.", r"backbone.layers.\1.ffn.layers.1."),
    (r"norm\.", "backbone.ln1."),
]
_DUAL = {"": "infrared", "2": "visible"}
_MSPECGENE_NAMES = [
    (r"backbone\.", "backbone."),
    (r"neck\.decoder_(embed|blocks|pred)(2?)\.", lambda m: f"neck.{_DUAL[m[2]]}.{m[1]}."),
    (r"neck\.mask_token(2?)$", lambda m: f"neck.{_DUAL[m[1]]}.mask_token"),
    (r"neck\.cross_attention(2?)\.", lambda m: f"neck.{_DUAL[m[1]]}.cross."),
]


def _rename(
    state: dict[str, Tensor], rules: list, ignored: dict[str, str], other: str | None = None
) -> Renamed:
    """Tensors by the first rule for their names; of the rest, beside known reasons, others."""
    ours, ignored = {}, dict(ignored)
    for key, value in state.items():
        found = [(p, name) for p, name in rules if key not in ignored and re.match(p, key)]
        if found:
            pattern, name = found[0]
            ours[re.sub(f"^{pattern}", name, key)] = value
        else:
            ignored.setdefault(key, other or _reason(key))
    return ours, ignored


def _fixed(key: str, table: Tensor, learned: str) -> dict[str, str]:
    """Ignore a table of positions, (1, patches, C), which must be the sine-cosine one."""
    side = round(table.shape[1] ** 0.5)
    fixed = side * side == table.shape[1] and table.shape[2] % 4 == 0
    if not fixed or not torch.allclose(
        table[0].float(), sincos_positions((side, side), table.shape[2], side), atol=1e-4
    ):
        raise CheckpointError(
            f"{key} is not the fixed sine-cosine table of a square grid; {learned} not supported"
        )
    return {key: "fixed positions, computed for the grid at hand"}


def _from_convmae(state: dict[str, Tensor]) -> Renamed:
    """ConvMAE / MCMAE and InfMAE, pre-training or encoder alone."""
    ignored = {}
    if "patch_embed.proj.bias" in state:
        ignored["patch_embed.proj.bias"] = "moves every masking score alike"
    for key in {"pos_embed", "decoder_pos_embed"} & state.keys():
        ignored |= _fixed(key, state[key], "a ConvViT with learned positions is")
    ours, ignored = _rename(state, _CONVMAE_NAMES, ignored)
    for name, value in ours.items():
        if name == "masker.kernel":
            ours[name] = value.mean(0)
        elif _POINTWISE.match(name):
            ours[name] = value.flatten(1)
    return ours, ignored


def _from_mae(state: dict[str, Tensor]) -> Renamed:
    """facebookresearch/mae, pre-training or fine-tuned, and timm's ViT; mmpretrain's ViT names."""
    return _rename(state, _MAE_NAMES, {})


def _from_mspecgene(state: dict[str, Tensor]) -> Renamed:
    """M-SpecGene as released: an mmpretrain ViT and two decoders, the unnumbered one infrared."""
    ignored, norms = {}, {}
    for key, value in state.items():
        if re.fullmatch(r"neck\.decoder_pos_embed2?", key):
            # The halves of each entry in the other order, behind a row that must be of zeros.
            table = value[:, 1:].roll(value.shape[2] // 2, -1) + value[:, :1].abs()
            ignored |= _fixed(key, table, "decoders with learned positions are")
        elif key.startswith("neck.ln1."):
            # Both decoders named their final norm ln1, so that the file holds one for the two.
            for name in _DUAL.values():
                # A copy each, as safetensors refuses tensors that share memory.
                norms[f"neck.{name}.norm.{key.removeprefix('neck.ln1.')}"] = value.clone()
    rest = {key: value for key, value in state.items() if not key.startswith("neck.ln1.")}
    ours, ignored = _rename(rest, _MSPECGENE_NAMES, ignored, "not part of the network")
    return {current_name(key): value for key, value in ours.items()} | norms, ignored


def _from_mmspec(state: dict[str, Tensor]) -> Renamed:
    """Ours, of this version or an earlier one; mmpretrain's MAE names an encoder alike."""
    return {current_name(key): value for key, value in state.items()}, {}


def _with_prefix(state: dict[str, Tensor]) -> Renamed:
    beside = {key: BESIDE for key in state if _HEADS.match(key)}
    return {f"backbone.{key}": value for key, value in state.items() if key not in beside}, beside


LAYOUTS = [
    Layout("mmspec", "backbone.embeds.0.proj.weight", _from_mmspec),
    Layout("mmspec backbone", "embeds.0.proj.weight", _with_prefix),
    Layout("ConvMAE / InfMAE", "patch_embed1.proj.weight", _from_convmae),
    Layout("M-SpecGene", "neck.cross_attention2.attn.q.weight", _from_mspecgene),
    Layout("mmpretrain ViT", "backbone.patch_embed.projection.weight", _from_mmspec),
    Layout("mmpretrain ViT backbone", "patch_embed.projection.weight", _with_prefix),
    Layout("MAE / timm ViT", "blocks.0.attn.qkv.weight", _from_mae),
]


def find_layout(state: dict[str, Tensor]) -> Layout | None:
    """The layout whose marker tensor is in the state dict."""
    return next((layout for layout in LAYOUTS if layout.marker in state), None)
