"""Matches between an infrared and a visible image as a picture."""

import numpy as np
from PIL import Image, ImageDraw

from .panels import MAX_SIDE, as_shown, enlarged_smoothly, label_font, whole_scale

WITHIN = 3.0  # pixels, of a right match
RIGHT, WRONG = (40, 220, 70), (235, 50, 40)
_MIN_WIDTH, _GAP, _HEAD = 480, 8, 20


def match_picture(
    infrared: np.ndarray,
    visible: np.ndarray,
    infrared_points: np.ndarray,
    visible_points: np.ndarray,
    errors: np.ndarray,
    most_lines: int = 150,
    of: str = "",
) -> np.ndarray:
    """Both images side by side, with a line a match: green if right, red if wrong.

    Matches whose points are not finite count as wrong and are not drawn.

    Args:
        infrared_points, visible_points: (N, 2) x, y in pixels, the best match first.
        errors: (N,) of the matches, in pixels.
        most_lines: of the first matches; the heading counts all.
        of: what errors are measured from, for the heading.
    """
    scale = whole_scale(infrared.shape, _MIN_WIDTH)
    scale = min(scale, whole_scale(visible.shape[:2], MAX_SIDE))
    shown = [enlarged_smoothly(image, scale) for image in (as_shown(infrared), visible)]
    left, height = shown[0].width + _GAP, max(image.height for image in shown)
    sheet = Image.new("RGB", (left + shown[1].width, _HEAD + height), (250, 250, 250))
    for x, image in zip((0, left), shown):
        sheet.paste(image, (x, _HEAD))
    draw = ImageDraw.Draw(sheet)
    right = errors <= WITHIN
    lines = np.arange(min(len(errors), most_lines))
    for index in lines[np.argsort(right[lines], kind="stable")]:  # right ones on top
        if not np.isfinite([infrared_points[index], visible_points[index]]).all():
            continue
        colour = RIGHT if right[index] else WRONG
        # Far outside, Pillow would draw for minutes, or refuse the number.
        (x1, y1), (x2, y2) = (
            np.clip((points[index] + 0.5) * scale + (x, _HEAD), -9, np.add(sheet.size, 9))
            for points, x in ((infrared_points, 0), (visible_points, left))
        )
        draw.line((x1, y1, x2, y2), fill=colour)
        for x, y in ((x1, y1), (x2, y2)):
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), outline=colour)
    share = f" ({100 * right.mean():.0f} %)" if len(right) else ""
    text = f"{right.sum()} of {len(right)} matches within {WITHIN:g} px{of}{share}"
    if len(lines) < len(right):
        text += f"; the first {len(lines)} are drawn"
    draw.text((4, 4), text, fill=(20, 20, 20), font=label_font())
    return np.asarray(sheet)
