"""Which CMSS visible patches should have: values drawn from Gaussians that the schedule moves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .mixture import Mixture

#: Variance at a mean of 0, where no component lies.
VARIANCE_AT_ZERO = 0.01


def target_distribution(
    mixture: Mixture, centres: Tensor, num_centres: Tensor, shift: Tensor
) -> Mixture:
    """The Gaussians that targets come from.

    Args:
        mixture: the fitted K Gaussians.
        centres: (K,), of which the first ``num_centres`` are in use.
        num_centres: scalar int64, 1..K.
        shift: scalar, added to the centres.

    Returns:
        K Gaussians: means ``centres + shift``; variances read off at these means by linear
        interpolation between the mixture's (mean, variance) pairs and (0, 0.01), constant beyond;
        weights of the mixture's components of the same rank by mean, 0 for those not in use.
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
    """Draws the targets of the visible patches: (batch, keep).

    Args:
        distribution: of :func:`target_distribution`.
        num_centres: scalar int64, how many of its components are in use.
        batch: number of images.
        num_patches: patches of an image, L.
        keep: targets of an image.
        shuffle: True: L targets an image, each component with its share of them, in random order,
            of which the first ``keep`` are taken. False, as in the released code: batch * L
            targets, component after component, so that an image sees mostly one of them.
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
