"""Putting an encoder's weights into a backbone, with an account of every tensor."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from mmspec.models.backbones import ConvViT, MaskedSwin, MaskedViT
from mmspec.models.backbones.conv_vit import ARCHS
from mmspec.models.layers.position import sincos_positions
from mmspec.registry import MODELS

from .layouts import BESIDE, UNKNOWN
from .reader import CheckpointInfo, read_checkpoint
from .safe_load import CheckpointError, refuse_nan

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
        new = dict.fromkeys(self.new, "pre-training does not have them")
        for title, entries in (
            *(("resized", self.resized), ("missing", self.missing)),
            *(("new", new), ("ignored", self.ignored)),
        ):
            for why in dict.fromkeys(entries.values()):
                names = [name for name, reason in entries.items() if reason == why]
                lines.append(f"  {title}: {_listed(names)} ({why})")
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


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _fit(
    name: str, value: Tensor, own: Tensor, backbone: nn.Module, img_size: tuple[int, int] | None
) -> tuple[Tensor, str] | None:
    """A tensor of another shape made to fit, and how; None where that would be a guess."""
    how = f"{tuple(value.shape)} to {tuple(own.shape)}"
    if name.endswith("pos_embed") and value.shape[-1] == own.shape[-1]:
        fitted = _fit_positions(value, own, backbone, how, img_size)
        if fitted is not None or value.shape != own.shape:
            return fitted
    if value.shape == own.shape:
        return value, ""
    if value.dim() == 4 and value.shape[:1] + value.shape[2:] == own.shape[:1] + own.shape[2:]:
        channels = value.shape[1], own.shape[1]
        if channels == (3, 1):
            # Exact for three equal channels: w1 x + w2 x + w3 x = (w1 + w2 + w3) x.
            return value.sum(1, keepdim=True), f"{how}, three equal channels as one"
        if channels == (1, 3):
            return value.expand_as(own) / 3, f"{how}, one channel as three equal ones"
    return None


def _grid(table: Tensor, patch_size: int, img_size: tuple[int, int] | None) -> tuple[int, int]:
    """Rows and columns of positions, (1, extra tokens + patches, C).

    Those of the images that the file tells; else those whose fixed table it is, for 7 x 28 patches
    are as many as 14 x 14; else those of a square, as published.
    """
    if img_size is not None:
        return img_size[0] // patch_size, img_size[1] // patch_size
    for extra in (0, 1) if table.shape[2] % 4 == 0 else ():
        patches = table[0, extra:].float()
        for rows in range(1, len(patches) + 1):
            grid = rows, len(patches) // rows
            if rows * grid[1] != len(patches):
                continue
            # A file in 16 bits is not exact, and no two grids are that near.
            if torch.allclose(patches, sincos_positions(grid, table.shape[2], rows), atol=0.01):
                return grid
    side = math.isqrt(table.shape[1])
    return side, side


def _fit_positions(
    value: Tensor, own: Tensor, backbone: nn.Module, how: str, img_size: tuple[int, int] | None
) -> tuple[Tensor, str] | None:
    """Positions for another grid.

    They come as (1, extra tokens + patches, C), or as (1, rows, columns, C) of ViTSAM, which like
    ViTDet's backbone has no class token and does without that one's position.
    """
    if (target := getattr(backbone, "patch_resolution", None)) is None:
        return None
    same_shape = value.shape == own.shape
    if value.dim() == 4:
        grid, file_extra = tuple(value.shape[1:3]), 0
        value = value.flatten(1, 2)
    else:
        grid = _grid(value, backbone.img_size[0] // target[0], img_size)
        file_extra = value.shape[1] - grid[0] * grid[1]
    extra = getattr(backbone, "num_extra_tokens", 0)
    if (file_extra, extra) == (1, 0):
        value = value[:, 1:]
        how += ", without the class token's"
    elif file_extra != extra:
        return None
    if same_shape:
        other = f"{grid[0]} x {grid[1]} patches to {target[0]} x {target[1]}"
        how = other if grid != tuple(target) else ""
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
            part is on one side alone, a tensor holds NaN or has a shape that cannot be made to fit,
            or the file tells another number of heads.
    """
    grid = getattr(backbone, "pretrain_grid", None)
    if info.pretrain_grid is not None and grid not in (None, info.pretrain_grid):
        raise CheckpointError(
            f"checkpoint {info.path} was trained with positions of {info.pretrain_grid} patches a "
            f"side, this backbone has pretrain_grid={grid}; set pretrain_grid={info.pretrain_grid}"
        )
    arch, heads = architecture(backbone), (info.arch or {}).get("num_heads")
    if heads and arch is not None and arch["num_heads"] != heads:
        raise CheckpointError(
            f"checkpoint {info.path} was trained with num_heads={heads}, this backbone has"
            f" {arch['num_heads']}, which its tensors would not tell"
        )
    refuse_nan(state, f"checkpoint {info.path}")
    report = LoadReport(info, ignored=dict(info.ignored))
    fresh = getattr(backbone, "new_at_fine_tuning", NEW_AT_FINE_TUNING)
    dispensable = (*DISPENSABLE, *getattr(backbone, "pretraining_only", ()))
    encoder, own_state = _encoder(state), backbone.state_dict()
    folded = {} if gray is None else _gray_input(encoder, backbone, GrayInput(**gray))
    blocks, own_blocks = ({"", *map(_block, names)} for names in (encoder, own_state))
    loaded = total = 0
    misfits, absent, lost = [], [], [name for name, why in info.ignored.items() if why == UNKNOWN]
    for name, own in own_state.items():
        value = encoder.get(name)
        if value is None and _is_part(name, fresh):
            report.new.append(name)
            continue
        total += own.numel()
        if value is None:
            report.missing[name] = "not in the checkpoint"
            if _block(name) in blocks:
                absent.append(name)
        elif (fitted := _fit(name, value, own, backbone, info.img_size)) is None:
            report.missing[name] = (
                f"{tuple(value.shape)} in the checkpoint, {tuple(own.shape)} here"
            )
            misfits.append(name)
        else:
            value, how = fitted
            own.copy_(value)
            loaded += own.numel()
            if how := how or folded.get(name):
                report.resized[name] = how
            else:
                report.matched.append(name)
    report.ignored |= {name: BESIDE for name in state if not name.startswith(PREFIX)}
    for name in [name for name in encoder if name not in own_state]:
        report.ignored[PREFIX + name] = "this backbone does not have it"
        # What an encoder computed with and this one does not is lost, as missing weights are.
        if not _is_part(name, dispensable):
            total += encoder[name].numel()
            if _block(name) in own_blocks:
                lost.append(name)
    report.coverage = loaded / total
    reasons = []
    if misfits:
        first = f"{misfits[0]}: {report.missing[misfits[0]]}"
        reasons.append(f"{len(misfits)} tensors have another shape, the first {first}")
    if report.coverage < min_coverage:
        share = _percent(report.coverage)
        reasons.append(
            f"only {share} of the encoder was found, less than min_coverage={min_coverage}"
        )
    if absent:
        reasons.append(f"the checkpoint lacks {_listed(absent)}")
    if lost:
        reasons.append(f"this backbone has no place for the checkpoint's {_listed(lost)}")
    if reasons and min_coverage > 0:
        hints = [s for end, s in WITHOUT.items() if any(name.endswith(end) for name in absent)]
        hint = f" ({', '.join(hints)})" if hints else ""
        raise CheckpointError(
            f"{type(backbone).__name__} and checkpoint do not go together: {'; '.join(reasons)}. "
            f"Give the settings it was trained with{hint}, or min_coverage=0 to go on all the same"
            f"\n{report}"
        )
    return report


def architecture(backbone: nn.Module) -> dict | None:
    """The settings of a ConvViT or ViT, whose tensors do not tell the heads; None of others."""
    for name in ("arch", "arch_settings"):
        arch = getattr(backbone, name, None)
        if isinstance(arch, dict) and isinstance(arch.get("num_heads"), int):
            return dict(arch)
    return None


def _gray_input(encoder: dict[str, Tensor], backbone: nn.Module, gray: GrayInput) -> dict[str, str]:
    """Make an encoder's first convolution one for one channel, and say how, by name."""
    for name, own in backbone.state_dict().items():
        bias = f"{name.removesuffix('weight')}bias"
        kernel = encoder.get(name)
        if own.dim() == 4 and own.shape[1] == 1 and kernel is not None and kernel.shape[1] == 3:
            if bias not in encoder:
                continue
            encoder[name], shift = gray.fold(kernel)
            encoder[bias] = encoder[bias] + shift
            how = f"three channels as one, normalised by mean={gray.mean}, std={gray.std}"
            return {name: how, bias: how}
    raise CheckpointError(
        f"gray={gray}: {type(backbone).__name__} and checkpoint have no first convolution of one"
        " channel here and of three, with a bias, there: set in_channels=1, or leave gray out"
    )


def _encoder(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Its tensors, floating-point ones as float32: a file may hold them in half of the bits."""
    encoder = {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}
    return {k: v.float() if v.is_floating_point() else v for k, v in encoder.items()}


def _block(name: str) -> str:
    """The numbered layer that a tensor belongs to, ``layers.3`` or ``stages.2.0``; '' of none."""
    match = re.match(r"[^\d.]+(\.\d+)+(?=\.)", name)
    return match[0] if match else ""


def _is_part(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a dotted name has one of some parts, regular expressions of whole words."""
    return any(re.search(rf"(^|\.){part}(\.|$)", name) for part in parts)


def _depth(encoder: dict[str, Tensor], layers: str) -> int:
    numbers = [re.match(rf"{layers}\.(\d+)\.", name) for name in encoder]
    return 1 + max(int(number[1]) for number in numbers if number)


def _conv_vit_settings(encoder: dict[str, Tensor]) -> dict:
    """Arguments of a ConvViT read off its tensors; ``num_heads`` for named archs only."""
    if absent := [i + 1 for i in range(3) if f"embeds.{i}.proj.weight" not in encoder]:
        raise CheckpointError(
            f"a ConvViT without stage {absent[0]}, trained with fewer out_indices: make the"
            " backbone as it was, and mmspec.checkpoints.load_into(backbone, state, info)"
        )
    widths, in_channels = zip(*(encoder[f"embeds.{i}.proj.weight"].shape[:2] for i in range(3)))
    hidden = [encoder[f"stages.{i}.0.mlp.fc1.weight"].shape[0] for i in range(3)]
    arch = dict(
        embed_dims=widths,
        depths=tuple(_depth(encoder, f"stages.{i}") for i in range(3)),
        mlp_ratios=tuple(h / w for h, w in zip(hidden, widths)),
    )
    for known in ARCHS.values():
        if all(known[key] == value for key, value in arch.items()):
            arch["num_heads"] = known["num_heads"]
    # Of block 1, which by default is global beside windows too.
    table = encoder.get(f"stages.2.{min(1, arch['depths'][2] - 1)}.attn.rel_pos_h")
    settings = dict(arch=arch, in_channels=in_channels[0], use_rel_pos=table is not None)
    if table is not None:
        settings["pretrain_grid"] = (table.shape[0] + 1) // 2
    return settings


def _vit_settings(encoder: dict[str, Tensor], img_size: tuple[int, int] | None) -> dict:
    """Arguments of a ViT read off its tensors; ``num_heads`` for published widths only."""
    projection = encoder.get("patch_embed.projection.weight")
    if projection is None or projection.dim() != 4:
        raise CheckpointError(
            "the checkpoint's patch embedding is not one convolution, as that of mmspec's ViT is"
        )
    dims, in_channels, patch_size, _ = projection.shape
    arch = dict(embed_dims=dims, num_layers=_depth(encoder, "layers"))
    if (hidden := encoder.get("layers.0.ffn.layers.0.0.weight")) is not None:
        arch["feedforward_channels"] = hidden.shape[0]
    # mmpretrain's 'small' has the base's width, a smaller MLP and 8 heads.
    if dims in VIT_HEADS and arch.get("feedforward_channels") == 4 * dims:
        arch["num_heads"] = VIT_HEADS[dims]
    settings = {}
    if (table := encoder.get("pos_embed")) is not None:
        grid = table.shape[1:3] if table.dim() == 4 else _grid(table, patch_size, img_size)
        settings["img_size"] = (grid[0] * patch_size, grid[1] * patch_size)
    return dict(
        **settings,
        arch=arch,
        patch_size=patch_size,
        in_channels=in_channels,
        with_cls_token="cls_token" in encoder,
        # Fine-tuned on the mean of patches, MAE norms that mean instead.
        final_norm="ln1.weight" in encoder,
    )


def _swin_settings(encoder: dict[str, Tensor]) -> dict:
    """Arguments of a Swin transformer, all of which its tensors tell."""
    name = "stages.{}.blocks.0.attn.w_msa.relative_position_bias_table"
    tables = [encoder[name.format(i)] for i in range(_depth(encoder, "stages"))]
    dims, in_channels = encoder["patch_embed.projection.weight"].shape[:2]
    return dict(
        arch=dict(
            embed_dims=dims,
            depths=[_depth(encoder, rf"stages\.{i}\.blocks") for i in range(len(tables))],
            num_heads=[table.shape[1] for table in tables],
        ),
        in_channels=in_channels,
    )


@MODELS.register_module(name="LoadedEncoder")
def loaded_encoder(checkpoint: str) -> nn.Module:
    """What :func:`load_encoder` gives, for a part of a model that is a file's encoder."""
    return load_encoder(checkpoint)[0]


def load_encoder(
    checkpoint: str | Path,
    arch: str | dict | None = None,
    min_coverage: float = 1.0,
    gray: dict | None = None,
    **backbone_args,
) -> tuple[nn.Module, LoadReport]:
    """Build the encoder that a checkpoint was trained with, and load it.

    Args:
        checkpoint: a file that :func:`~mmspec.read_checkpoint` reads, or the name of an encoder
            that mmspec ships.
        arch: None infers everything from the tensors; a name or a dict of the backbone's ``arch``
            overrides it. Tensors do not tell ``num_heads``: a network of no named size needs
            ``arch=dict(num_heads=...)``.
        min_coverage, gray: see :func:`load_into`; ``min_coverage=0`` accepts any checkpoint.
        **backbone_args: further arguments of the backbone, ``out_indices`` or ``use_rel_pos`` say.

    Returns:
        A :class:`ConvViT`, for a plain ViT a :class:`MaskedViT`, or for a Swin transformer a
        :class:`MaskedSwin`, in evaluation mode, and the account of its tensors.

    Raises:
        FileNotFoundError, CheckpointError: see :func:`~mmspec.read_checkpoint` and
            :func:`load_into`.
    """
    state, info = read_checkpoint(checkpoint)
    encoder = _encoder(state)
    if "embeds.0.proj.weight" in encoder:
        backbone_type, settings = ConvViT, _conv_vit_settings(encoder)
        if info.pretrain_grid is not None:
            settings["pretrain_grid"] = info.pretrain_grid
    elif "stages.0.blocks.0.attn.w_msa.relative_position_bias_table" in encoder:
        backbone_type, settings = MaskedSwin, _swin_settings(encoder)
    else:
        backbone_type, settings = MaskedViT, _vit_settings(encoder, info.img_size)
    settings["arch"].update(info.arch or {})
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
