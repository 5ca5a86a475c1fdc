"""Features as colours, and what their nearest neighbours make of an image."""

import numpy as np

from mmspec.datasets.repeatable import evenly_spaced
from mmspec.visualization.panels import as_shown, resized, titled_grid
from mmspec.visualization.samples import principal_colours
from mmspec.visualization.segmentation import (
    background_of,
    class_entries,
    infrared_palette,
    label_overlay,
)

from .features import Features
from .images import LabelledImages
from .neighbours import NearestNeighbours
from .segmentation import draw_cells, predictions

_WIDTH = 224


def probe_picture(
    known: Features, asked: Features, images: LabelledImages, count: int = 4
) -> np.ndarray:
    """Images beside the principal components of every map, prediction and truth.

    The components are of all shown images together, so that one colour means one thing in a column.
    The prediction is that of the nearest neighbours by the last map.

    Args:
        known: to learn from.
        asked: of ``images``, ``count`` of which are shown, evenly spaced.

    Returns:
        (H, W, 3) uint8.
    """
    last = list(known.maps)[-1]
    judge = NearestNeighbours(*draw_cells(known, last, 1.0, 0))
    chosen = evenly_spaced(range(len(images)), count)
    shown_maps = {name: maps[chosen] for name, maps in asked.maps.items()}
    shown_ones = Features(shown_maps, asked.labels[chosen], asked.classes, asked.image_names)
    background = background_of(known.classes)
    palette = infrared_palette(len(known.classes), background)
    colours = {}
    for name, maps in shown_maps.items():
        side = np.concatenate(list(maps.astype(np.float32)), axis=2)
        colours[name] = np.split(principal_colours(side), len(chosen), axis=1)
    rows = []
    for index, predicted in enumerate(predictions(judge, shown_ones, last)):
        _, image, label = images.sample(chosen[index])
        shown = as_shown(image)
        columns = [shown, *(parts[index] for parts in colours.values())]
        columns += [
            label_overlay(shown, what.astype(np.int64), palette, background)
            for what in (predicted, label)
        ]
        rows.append([resized(np.ascontiguousarray(one), (_WIDTH, _WIDTH)) for one in columns])
    titles = ("image", *colours, f"neighbours, {last}", "truth")
    entries = class_entries(range(len(known.classes)), known.classes, palette)
    return titled_grid(rows, titles, entries)
