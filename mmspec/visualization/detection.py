"""Predicted and true boxes over infrared images, or over both images of a pair."""

from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw

from .panels import as_shown, enlarged_smoothly, label_font, titled_grid, whole_scale
from .segmentation import UNKNOWN, class_entries, infrared_palette, label_overlay

MIN_WIDTH = 480  # smaller images are enlarged, so that the lines do not cover their objects
TO_IGNORE = (150, 150, 150)


def detection_picture(
    images: Sequence[np.ndarray],
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    truth: Sequence[tuple[Sequence[float], int, bool]] | None,
    classes: Sequence[str],
    score_threshold: float = 0.3,
    masks: np.ndarray | None = None,
    steady: bool = False,
) -> np.ndarray:
    """Prediction and truth side by side, above the names of the classes that occur.

    Args:
        images: of one size, a row each: of a pair both.
        boxes: (N, 4) predicted x1, y1, x2, y2 in pixels of the images.
        scores: (N,); the rounded score is written at each box.
        labels: (N,) class indices; those that the data set does not have are white.
        truth: (box, label, to be ignored) of each object; boxes to ignore are gray. None: the
            column is left out.
        classes: names of all classes.
        score_threshold: predictions below are not drawn.
        masks: (N, H, W) bool of the predictions, drawn as tints.
        steady: of one size whatever is found, for video: all classes are named below.

    Boxes and scores that are not finite are not drawn; their number is written below.
    """
    palette = [tuple(c) for c in infrared_palette(len(classes), background=None).tolist()]

    def colour(label: int) -> tuple[int, ...]:
        return palette[label] if 0 <= label < len(palette) else UNKNOWN

    drawable = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    kept = np.flatnonzero(drawable & (scores >= score_threshold))
    kept = kept[np.argsort(scores[kept])]
    predicted = [(boxes[i], colour(labels[i]), f"{scores[i]:.2f}") for i in kept]
    present = set(range(len(classes))) if steady else {int(labels[i]) for i in kept}
    undrawn = int((~drawable).sum())
    title = f"prediction, score {score_threshold:g} and more"
    if not len(kept):
        best = f"; the best has {scores[drawable].max():.2g}" if drawable.any() else ""
        title = f"nothing of score {score_threshold:g}{best}"
    columns = {title: predicted}
    if truth is not None:
        finite = [entry for entry in truth if np.isfinite(entry[0]).all()]
        undrawn, truth = undrawn + len(truth) - len(finite), finite
        columns["truth"] = [
            (box, TO_IGNORE if ignored else colour(label), "") for box, label, ignored in truth
        ]
        present |= {int(label) for _, label, ignored in truth if not ignored}
    shown = [as_shown(image) for image in images]
    tinted = shown
    if masks is not None and len(kept):
        labelled = np.full(masks.shape[1:], -1)
        for i in kept:
            labelled[masks[i]] = labels[i]
        tinted = [label_overlay(x, labelled, np.array(palette, np.uint8), -1) for x in shown]
    rows = [
        [_draw(image, found) for image, found in zip(of_one, columns.values())]
        for of_one in zip(tinted, shown)
    ]
    entries = class_entries(present, classes, palette)
    if truth is not None and any(ignored for *_, ignored in truth):
        entries.append(("to ignore", TO_IGNORE))
    if undrawn:
        entries.append((f"not finite, not drawn: {undrawn}", (0, 0, 0)))
    return titled_grid(rows, tuple(columns), entries)


def _draw(shown: np.ndarray, boxes: Sequence[tuple]) -> np.ndarray:
    scale = whole_scale(shown.shape[:2], MIN_WIDTH)
    picture = enlarged_smoothly(shown, scale)
    draw = ImageDraw.Draw(picture)
    font = label_font()
    for box, colour, text in boxes:
        # Far outside, Pillow would draw for minutes, or refuse the number.
        corners = np.clip(np.multiply(box, scale), -1, np.tile(picture.size, 2) + 1)
        x1, y1, x2, y2 = corners.round().astype(int).tolist()
        # Pillow refuses a rectangle whose second corner is not behind the first.
        draw.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=colour)
        if text:
            x = max(0, min(x1, picture.width - int(font.getlength(text)) - 1))
            draw.text((x, y1 - 12 if y1 >= 12 else y2), text, fill=colour, font=font)
    return np.asarray(picture)
