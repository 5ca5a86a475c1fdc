"""CMSS masking seen: the metric on both images, the mixture and the visible patches by epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from mmspec.conventions import MODALITIES
from mmspec.datasets.repeatable import evenly_spaced
from mmspec.masking import grid_of
from mmspec.models.selfsup import MSpecGene

from .panels import as_shown, enlarged, hidden, titled_grid

_OPACITY = 0.6


@dataclass(frozen=True)
class CMSSPicture:
    """A pair and its patches."""

    infrared: np.ndarray  # (H, W) gray levels
    visible: np.ndarray  # (H, W, 3) uint8
    scores: np.ndarray  # (rows, columns) CMSS
    infrared_mask: np.ndarray  # (rows, columns) bool, true where masked
    visible_mask: np.ndarray  # likewise


@dataclass(frozen=True)
class MixtureRecord:
    """The mixture (K,) at the end of an epoch."""

    epoch: int  # number of epochs that ended
    scores: np.ndarray  # CMSS values of a batch, any shape
    means: np.ndarray
    variances: np.ndarray
    weights: np.ndarray
    centres: np.ndarray  # (m,), around which targets are drawn


@torch.no_grad()
def cmss_pictures(model: MSpecGene, pairs: Tensor) -> list[CMSSPicture]:
    """CMSS of pairs, and the patches that the model's masker shows of them.

    Args:
        model: with a :class:`CMSSMasking`; in evaluation mode, so that this keeps its state.
        pairs: (B, 6, H, W), normalised, infrared first.
    """
    grid = grid_of(*pairs.shape[-2:], model.head.patch_size)
    sides = pairs.chunk(2, dim=1)
    tokens = model.backbone.patch_tokens(torch.cat(sides)).chunk(2)
    infrared, visible = (model.to_gray_levels(x, name) for x, name in zip(sides, MODALITIES))
    parts = [
        infrared.mean(1),
        visible.permute(0, 2, 3, 1).round().to(torch.uint8),
        model.masker.scores(*tokens).unflatten(1, grid),
        *(mask.mask.unflatten(1, grid) for mask in model.masker(*tokens)),
    ]
    return [CMSSPicture(*one) for one in zip(*(part.cpu().numpy() for part in parts))]


def cmss_overlay(shown: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """A picture tinted by CMSS: violet where both modalities hold structure, yellow where flat.

    Colours follow the ranks of the image's own scores (rows, columns), which divide its sides: a
    few flat patches lie far above the rest.
    """
    ranks = scores.ravel().argsort(kind="stable").argsort() / max(scores.size - 1, 1)
    colours = colormaps["plasma"](ranks.reshape(scores.shape))[..., :3] * 255
    tint = enlarged(colours, shown)
    return (shown * (1 - _OPACITY) + tint * _OPACITY).round().astype(np.uint8)


def cmss_sheet(pictures: Sequence[CMSSPicture]) -> np.ndarray:
    """Both images, CMSS over each, and the visible patches of each, a row a pair."""
    rows = []
    for one in pictures:
        sides = (as_shown(one.infrared), one.infrared_mask), (one.visible, one.visible_mask)
        row = [(shown, cmss_overlay(shown, one.scores), hidden(shown, m)) for shown, m in sides]
        rows.append([*row[0], *row[1]])
    titles = ("infrared", "CMSS", "patches seen", "visible", "CMSS", "patches seen")
    return titled_grid(rows, titles)


def visible_history_sheet(
    infrared: np.ndarray, visible: np.ndarray, masks: Sequence[tuple[int, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The visible patches of one pair over the epochs: infrared above visible, a column an epoch.

    Args:
        masks: (epoch, infrared mask, visible mask), each (rows, columns) bool, true where masked.
    """
    shown = as_shown(infrared)
    titles = ("input", *(f"epoch {epoch}" for epoch, _, _ in masks))
    rows = [
        [shown, *(hidden(shown, mask) for _, mask, _ in masks)],
        [visible, *(hidden(visible, mask) for _, _, mask in masks)],
    ]
    return titled_grid(rows, titles)


def save_mixture_history(records: Sequence[MixtureRecord], path: str | Path) -> None:
    """Draw the mixture over the epochs into a picture file.

    Up to four epochs with the histogram of CMSS, the three Gaussians and the centres of targets;
    below, means and centres of all epochs, the width of a mean's line by its weight.

    Args:
        records: by epoch, at least one.
        path: the file to write.
    """
    chosen = evenly_spaced(records, 4)
    figure = plt.figure(figsize=(3.2 * max(len(chosen), 2), 6), layout="constrained")
    above, below = figure.subfigures(2, 1)
    axes = np.atleast_1d(above.subplots(1, len(chosen)))
    for axis, record in zip(axes, chosen):
        _draw_mixture(axis, record)
    axes[0].set_ylabel("density")
    if axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(fontsize="x-small")
    _draw_course(below.subplots(), records)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_mixture(axis: plt.Axes, record: MixtureRecord) -> None:
    values = record.scores[np.isfinite(record.scores)]
    centres = record.centres[np.isfinite(record.centres)]
    axis.set_title(f"epoch {record.epoch}", fontsize="medium")
    if not values.size:
        axis.set_xlabel("no finite CMSS")
        return
    # The few values far above the rest would leave them a single bar.
    top = max(np.quantile(values, 0.98), centres.max(initial=0), 1e-6) * 1.1
    counts, edges = np.histogram(values, bins=60, range=(0, top))
    axis.stairs(counts / (len(values) * np.diff(edges)), edges, fill=True, color="0.8")
    grid = np.linspace(0, top, 400)
    order = np.argsort(record.means)
    peak = counts.max() / (len(values) * (edges[1] - edges[0]))
    for rank, k in enumerate(order):
        density = np.exp(-((grid - record.means[k]) ** 2) / (2 * record.variances[k]))
        density *= record.weights[k] / np.sqrt(2 * np.pi * record.variances[k])
        label = f"weight {record.weights[k]:.2f}, mean {record.means[k]:.3g}"
        axis.plot(grid, density, color=f"C{rank}", label=label)
    for centre in centres:
        axis.axvline(centre, color="black", linestyle=":", linewidth=1)
    axis.set(xlim=(0, top), ylim=(0, 1.15 * peak), xlabel="CMSS", yticks=[])


def _draw_course(axis: plt.Axes, records: Sequence[MixtureRecord]) -> None:
    epochs = [record.epoch for record in records]
    order = [np.argsort(record.means) for record in records]
    for rank in range(len(records[0].means)):
        means = [record.means[o[rank]] for record, o in zip(records, order)]
        weights = [record.weights[o[rank]] for record, o in zip(records, order)]
        axis.plot(epochs, means, color=f"C{rank}", linewidth=1, label=f"mean {rank + 1}")
        axis.scatter(epochs, means, s=60 * np.array(weights), color=f"C{rank}")
    style = dict(color="black", linestyle=":", linewidth=1.5, marker="+")
    for i in range(max(len(record.centres) for record in records)):
        reached = [
            (record.epoch, record.centres[i]) for record in records if len(record.centres) > i
        ]
        label = None if i else "centres of targets"
        axis.plot(*zip(*reached), label=label, **style)
    axis.set(xlabel="epoch", ylabel="CMSS", ylim=(0, None))
    axis.grid(alpha=0.3)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize="x-small", ncols=4, loc="lower right", bbox_to_anchor=(1, 1))
