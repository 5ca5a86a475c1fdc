"""Predicted and true classes, and salience, over infrared images."""

import colorsys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mmspec.conventions import IGNORE_INDEX
from mmspec.evaluation.segmentation import BACKGROUND

from .panels import as_shown, panel_size, resized, titled_grid, to_levels

UNKNOWN = (255, 255, 255)  # a class that the data set does not have
#: Hues far from each other and from gray, all as light as a warm object is in infrared.
COLOURS = (
    (255, 70, 60),
    (40, 190, 255),
    (255, 210, 0),
    (60, 220, 90),
    (230, 80, 255),
    (255, 140, 20),
    (0, 235, 215),
    (130, 120, 255),
)
_OPACITY = 0.45
SALIENCY_PANEL = 280  # width of a column in pixels


def infrared_palette(num_classes: int, background: int | None = 0) -> np.ndarray:
    """Colours that stand out on gray: (num_classes, 3) uint8; black for the background's class.

    A data set's own palette is made for colour images and label files; half of MSRS's colours, for
    one, are too dark to be seen over an infrared image. Beyond the hand-picked colours hues follow
    the golden angle.

    Args:
        background: index of the class that is not tinted, or None.
    """
    palette = np.zeros((num_classes, 3), dtype=np.uint8)
    tinted = [i for i in range(num_classes) if i != background]
    for rank, index in enumerate(tinted):
        lightness = (0.55, 0.7, 0.45)[rank % 3]
        further = colorsys.hls_to_rgb(rank * 0.381966 % 1, lightness, 0.85)
        palette[index] = COLOURS[rank] if rank < len(COLOURS) else [round(255 * c) for c in further]
    return palette


def background_of(classes: Sequence[str]) -> int | None:
    """Index of the class called background (or unlabeled), if there is one."""
    return next((i for i, name in enumerate(classes) if name.lower() in BACKGROUND), None)


def label_overlay(
    shown: np.ndarray, labels: np.ndarray, palette: np.ndarray, background: int | None = 0
) -> np.ndarray:
    """A picture tinted by class, with a line around every region.

    Args:
        labels: (H, W) class indices; 255, ignored pixels, are darkened, classes that the palette
            does not have are white.
        palette: (classes, 3) uint8.
        background: index of the class that is not tinted, or None.
    """
    ignored = labels == IGNORE_INDEX
    known = (labels >= 0) & (labels < len(palette))
    palette = np.vstack([palette, UNKNOWN]).astype(np.float32)
    colours = palette[np.where(known, labels, len(palette) - 1)]
    tinted = ~ignored & (labels != (-1 if background is None else background))
    around = np.pad(labels, 1, mode="edge")
    sides = around[2:, 1:-1], around[:-2, 1:-1], around[1:-1, 2:], around[1:-1, :-2]
    edge = np.any([side != labels for side in sides], axis=0)
    opacity = np.where(edge, 1.0, _OPACITY)[..., None] * tinted[..., None]
    picture = shown * (1 - opacity) + colours * opacity
    picture[ignored] *= 0.35
    return picture.round().astype(np.uint8)


def class_entries(
    present: Iterable[int], classes: Sequence[str], palette: Sequence[Sequence[int]]
) -> list[tuple[str, tuple[int, ...]]]:
    """Names and colours for a legend; a class that the data set does not have is called unknown."""
    return [
        (classes[i], tuple(palette[i]))
        if 0 <= i < len(classes)
        else (f"class {i}, unknown", UNKNOWN)
        for i in sorted(present)
    ]


def segmentation_picture(
    images: Mapping[str, np.ndarray],
    prediction: np.ndarray,
    truth: np.ndarray | None,
    classes: Sequence[str],
    steady: bool = False,
) -> np.ndarray:
    """Input, prediction and truth side by side, above the names of the classes that occur.

    Args:
        images: by the titles of their columns; prediction and truth are drawn over the first.
        prediction: (H, W) class indices.
        truth: (H, W) class indices, 255 ignored; or None, and its column is left out.
        classes: names of all classes.
        steady: of one size whatever is found, for video: all classes are named below.
    """
    columns = {name: as_shown(image) for name, image in images.items()}
    shown = next(iter(columns.values()))
    background = background_of(classes)
    palette = infrared_palette(len(classes), background)
    columns["prediction"] = label_overlay(shown, prediction, palette, background)
    present = set(range(len(classes))) if steady else set(np.unique(prediction))
    if truth is not None:
        columns["truth"] = label_overlay(shown, truth, palette, background)
        present |= set(np.unique(truth))
    entries = class_entries(present - {IGNORE_INDEX, background}, classes, palette.tolist())
    if IGNORE_INDEX in present:
        entries.append(("ignored", (60, 60, 60)))
    if not entries and background is not None:
        entries.append((f"nothing but {classes[background]}", (0, 0, 0)))
    return titled_grid([list(columns.values())], tuple(columns), entries)


def saliency_picture(
    visible: np.ndarray | None,
    infrared: np.ndarray | None,
    truth: np.ndarray | None,
    score: np.ndarray,
) -> np.ndarray:
    """Visible and infrared image, truth and probability side by side; columns as there are images.

    Args:
        truth: (H, W) of 0 and 1, or None.
        score: (H, W) float in [0, 1], black to white, not stretched.
    """
    columns = dict(visible=visible, infrared=infrared, truth=truth, probability=score)
    columns = {name: image for name, image in columns.items() if image is not None}
    for name in {"truth", "probability"} & set(columns):
        columns[name] = np.repeat(to_levels(columns[name])[..., None], 3, axis=2)
    size = panel_size(score.shape, SALIENCY_PANEL)
    row = [resized(as_shown(image), size) for image in columns.values()]
    return titled_grid([row], tuple(columns))
