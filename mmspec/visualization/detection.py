"""Predicted and true boxes over infrared images, or over both images of a pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .legend import legend
from .reconstruction import display_gain, titled_grid, to_display
from .segmentation import infrared_palette

LEAST_WIDTH = 480  # smaller images are enlarged, so that the lines do not cover their objects
TO_IGNORE = (150, 150, 150)


def detection_picture(
    images: Sequence[np.ndarray],
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    truth: Sequence[tuple[Sequence[float], int, bool]] | None,
    classes: Sequence[str],
    score_threshold: float = 0.3,
) -> np.ndarray:
    """Prediction and truth side by side, above the names of the classes that occur.

    Args:
        images: of one size, a row each: of a pair both. (H, W) gray levels, shown under a display
            gain, or (H, W, 3) uint8 colours as they are.
        boxes: (N, 4) predicted x1, y1, x2, y2 in pixels of the images.
        scores: (N,); the rounded score is written at each box.
        labels: (N,) class indices.
        truth: (box, label, to be ignored) of each object; boxes to ignore are gray. None: the
            column is left out.
        classes: names of all classes.
        score_threshold: predictions below are not drawn.

    Returns:
        (H', W', 3) uint8.
    """
    palette = [tuple(c) for c in infrared_palette(len(classes), background=None).tolist()]
    kept = np.flatnonzero(scores >= score_threshold)
    predicted = [
        (boxes[i], palette[labels[i]], f"{scores[i]:.2f}") for i in kept[np.argsort(scores[kept])]
    ]
    present = {int(labels[i]) for i in kept}
    columns = {f"prediction, score {score_threshold:g} and more": predicted}
    if truth is not None:
        columns["truth"] = [
            (box, TO_IGNORE if ignored else palette[label], "") for box, label, ignored in truth
        ]
        present |= {int(label) for _, label, ignored in truth if not ignored}
    shown = [to_display(x, display_gain(x)) if x.ndim == 2 else x for x in images]
    rows = [[_draw(image, boxes) for boxes in columns.values()] for image in shown]
    sheet = titled_grid(rows, tuple(columns))
    entries = [(classes[label], palette[label]) for label in sorted(present)]
    if truth is not None and any(ignored for *_, ignored in truth):
        entries.append(("to ignore", TO_IGNORE))
    return np.concatenate([sheet, legend(entries, sheet.shape[1])])


def _draw(shown: np.ndarray, boxes: Sequence[tuple]) -> np.ndarray:
    scale = max(1, -(-LEAST_WIDTH // shown.shape[1]))
    picture = Image.fromarray(shown)
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.BILINEAR)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default()
    for box, colour, text in boxes:
        x1, y1, x2, y2 = (round(float(v) * scale) for v in box)
        # Pillow refuses a rectangle whose second corner is not behind the first.
        draw.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=colour)
        if text:
            draw.text((x1, y1 - 12 if y1 >= 12 else y2), text, fill=colour, font=font)
    return np.asarray(picture)
