"""Miss-rate curves of pedestrian detectors as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mmspec.evaluation.miss_rate import FPPI_POINTS, MissRateCurve

LEAST_FPPI, LEAST_MISS_RATE = 1e-3, 0.01


def save_miss_rate_curves(
    panels: Mapping[str, Mapping[str, MissRateCurve]], path: str | Path, title: str = ""
) -> None:
    """Draws curves into a picture file, both axes logarithmic.

    The nine points that a log-average miss rate averages are marked; it stands in the legend.

    Args:
        panels: of each title, such as Day and Night, the curve of each detector.
        path: the file.
        title: of the picture, the setting say.
    """
    panels = panels or {"no curve": {}}
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4 * len(panels), 3.9), layout="constrained", sharey=True,
        squeeze=False,
    )  # fmt: skip
    for axis, (name, curves) in zip(axes[0], panels.items()):
        for number, (detector, curve) in enumerate(curves.items()):
            colour = f"C{number % 10}"
            label = f"{100 * curve.log_average:.2f} %  {detector}"
            # First the threshold that nothing passes. Hits before any false positive lie at 0.
            fppi = np.append(LEAST_FPPI, curve.fppi.clip(LEAST_FPPI))
            miss_rate = np.append(1, curve.miss_rate)
            axis.step(fppi, miss_rate, colour, where="post", linewidth=1.5, label=label)
            axis.plot(FPPI_POINTS, curve.at_points, "o", color=colour, markersize=3.5)
        axis.set(
            xscale="log", yscale="log", xlabel="false positives per image",
            xlim=(LEAST_FPPI, 10), ylim=(LEAST_MISS_RATE, 1.05),
        )  # fmt: skip
        ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        objects = next(iter(curves.values())).objects if curves else 0
        axis.set_title(f"{name}: {objects:,} pedestrians", fontsize="medium")
        if curves:
            axis.legend(fontsize="small", loc="lower left")
    axes[0, 0].set_ylabel("miss rate")
    figure.suptitle(title, fontsize="medium")
    figure.savefig(path, dpi=120)
    plt.close(figure)
