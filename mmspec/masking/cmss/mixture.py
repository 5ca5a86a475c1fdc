"""An online mixture of Gaussians over scalars: one step of expectation maximisation a batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

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
    return Mixture(
        torch.rand(components),
        torch.ones(components),
        torch.full((components,), 1 / components),
    )


def mixture_statistics(values: Tensor, mixture: Mixture) -> Tensor:
    """The expectation step: what the values tell of each component.

    Sums over the values, so that those of several processes add up to those of their joint batch.

    Args:
        values: any shape, in [0, 1]; those that are not finite (tokens that overflowed) are left
            out.
        mixture: the mixture so far.

    Returns:
        (3, K): the responsibilities summed; times the offset from the component's mean; times the
        offset squared. Offsets rather than values keep a narrow component's variance exact in
        float32.
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
