"""The ROC curve of pixels as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from mmspec.evaluation.roc import RocCurve


def save_roc_curve(curve: RocCurve, path: str | Path) -> None:
    """Draws the curve into a picture file, over linear and over logarithmic false positive rates.

    Targets fill so few pixels that all of interest happens far below a rate of 0.01.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharey=True)
    for axis, scale in zip(axes, ("linear", "log")):
        axis.plot(curve.false_positive_rate, curve.true_positive_rate, "tab:red", linewidth=1.5)
        axis.set(xlabel="false positive rate", xscale=scale, ylim=(0, 1.02))
        axis.grid(alpha=0.3)
    smallest = curve.false_positive_rate[curve.false_positive_rate > 0].min()
    axes[0].set(ylabel="true positive rate", xlim=(0, 1))
    axes[1].set(xlim=(min(smallest, 0.1), 1))
    figure.suptitle(f"pixels: area under the curve {curve.area:.4f}", fontsize="medium")
    figure.savefig(path, dpi=120)
    plt.close(figure)
