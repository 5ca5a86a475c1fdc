"""Curves of detectors and masks, drawn into picture files."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mmspec.evaluation.miss_rate import FPPI_POINTS, MissRateCurve
from mmspec.evaluation.saliency import THRESHOLDS, SaliencyCurves
from mmspec.evaluation.small_target import RocCurve

MIN_FPPI, MIN_MISS_RATE = 1e-3, 0.01


def save_miss_rate_curves(
    panels: Mapping[str, Mapping[str, MissRateCurve]], path: str | Path, title: str = ""
) -> None:
    """Draw curves into a picture file, both axes logarithmic.

    The nine points that a log-average miss rate averages are marked; it stands in the legend.

    Args:
        panels: of each title, such as Day and Night, the curve of each detector.
        title: of the picture, the setting say.
    """
    panels = panels or {"no curve": {}}
    figure, axes = _panels(len(panels), 4 * len(panels), 3.9, sharey=True)
    for axis, (name, curves) in zip(axes, panels.items()):
        for number, (detector, curve) in enumerate(curves.items()):
            colour = f"C{number % 10}"
            label = f"{100 * curve.log_average:.2f} %  {detector}"
            # First the threshold that nothing passes. Hits before any false positive lie at 0.
            fppi = np.append(MIN_FPPI, curve.fppi.clip(MIN_FPPI))
            miss_rate = np.append(1, curve.miss_rate)
            axis.step(fppi, miss_rate, colour, where="post", linewidth=1.5, label=label)
            axis.plot(FPPI_POINTS, curve.at_points, "o", color=colour, markersize=3.5)
        axis.set(xlabel="false positives per image", xscale="log", yscale="log")
        axis.set(xlim=(MIN_FPPI, 10), ylim=(MIN_MISS_RATE, 1.05))
        ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axis.minorticks_off()
        objects = next(iter(curves.values())).objects if curves else 0
        axis.set_title(f"{name}: {objects:,} pedestrians", fontsize="medium")
        if curves:
            axis.legend(fontsize="small", loc="lower left")
    axes[0].set_ylabel("miss rate")
    figure.suptitle(title, fontsize="medium")
    _save(figure, path)


def save_roc_curve(curve: RocCurve, path: str | Path) -> None:
    """Draw the curve into a picture file, over linear and over logarithmic false positive rates.

    Targets fill so few pixels that all of interest happens far below a rate of 0.01.
    """
    figure, axes = _panels(2, 8, 3.6, sharey=True)
    for axis, scale in zip(axes, ("linear", "log")):
        axis.plot(curve.false_positive_rate, curve.true_positive_rate, "tab:red", linewidth=1.5)
        axis.set(xlabel="false positive rate", xscale=scale, ylim=(0, 1.02))
    smallest = curve.false_positive_rate[curve.false_positive_rate > 0].min()
    axes[0].set(ylabel="true positive rate", xlim=(0, 1))
    axes[1].set(xlim=(min(smallest, 0.1), 1))
    figure.suptitle(f"pixels: area under the curve {curve.area:.4f}", fontsize="medium")
    _save(figure, path)


def save_pr_curves(curves: Mapping[str, SaliencyCurves], path: str | Path) -> None:
    """Draw precision over recall, and F over the threshold, into a picture file.

    Args:
        curves: a line each, by the name of the data set; a single one may have no name.
    """
    figure, (left, right) = _panels(2, 8, 3.8)
    for name, curve in curves.items():
        label = f"{name}{': ' if name else ''}max F {curve.f_measure.max():.3f}"
        left.plot(curve.recall, curve.precision, linewidth=1.5)
        right.plot(THRESHOLDS / 255, curve.f_measure, linewidth=1.5, label=label)
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    right.set(xlabel="threshold", ylabel="F, $\\beta^2$ = 0.3", xlim=(0, 1), ylim=(0, 1.02))
    right.legend(fontsize="small", loc="lower center")
    _save(figure, path)


def save_probe_curve(history: Mapping[str, list[tuple[int, float]]], path: str | Path) -> None:
    """Draw what a probe found during a training, a line a map, into a picture file.

    Args:
        history: by the name of the map, (epoch, mean IoU in percent); of ``loss``, which has a
            scale of its own, the mean over the epoch.
    """
    figure, (axis,) = _panels(1, 7, 3.5)
    for name, points in history.items():
        if name != "loss":
            axis.plot(*zip(*points), "o-", markersize=3.5, linewidth=1.5, label=name)
    if "loss" in history:
        axis.plot([], [], "k:", label="loss, right")
        right = axis.twinx()
        right.plot(*zip(*history["loss"]), "k:", linewidth=1.5)
        right.set(ylabel="loss")
    axis.set(xlabel="epoch", ylabel="mIoU of the probe (%)")
    axis.legend(fontsize="small")
    _save(figure, path)


def save_rate_curves(panels: Mapping[str, Mapping[str, np.ndarray]], path: str | Path) -> None:
    """Draw a rate over something that targets differ in, into a picture file.

    Args:
        panels: of each such thing, positive, in words: ``at`` (N,) where the points lie, ``rate``
            (N,) in [0, 1], and its confidence interval, ``low`` and ``high``.
    """
    figure, axes = _panels(len(panels), 4.5 * len(panels), 3.6, sharey=True)
    for axis, (name, curve) in zip(axes, panels.items()):
        axis.fill_between(curve["at"], 100 * curve["low"], 100 * curve["high"], alpha=0.2)
        axis.plot(curve["at"], 100 * curve["rate"], "o-", markersize=3.5, linewidth=1.5)
        axis.set(xlabel=name, xscale="log", ylim=(0, 102))
        ticks = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
        ticks = [x for x in ticks if min(curve["at"]) / 2 < x < 2 * max(curve["at"])]
        axis.set_xticks(ticks, [f"{x:g}" for x in ticks], minor=False)
        axis.minorticks_off()
    axes[0].set_ylabel("Pd (%)")
    _save(figure, path)


def _panels(count: int, width: float, height: float, **how: bool) -> tuple:
    """A figure with so many axes side by side, over a grid."""
    figure, axes = plt.subplots(
        1, count, figsize=(width, height), layout="constrained", squeeze=False, **how
    )
    for axis in axes[0]:
        axis.grid(alpha=0.3)
    return figure, axes[0]


def _save(figure: plt.Figure, path: str | Path) -> None:
    figure.savefig(path, dpi=120)
    plt.close(figure)
