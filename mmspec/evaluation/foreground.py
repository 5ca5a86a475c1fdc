"""Score maps and masks of one kind of thing before a background, as mmseg hands them over."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


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
    if invalid := int((~scores.isfinite()).sum()):
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


def labelled_mask(
    sample: dict, shape: tuple[int, int], name: str, allowed: Mapping[int, str]
) -> np.ndarray:
    """The truth of a sample of mmseg, ``gt_sem_seg``.

    Args:
        sample: as metrics get it.
        shape: (H, W) of the scores.
        name: what errors call the image.
        allowed: values and what they mean.

    Returns:
        (H, W) of an integer type.

    Raises:
        ValueError: there is none, it is of another size than the scores or holds other values.
    """
    if "gt_sem_seg" not in sample:
        raise ValueError(
            f"{name}: no label came with it; put mmspec.LoadSegmentationLabels into the test"
            " pipeline, before PackSegInputs"
        )
    truth = sample["gt_sem_seg"]["data"].squeeze(0).cpu().numpy()
    if truth.shape != shape:
        raise ValueError(
            f"{name}: its label is {truth.shape[1]} x {truth.shape[0]} pixels, its scores"
            f" {shape[1]} x {shape[0]}; in the test pipeline load the label after any resize"
        )
    if wrong := set(np.unique(truth).tolist()) - set(allowed):
        meanings = ", ".join(f"{value} {meaning}" for value, meaning in allowed.items())
        raise ValueError(
            f"{name}: its label holds {', '.join(map(str, sorted(wrong)))}; allowed: {meanings}"
        )
    return truth
