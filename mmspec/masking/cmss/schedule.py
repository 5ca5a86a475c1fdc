"""What an epoch changes: where targets lie and how many patches each modality shows.

Plain numbers: it runs once an epoch, between the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..selection import visible_count

#: A modality shows at least 1 - MAX_MASK_RATIO of the patches, however its loss compares.
MAX_MASK_RATIO = 0.95
KEEP_GAIN = 10.0
TARGET_GAIN = 0.1
MAX_TARGET_SHIFT = 0.1
# 100 patches between ratios 0.9 and 0.95 are 5, not int(4.999999999999993).
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Schedule:
    """State of the schedule.

    Attributes:
        centres: means of the targets, R_1..R_m; the last one moves.
        keep_shift: how many visible patches thermal gives to RGB, B (of which the integer counts).
        target_shift: what is added to thermal targets and taken from RGB targets, b.
    """

    centres: tuple[float, ...] = (0.0,)
    keep_shift: float = 0.0
    target_shift: float = 0.0


def largest_keep_shift(num_patches: int, mask_ratio: float) -> int:
    """Most patches that one modality may give to the other; one is left to it in any case."""
    spare = int(max(0.0, num_patches * (MAX_MASK_RATIO - mask_ratio)) + _ROUNDING)
    return min(spare, visible_count(num_patches, ratio=mask_ratio) - 1)


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

    Args:
        schedule: of the epoch that ended.
        means: of the mixture's K components, in any order.
        loss_difference: RGB loss minus thermal loss.
        finished: number of epochs that ended, from 1.
        max_epochs: of the run.
        keep_limit: of :func:`largest_keep_shift`. The bounds of both shifts hold in either
            direction; the released code lets them pass for an epoch and has none below.
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
    return min(max(value, -limit), limit)
