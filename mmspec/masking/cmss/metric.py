"""Cross-modality structural sparsity: one value a patch of a pair."""

from __future__ import annotations

import torch
from torch import Tensor

#: Least variance of a token. The fixed positions alone give about 0.3, so that it holds only for
#: tokens without any structure, which would otherwise divide by zero.
MIN_VARIANCE = 1e-3


def structural_sparsity(thermal: Tensor, rgb: Tensor, variance: str = "both") -> Tensor:
    """CMSS of patch tokens: ``sqrt((1 + cos) / 2) / (Var(thermal) * Var(rgb))``.

    Low where a patch holds structure, high where it is flat. Not yet divided by the largest value
    of the batch, which is a matter of all processes.

    Args:
        thermal, rgb: (B, L, C) tokens of the same patches, of any floating dtype.
        variance: 'both'; or 'first', the thermal variance squared, as in the released code, where
            the structure of the RGB image never counts.

    Returns:
        (B, L) float32, finite and not negative for finite tokens.
    """
    if variance not in ("both", "first"):
        raise ValueError(f"variance={variance!r}: 'both' or 'first'")
    if thermal.shape != rgb.shape or thermal.dim() != 3:
        raise ValueError(
            "tokens of the two modalities must be (B, L, C) and of one shape, got thermal "
            f"{tuple(thermal.shape)} and rgb {tuple(rgb.shape)}"
        )
    # Half precision has neither the range nor the digits.
    with torch.autocast(thermal.device.type, enabled=False):
        thermal, rgb = thermal.float(), rgb.float()
        norm_thermal, norm_rgb = (torch.linalg.vector_norm(x, dim=-1) for x in (thermal, rgb))
        # Inner products by token: on a CPU a product and a sum take some six times as long.
        inner = (thermal.unsqueeze(-2) @ rgb.unsqueeze(-2).mT).flatten(1)
        tiny = torch.finfo(inner.dtype).tiny
        cosine = inner / (norm_thermal * norm_rgb).clamp(min=tiny)
        var_thermal = _variance(thermal, norm_thermal)
        var_rgb = var_thermal if variance == "first" else _variance(rgb, norm_rgb)
        return ((1 + cosine) / 2).clamp(0, 1).sqrt() / (var_thermal * var_rgb)


def _variance(tokens: Tensor, norm: Tensor) -> Tensor:
    """Unbiased variance over channels, at least ``MIN_VARIANCE``: (B, L).

    From the norm that is at hand: on a CPU ``torch.var`` takes some thirty times as long.
    """
    channels = tokens.shape[-1]
    squares = norm.square() - channels * tokens.mean(-1).square()
    return (squares / (channels - 1)).clamp(min=MIN_VARIANCE)
