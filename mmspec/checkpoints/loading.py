"""Putting an encoder's weights into a backbone, with an account of every tensor."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from mmspec.models.backbones import ConvViT, MaskedViT
from mmspec.models.backbones.conv_vit import ARCHS

from .layouts import BESIDE, UNKNOWN
from .reader import CheckpointInfo, read_checkpoint
from .safe_load import CheckpointError

PREFIX = "backbone."
#: What is new at fine-tuning in backbones that do not say so themselves: mmpretrain's ViTSAM, and
#: the norms of earlier maps in Swin transformers.
NEW_AT_FINE_TUNING = ("rel_pos_h", "rel_pos_w", "channel_reduction", "^norm[012]")
#: What any backbone may do without: class token and final norm of a ViT whose map of patches is
#: taken from before that norm, as ViTDet does, and the mask token of pre-training.
DISPENSABLE = ("cls_token", "ln1", "mask_token")
#: Settings of a ViT that was trained without a tensor.
WITHOUT = {"qkv.bias": "qkv_bias=False", "ln1.bias": "final_norm=False"}
#: Heads of the published ViTs by width: MAE's and timm's tiny, small, base, large, huge.
VIT_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}


@dataclass
class LoadReport:
    """What became of every tensor of a backbone and of a checkpoint.

    Attributes:
        info: the checkpoint.
        matched: tensors of the backbone that were loaded as they are.
        resized: loaded after a change of shape, {name: how}.
        missing: tensors of the backbone that keep their initial values, {name: why}.
        new: missing by design, because pre-training does not have them.
        ignored: tensors of the checkpoint that were not used, {name: why}.
        coverage: share of the backbone's values, ``new`` ones aside, that came from the checkpoint.
    """

    info: CheckpointInfo
    matched: list[str] = field(default_factory=list)
    resized: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    coverage: float = 0.0

    def __str__(self) -> str:
        lines = [
            f"{self.info.path} ({self.info.layout}): {len(self.matched)} tensors matched, "
            f"{len(self.resized)} resized, {len(self.missing)} missing, {len(self.new)} new, "
            f"{len(self.ignored)} ignored; {_percent(self.coverage)} of the encoder loaded"
        ]
        for title, entries in (("resized", self.resized), ("missing", self.missing)):
            shown = [f"  {title}: {name} ({why})" for name, why in entries.items()]
            more = [f"  {title}: ... {len(shown)} in all"] if len(shown) > 6 else []
            lines += shown[:6] + more
        if self.new:
            lines.append(f"  new: {', '.join(self.new)}")
        reasons: dict[str, list[str]] = {}
        for name, why in self.ignored.items():
            reasons.setdefault(why, []).append(name)
        for why, names in reasons.items():
            more = f", ... {len(names)} in all" if len(names) > 3 else ""
            lines.append(f"  ignored: {', '.join(names[:3])}{more} ({why})")
        return "\n".join(lines)


@dataclass(frozen=True)
class GrayInput:
    """The normalisation of a one-channel image, and that of the three channels of pre-training.

    Needed where the means or stds of the three channels differ, as ImageNet's do: for one gray
    level x, the sum of w_c (x - trained_mean_c) / trained_std_c over c is that of
    w_c std / trained_std_c times (x - mean) / std, plus a constant that goes into the bias.

    Args:
        mean, std: of the data preprocessor's one channel, in gray levels.
        trained_mean, trained_std: of the checkpoint's three channels, in the order of its kernel.
    """

    mean: float
    std: float
    trained_mean: Sequence[float]
    trained_std: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.trained_mean) != 3 or len(self.trained_std) != 3:
            raise ValueError("gray: trained_mean and trained_std have three values each")

    def fold(self, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """Kernel (O, 3, h, w) of training to (O, 1, h, w), and what to add to the bias, (O,)."""
        mean, std = (
            kernel.new_tensor(v)[:, None, None] for v in (self.trained_mean, self.trained_std)
        )
        kernel = kernel / std
        shift = (kernel * (self.mean - mean)).sum((1, 2, 3))
        return kernel.sum(1, keepdim=True) * self.std, shift


def _percent(share: float) -> str:
    """Rounded down: 100 % is all."""
    return f"{math.floor(1000 * share) / 10:.1f} %"


def _fit(name: str, value: Tensor, own: Tensor, backbone: nn.Module) -> tuple[Tensor, str] | None:
    """A tensor of another shape made to fit, and how; None where that would be a guess."""
    if value.shape == own.shape:
        return value, ""
    how = f"{tuple(value.shape)} to {tuple(own.shape)}"
    if name.endswith("pos_embed") and value.shape[-1] == own.shape[-1]:
        return _fit_positions(value, own, backbone)
    first_conv = (
        value.dim() == 4 and value.shape[:1] + value.shape[2:] == own.shape[:1] + own.shape[2:]
    )
    if first_conv and own.shape[1] == 1 and value.shape[1] == 3:
        # Exact for three equal channels: w1 x + w2 x + w3 x = (w1 + w2 + w3) x.
        return value.sum(1, keepdim=True), f"{how}, three equal channels as one"
    if first_conv and own.shape[1] == 3 and value.shape[1] == 1:
        return value.expand_as(own) / 3, f"{how}, one channel as three equal ones"
    return None


def _fit_positions(value: Tensor, own: Tensor, backbone: nn.Module) -> tuple[Tensor, str] | None:
    """Learned positions for another grid.

    They come as (1, extra tokens + patches, C) of a square grid, or as (1, rows, columns, C) of
    ViTSAM, which like ViTDet's backbone has no class token and does without that one's position.
    """
    target = getattr(backbone, "patch_resolution", None)
    if target is None:
        return None
    how = f"{tuple(value.shape)} to {tuple(own.shape)}"
    if value.dim() == 4:
        grid, file_extra = tuple(value.shape[1:3]), 0
        value = value.flatten(1, 2)
    else:
        side = math.isqrt(value.shape[1])
        grid, file_extra = (side, side), value.shape[1] - side * side
    extra = getattr(backbone, "num_extra_tokens", 0)
    if (file_extra, extra) == (1, 0):
        value = value[:, 1:]
        how += ", without the class token's"
    elif file_extra != extra:
        return None
    if grid != tuple(target):
        value = resize_pos_embed(value, grid, tuple(target), num_extra_tokens=extra)
    return value.view(own.shape), how


@torch.no_grad()
def load_into(
    backbone: nn.Module,
    state: dict[str, Tensor],
    info: CheckpointInfo,
    min_coverage: float = 1.0,
    gray: dict | None = None,
) -> LoadReport:
    """Load the ``backbone.*`` tensors of a state dict.

    Every tensor of the backbone must be in the checkpoint, and the backbone must have a place for
    every tensor of the checkpoint's encoder: a part that one side lacks (a bias, positions, query
    norms, further tokens) is few values and another computation.

    Args:
        backbone: any module; its tuples of name parts ``new_at_fine_tuning`` and
            ``pretraining_only`` tell which of its tensors no pre-training has, and which tensors
            of a checkpoint may be left out. Parts are regular expressions.
        state: tensors under mmspec's names.
        info: where they come from.
        min_coverage: least share of the values of backbone and checkpoint's encoder that must be
            loaded. Below 1 whole blocks may be absent on either side, parts of a block still not; 0
            accepts any, and other shapes.
        gray: arguments of :class:`GrayInput`, for a backbone of one channel and weights of three
            that were normalised by different means or stds. Without it the first kernel is summed
            over its channels, which is exact for one mean and one std, the same here and there.

    Raises:
        CheckpointError: less than ``min_coverage`` of the backbone was found in the checkpoint, a
            part is on one side alone, or a tensor has a shape that cannot be made to fit.
    """
    grid = getattr(backbone, "pretrain_grid", None)
    if info.pretrain_grid is not None and grid not in (None, info.pretrain_grid):
        raise CheckpointError(
            f"checkpoint {info.path} was trained with positions of {info.pretrain_grid} patches a "
            f"side, this backbone has pretrain_grid={grid}; set pretrain_grid={info.pretrain_grid}"
        )
    folded = {}
    if gray is not None:
        state, folded = _gray_input(state, backbone, GrayInput(**gray))
    report = LoadReport(info, ignored=dict(info.ignored))
    fresh = getattr(backbone, "new_at_fine_tuning", NEW_AT_FINE_TUNING)
    own_state = backbone.state_dict()
    loaded = total = 0
    misfits, absent, lost = [], [], [name for name, why in info.ignored.items() if why == UNKNOWN]
    blocks = {"", *(_block(k.removeprefix(PREFIX)) for k in state if k.startswith(PREFIX))}
    own_blocks = {"", *map(_block, own_state)}
    for name, own in own_state.items():
        value = state.get(PREFIX + name)
        if value is None and _is_part(name, fresh):
            report.new.append(name)
            continue
        total += own.numel()
        fitted = None if value is None else _fit(name, value, own, backbone)
        if fitted is None:
            if value is not None:
                misfits.append(name)
            elif _block(name) in blocks:
                absent.append(name)
            report.missing[name] = (
                "not in the checkpoint"
                if value is None
                else f"{tuple(value.shape)} in the checkpoint, {tuple(own.shape)} here"
            )
            continue
        value, how = fitted
        own.copy_(value)
        loaded += own.numel()
        if how := how or folded.get(name, ""):
            report.resized[name] = how
        else:
            report.matched.append(name)
    for name, value in state.items():
        if not name.startswith(PREFIX):
            report.ignored[name] = BESIDE
        elif (own_name := name.removeprefix(PREFIX)) not in own_state:
            report.ignored[name] = "this backbone does not have it"
            # What an encoder computed with and this one does not is lost, as missing weights are.
            parts = (*DISPENSABLE, *getattr(backbone, "pretraining_only", ()))
            if not _is_part(own_name, parts):
                total += value.numel()
                if _block(own_name) in own_blocks:
                    lost.append(own_name)
    report.coverage = loaded / total
    reasons = []
    if misfits:
        reasons.append(
            f"{len(misfits)} tensors have another shape, the first {misfits[0]}: "
            f"{report.missing[misfits[0]]}"
        )
    if report.coverage < min_coverage:
        reasons.append(
            f"only {_percent(report.coverage)} of the encoder was found, less than "
            f"min_coverage={min_coverage}"
        )
    if absent:
        reasons.append(f"the checkpoint lacks {_named(absent)}")
    if lost:
        reasons.append(f"this backbone has no place for the checkpoint's {_named(lost)}")
    if reasons and min_coverage > 0:
        raise CheckpointError(
            f"{type(backbone).__name__} and checkpoint do not go together: {'; '.join(reasons)}. "
            f"Give the settings it was trained with{_hint(absent)}, or min_coverage=0 to go on all "
            f"the same\n{report}"
        )
    return report


def _gray_input(
    state: dict[str, Tensor], backbone: nn.Module, gray: GrayInput
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The state with its first convolution made for one channel, and how, by name."""
    for name, own in backbone.state_dict().items():
        bias = f"{name.removesuffix('weight')}bias"
        kernel = state.get(PREFIX + name)
        if own.dim() == 4 and own.shape[1] == 1 and kernel is not None and kernel.shape[1] == 3:
            if PREFIX + bias not in state:
                continue
            changed, shift = gray.fold(kernel)
            state = state | {PREFIX + name: changed, PREFIX + bias: state[PREFIX + bias] + shift}
            how = f"three channels as one, normalised by mean={gray.mean}, std={gray.std}"
            return state, {name: how, bias: how}
    raise CheckpointError(
        f"gray={gray}: {type(backbone).__name__} and checkpoint have no first convolution of one"
        " channel here and of three, with a bias, there: set in_channels=1, or leave gray out"
    )


def _block(name: str) -> str:
    """The numbered layer that a tensor belongs to, ``layers.3`` or ``stages.2.0``; '' of none."""
    match = re.match(r"[^\d.]+(\.\d+)+(?=\.)", name)
    return match[0] if match else ""


def _hint(absent: list[str]) -> str:
    settings = [s for end, s in WITHOUT.items() if any(name.endswith(end) for name in absent)]
    return f" ({', '.join(settings)})" if settings else ""


def _named(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _is_part(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a dotted name has one of some parts, regular expressions of whole words."""
    return any(re.search(rf"(^|\.){part}(\.|$)", name) for part in parts)


def infer_conv_vit_settings(state: dict[str, Tensor]) -> dict:
    """Arguments of a ConvViT read off its tensors; ``num_heads`` for named archs only."""

    def depth(stage: int) -> int:
        prefix = f"{PREFIX}stages.{stage}."
        return 1 + max(int(k[len(prefix) :].split(".")[0]) for k in state if k.startswith(prefix))

    widths = tuple(state[f"{PREFIX}embeds.{i}.proj.weight"].shape[0] for i in range(3))
    hidden = [state[f"{PREFIX}stages.{i}.0.mlp.fc1.weight"].shape[0] for i in range(3)]
    arch = dict(
        embed_dims=widths,
        depths=tuple(depth(i) for i in range(3)),
        mlp_ratios=tuple(h / w for h, w in zip(hidden, widths)),
    )
    for known in ARCHS.values():
        if all(known[key] == value for key, value in arch.items()):
            arch["num_heads"] = known["num_heads"]
    settings = dict(
        arch=arch,
        in_channels=state[f"{PREFIX}embeds.0.proj.weight"].shape[1],
        use_rel_pos=f"{PREFIX}stages.2.0.attn.rel_pos_h" in state,
    )
    if settings["use_rel_pos"]:
        # Of block 1, which by default is global beside windows too.
        table = state[f"{PREFIX}stages.2.{min(1, arch['depths'][2] - 1)}.attn.rel_pos_h"]
        settings["pretrain_grid"] = (table.shape[0] + 1) // 2
    return settings


def infer_vit_settings(state: dict[str, Tensor]) -> dict:
    """Arguments of a ViT read off its tensors; ``num_heads`` for published widths only."""
    projection = state.get(f"{PREFIX}patch_embed.projection.weight")
    if projection is None or projection.dim() != 4:
        raise CheckpointError(
            "the checkpoint's patch embedding is not one convolution, as that of mmspec's ViT is"
        )
    dims, in_channels, patch_size, _ = projection.shape
    prefix = f"{PREFIX}layers."
    arch = dict(
        embed_dims=dims,
        num_layers=1
        + max(int(k[len(prefix) :].split(".")[0]) for k in state if k.startswith(prefix)),
    )
    if (hidden := state.get(f"{prefix}0.ffn.layers.0.0.weight")) is not None:
        arch["feedforward_channels"] = hidden.shape[0]
    if dims in VIT_HEADS:
        arch["num_heads"] = VIT_HEADS[dims]
    return dict(
        arch=arch,
        patch_size=patch_size,
        in_channels=in_channels,
        with_cls_token=f"{PREFIX}cls_token" in state,
        # Fine-tuned on the mean of patches, MAE norms that mean instead.
        final_norm=f"{PREFIX}ln1.weight" in state,
    )


def load_encoder(
    checkpoint: str | Path,
    arch: str | dict | None = None,
    min_coverage: float = 1.0,
    gray: dict | None = None,
    **backbone_args,
) -> tuple[nn.Module, LoadReport]:
    """Build the encoder that a checkpoint was trained with, and load it.

    Args:
        checkpoint: a file that :func:`~mmspec.read_checkpoint` reads.
        arch: None infers everything from the tensors; a name or a dict of the backbone's ``arch``
            overrides it. Tensors do not tell ``num_heads``: a network of no named size needs
            ``arch=dict(num_heads=...)``.
        min_coverage, gray: see :func:`load_into`; ``min_coverage=0`` accepts any checkpoint.
        **backbone_args: further arguments of the backbone, ``out_indices`` or ``use_rel_pos`` say.

    Returns:
        A :class:`ConvViT` or, for a plain ViT, a :class:`MaskedViT`, in evaluation mode, and the
        account of its tensors.

    Raises:
        FileNotFoundError, CheckpointError: see :func:`~mmspec.read_checkpoint` and
            :func:`load_into`.
    """
    state, info = read_checkpoint(checkpoint)
    if f"{PREFIX}embeds.0.proj.weight" in state:
        backbone_type, settings = ConvViT, infer_conv_vit_settings(state)
        if info.pretrain_grid is not None:
            settings["pretrain_grid"] = info.pretrain_grid
    else:
        backbone_type, settings = MaskedViT, infer_vit_settings(state)
    if isinstance(arch, str):
        settings["arch"] = arch
    else:
        settings["arch"].update(arch or {})
        if "num_heads" not in settings["arch"]:
            raise CheckpointError(
                f"checkpoint {checkpoint}: widths {settings['arch']['embed_dims']} are no named "
                "arch, and tensors do not tell the number of heads; give arch=dict(num_heads=...)"
            )
        if backbone_type is MaskedViT and "feedforward_channels" not in settings["arch"]:
            raise CheckpointError(
                f"checkpoint {checkpoint}: no MLP of two linear maps (mlp.fc1, mlp.fc2) in its "
                "layers, which are of a kind that mmspec's ViT does not have (SwiGLU, for one)"
            )
    backbone = backbone_type(**{**settings, **backbone_args})
    report = load_into(backbone, state, info, min_coverage, gray)
    backbone.eval()
    return backbone, report
