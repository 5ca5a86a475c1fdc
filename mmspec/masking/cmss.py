"""GMM-CMSS progressive masking of RGB-thermal pairs (M-SpecGene, arXiv 2507.16318).

A metric of how flat a patch is in both modalities, an online mixture of its values, targets drawn
around means that move from low to high over the epochs, the patches nearest to the targets, and the
epoch-wise schedule of those means.
"""

import functools
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.utils import digit_version
from torch import Tensor

from .patch_mask import ROUNDING, visible_count

#: Least variance of a token. The fixed positions alone give about 0.3, so that it holds only for
#: tokens without any structure, which would otherwise divide by zero.
MIN_TOKEN_VARIANCE = 1e-3


def structural_sparsity(infrared: Tensor, visible: Tensor, variance: str = "both") -> Tensor:
    """CMSS of patch tokens: ``sqrt((1 + cos) / 2) / (Var(infrared) * Var(visible))``.

    From tokens (B, L, C) of the same patches, of any floating dtype, (B, L) float32, not yet
    divided by the largest value of the batch. Low where a patch holds structure, high where it is
    flat. ``variance='first'`` is the released code's: the infrared variance squared, so that the
    structure of the visible image never counts.
    """
    if variance not in ("both", "first"):
        raise ValueError(f"variance={variance!r}: 'both' or 'first'")
    if infrared.shape != visible.shape or infrared.dim() != 3:
        raise ValueError(
            "tokens of the two modalities must be (B, L, C) and of one shape, got infrared "
            f"{tuple(infrared.shape)} and visible {tuple(visible.shape)}"
        )
    # Half precision has neither the range nor the digits.
    with torch.autocast(infrared.device.type, enabled=False):
        infrared, visible = infrared.float(), visible.float()
        norms = [torch.linalg.vector_norm(x, dim=-1) for x in (infrared, visible)]
        if infrared.is_cuda:  # by a matrix product they might be in TF32
            inner = (infrared * visible).sum(-1)
        else:  # where a product and a sum take some six times as long
            inner = (infrared.unsqueeze(-2) @ visible.unsqueeze(-2).mT).flatten(1)
        tiny = torch.finfo(inner.dtype).tiny
        cosine = inner / (norms[0] * norms[1]).clamp(min=tiny)
        var_infrared = _variance(infrared, norms[0])
        var_visible = var_infrared if variance == "first" else _variance(visible, norms[1])
        return ((1 + cosine) / 2).clamp(0, 1).sqrt() / (var_infrared * var_visible)


def _variance(tokens: Tensor, norm: Tensor) -> Tensor:
    """Unbiased variance over channels, at least ``MIN_TOKEN_VARIANCE``: (B, L).

    From the norm that is at hand: on a CPU ``torch.var`` takes some thirty times as long.
    """
    channels = tokens.shape[-1]
    squares = norm.square() - channels * tokens.mean(-1).square()
    return (squares / (channels - 1)).clamp(min=MIN_TOKEN_VARIANCE)


#: Gaussians of the mixture, K.
NUM_COMPONENTS = 3
#: Least variance of a component, of values in [0, 1].
MIN_VARIANCE = 1e-8
#: Values of a smaller variance are all alike and tell nothing of a mixture.
ALIKE = 1e-6
#: A component that explains a smaller share of the values is dead and starts anew.
MIN_WEIGHT = 1e-3


class Mixture(NamedTuple):
    """K Gaussians: means, variances and weights (K,), in no order."""

    means: Tensor
    variances: Tensor
    weights: Tensor


def random_mixture(components: int) -> Mixture:
    """The start: random means in [0, 1), variance 1, equal weights."""
    weights = torch.full((components,), 1 / components)
    return Mixture(torch.rand(components), torch.ones(components), weights)


def mixture_statistics(values: Tensor, mixture: Mixture) -> Tensor:
    """The expectation step: what values in [0, 1], of any shape, tell of each component: (3, K).

    Sums over the values, which add up over processes: of responsibilities; times the offset from
    the component's mean; times the offset squared. Offsets rather than values keep a narrow
    component's variance exact in float32. Values that are not finite (tokens that overflowed) are
    left out.
    """
    means, variances, weights = (parameter[:, None] for parameter in mixture)
    values = values.reshape(1, -1).to(means.dtype)
    finite = values.isfinite()
    offsets = torch.where(finite, values - means, 0.0)
    # In the logarithm: a value far from all components would be 0 / 0.
    log_density = weights.log() - 0.5 * variances.log() - offsets.square() / (2 * variances)
    shares = log_density.softmax(0) * finite
    weighted = shares * offsets
    return torch.stack([shares.sum(1), weighted.sum(1), (weighted * offsets).sum(1)])


def updated_mixture(mixture: Mixture, statistics: Tensor) -> Mixture:
    """The maximisation step, from :func:`mixture_statistics` of all processes.

    Variances are those around the new means, at least ``MIN_VARIANCE``. A component whose weight
    falls below ``MIN_WEIGHT`` starts anew with the variance of all values and weight 1 / K, its
    mean at theirs, moved by so many standard deviations that no two such components are equal.

    Two kinds of batch leave the mixture as it is: one without a finite value (tokens that
    overflowed), and values that are all alike (constant images), on which the components would
    become equal and stay so.
    """
    counts, firsts, seconds = statistics
    total = counts.sum()
    tiny = torch.finfo(counts.dtype).tiny
    shift = firsts / counts.clamp(min=tiny)
    means = mixture.means + shift
    variances = seconds / counts.clamp(min=tiny) - shift.square()
    weights = counts / total

    overall = (weights * means).sum()
    variance = (weights * (variances + (means - overall).square())).sum()
    components = len(counts)
    places = torch.arange(components, device=counts.device) - (components - 1) / 2
    dead = weights < MIN_WEIGHT
    fresh = Mixture(
        torch.where(dead, overall + places * variance.sqrt(), means),
        torch.where(dead, variance, variances).clamp(min=MIN_VARIANCE),
        torch.where(dead, 1 / components, weights),
    )
    fresh = fresh._replace(weights=fresh.weights / fresh.weights.sum())
    informative = statistics.isfinite().all() & (variance > ALIKE)
    return Mixture(*(torch.where(informative, new, old) for new, old in zip(fresh, mixture)))


#: Variance at a mean of 0, where no component lies.
VARIANCE_AT_ZERO = 0.01


def target_distribution(
    mixture: Mixture, centres: Tensor, num_centres: Tensor, shift: Tensor
) -> Mixture:
    """The K Gaussians that targets come from, with means at ``centres + shift``.

    Of the centres (K,) the first ``num_centres`` (scalar int64) are in use; others get weight 0.
    Weights are those of the mixture's components of the same rank by mean. Variances are read off
    at the means by linear interpolation between the mixture's (mean, variance) pairs and (0, 0.01),
    constant beyond.
    """
    order = mixture.means.argsort()
    in_use = torch.arange(len(centres), device=centres.device) < num_centres
    weights = mixture.weights.gather(0, order) * in_use
    means = centres + shift
    known, order = F.pad(mixture.means, (1, 0)).sort()
    table = F.pad(mixture.variances, (1, 0), value=VARIANCE_AT_ZERO).gather(0, order)
    return Mixture(means, _interpolated(means, known, table), weights / weights.sum())


def _interpolated(x: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear through (known, values), known ascending; constant beyond its ends."""
    right = torch.searchsorted(known, x).clamp(1, len(known) - 1)
    left_x, right_x = known.gather(0, right - 1), known.gather(0, right)
    width = (right_x - left_x).clamp(min=torch.finfo(x.dtype).tiny)
    share = ((x - left_x) / width).clamp(0, 1)
    return torch.lerp(values.gather(0, right - 1), values.gather(0, right), share)


def draw_targets(
    distribution: Mixture,
    num_centres: Tensor,
    batch: int,
    num_patches: int,
    keep: int,
    shuffle: bool = True,
) -> Tensor:
    """Draw targets of the visible patches from :func:`target_distribution`: (batch, keep).

    ``shuffle``: each image has L = ``num_patches`` targets, each component with its share of them,
    in random order, of which the first ``keep`` are taken. Else, as in the released code, batch * L
    targets come component after component, so that an image sees mostly one of them.
    """
    device = distribution.means.device
    if shuffle:
        total = num_patches
        # A part of a random order; a whole one takes three times as long.
        places = torch.rand(batch, num_patches, device=device).topk(keep).indices
    else:
        total = batch * num_patches
        places = torch.arange(total, device=device).view(batch, num_patches)[:, :keep]
    ends = (total * distribution.weights).floor().cumsum(0)
    # What rounding leaves goes to the last component in use.
    component = torch.minimum((places[..., None] >= ends).sum(-1), num_centres - 1)
    means = distribution.means[component]
    return means + torch.randn_like(means) * distribution.variances[component].sqrt()


@functools.cache
def has_triton() -> bool:
    """Whether kernels can be written in Triton: PyTorch for Linux and CUDA brings it."""
    try:
        return digit_version(importlib.metadata.version("triton")) >= digit_version("3.0")
    except importlib.metadata.PackageNotFoundError:
        return False


def choose_nearest(scores: Tensor, targets: Tensor) -> Tensor:
    """For one target after the other, the patch of nearest score that is not yet taken.

    From scores (B, L) and targets (B, V), V at most L, (B, V) int64 distinct patch numbers, in the
    order of the targets: sequential by definition, one batched search a target; on a GPU all of
    them in one kernel, where Triton (3 or later) is installed. Both modalities' targets in one call
    give disjoint sets. Patches whose score is not finite are taken last.
    """
    if targets.shape[1] > scores.shape[1]:
        raise ValueError(f"{targets.shape[1]} targets for {scores.shape[1]} patches")
    # NaN would be the nearest to any target, and as good as taken where it is infinite.
    largest = torch.finfo(scores.dtype).max / 2
    free = scores.nan_to_num(largest, largest, largest)
    if scores.is_cuda and scores.dtype == targets.dtype == torch.float32 and has_triton():
        from .nearest_kernel import choose_nearest_at_once

        return choose_nearest_at_once(free, targets)
    distance = torch.empty_like(free)
    chosen = []
    for target in targets.t().unsqueeze(-1):
        torch.sub(free, target, out=distance)
        nearest = distance.abs_().argmin(1, keepdim=True)
        free.scatter_(1, nearest, torch.inf)
        chosen.append(nearest)
    return torch.cat(chosen, 1)


#: A modality shows at least 1 - MAX_MASK_RATIO of the patches, however its loss compares.
MAX_MASK_RATIO = 0.95
KEEP_GAIN = 10.0
TARGET_GAIN = 0.1
MAX_TARGET_SHIFT = 0.1


@dataclass(frozen=True)
class Schedule:
    """State of the schedule.

    Attributes:
        centres: means of the targets, R_1..R_m; the last one moves.
        keep_shift: how many patches the infrared image shows less and the visible one more, B (of
            which the integer counts).
        target_shift: what is added to infrared targets and taken from visible targets, b.
    """

    centres: tuple[float, ...] = (0.0,)
    keep_shift: float = 0.0
    target_shift: float = 0.0


def largest_keep_shift(num_patches: int, mask_ratio: float) -> int:
    """Most patches that one modality may give to the other; one is left to it in any case."""
    spare = int(max(0.0, num_patches * (MAX_MASK_RATIO - mask_ratio)) + ROUNDING)
    return min(spare, visible_count(num_patches, mask_ratio) - 1)


def advance_schedule(
    schedule: Schedule,
    means: Sequence[float],
    loss_difference: float,
    finished: int,
    max_epochs: int,
    keep_limit: int,
) -> Schedule:
    """The schedule for the next epoch.

    In the first half of the epochs the last centre moves so that the centres' sum reaches that of
    the mixture's means by the middle of the run; once it has passed the mixture's mean of its rank,
    it is fixed there and a new one starts at 0. In the second half the last centre is the largest
    mean, and the last one still below moves up. Targets, and with them visible patches, thus go
    from structure-rich to flat.

    ``means`` are those of the mixture, in any order; ``loss_difference`` is the visible loss minus
    the infrared one; ``finished`` epochs ended, from 1. ``keep_limit`` is that of
    :func:`largest_keep_shift`. The bounds of both shifts hold in either direction; the released
    code lets them pass for an epoch and has none below.
    """
    centres, means = list(schedule.centres), sorted(means)
    half = max_epochs // 2
    if finished < half:
        reached = means[len(centres) - 1]
        if reached < centres[-1] and len(centres) < len(means):
            centres[-1] = reached
            centres.append(0.0)
        centres[-1] += (sum(means) - sum(centres)) / (half - finished)
    else:
        centres[-1] = means[-1]
        below = [i for i, centre in enumerate(centres) if centre < means[-1]]
        if below:
            missing = len(means) * means[-1] - sum(centres)
            centres[below[-1]] += missing / max(max_epochs + 1 - finished, 1)
    return Schedule(
        tuple(centres),
        _bounded(schedule.keep_shift + KEEP_GAIN * loss_difference, keep_limit),
        _bounded(schedule.target_shift + TARGET_GAIN * loss_difference, MAX_TARGET_SHIFT),
    )


def _bounded(value: float, limit: float) -> float:
    """The value, or the limit of its sign."""
    return min(max(value, -limit), limit)
