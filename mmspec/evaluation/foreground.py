"""Score maps and masks of one kind of thing before a background, as mmseg hands them over."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from .samples import field_of, label_of, name_of


def foreground_probability(seg_logits: Tensor, name: str) -> np.ndarray:
    """Probability of the foreground at each pixel, from mmseg's ``seg_logits`` of a sample.

    Args:
        seg_logits: (1, H, W) probabilities (mmseg applies the sigmoid) or (2, H, W) logits of
            background and foreground, any float type and device.
        name: what errors call the image.

    Returns:
        (H, W) float64.

    Raises:
        ValueError: NaN or infinite values, another number of channels, or one channel that is not
            within 0 and 1.
    """
    scores = seg_logits.detach().cpu().double()
    # A sum is finite where all are, and takes no array of its own.
    if not scores.sum().isfinite() and (invalid := int((~scores.isfinite()).sum())):
        raise ValueError(
            f"{name}: {invalid:,} of {scores.numel():,} scores are NaN or infinite; the model has"
            " diverged or overflowed in half precision"
        )
    if len(scores) == 2:
        return torch.sigmoid(scores[1] - scores[0]).numpy()
    if len(scores) != 1:
        raise ValueError(
            f"{name}: {len(scores)} channels of scores; there is one (sigmoid) or there are two"
            " (background and foreground)"
        )
    if scores.numel() and not 0 <= scores.min() <= scores.max() <= 1:
        raise ValueError(
            f"{name}: one channel of scores from {scores.min():.3g} to {scores.max():.3g}, not"
            " probabilities; mmseg applies the sigmoid before a metric sees them"
        )
    return scores[0].numpy()


def scored_and_true(sample: Mapping, allowed: Mapping[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the foreground and truth of a sample, as mmseg hands it to metrics.

    Args:
        sample: with ``seg_logits``, see :func:`foreground_probability`, and ``gt_sem_seg``.
        allowed: values of the truth and what they mean.

    Returns:
        (H, W) float64, and (H, W) of an integer type.

    Raises:
        KeyError: one of them is not there.
        ValueError: see :func:`foreground_probability`; truth of another size or with other values.
    """
    logits = field_of(sample, "seg_logits", "a model of mmseg gives it in its predict()")["data"]
    probability = foreground_probability(logits, name_of(sample))
    meanings = ", ".join(f"{value} {meaning}" for value, meaning in allowed.items())
    return probability, label_of(sample, probability.shape, allowed, f"allowed: {meanings}")
