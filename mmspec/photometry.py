"""By how much gray levels and colours are changed at random, in the loader or on the device."""

import math
from dataclasses import dataclass

#: Least and largest factor of brightness, contrast and saturation, and the share of a full turn of
#: hue: mmseg's ``PhotoMetricDistortion``.
VISIBLE_LOW = (0.875, 0.5, 0.5, -0.1)
VISIBLE_HIGH = (1.125, 1.5, 1.5, 0.1)

_LEAST = dict(gain=1e-3, offset=-math.inf, gamma=1e-3, noise=0)


@dataclass(frozen=True)
class InfraredChanges:
    """Ranges of what :class:`~mmspec.datasets.transforms.InfraredPhotometric` changes.

    Raises:
        ValueError: A range or probability that makes no sense.
    """

    gain: tuple[float, float] = (0.7, 1.4)
    offset: tuple[float, float] = (-0.5, 0.5)
    gamma: tuple[float, float] = (0.75, 1.33)
    noise: tuple[float, float] = (0, 0.15)
    prob: float = 0.5

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            low, high = getattr(self, name)
            if not least <= low <= high:
                raise ValueError(
                    f"{name} must be (low, high) with {least} <= low <= high, got {(low, high)}"
                )
        if not 0 <= self.prob <= 1:
            raise ValueError(f"prob must be in [0, 1], got {self.prob}")
