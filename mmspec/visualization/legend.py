"""Names of classes under a picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def legend(entries: list[tuple[str, tuple[int, ...]]], width: int) -> np.ndarray:
    """Coloured squares with names, in as many lines as they need: (h, width, 3) uint8."""
    font = ImageFont.load_default()
    places, x, line = [], 6, 0
    for name, colour in entries:
        needed = 34 + int(font.getlength(name))
        if x + needed > width and x > 6:
            x, line = 6, line + 1
        places.append((x, line, name, colour))
        x += needed
    strip = Image.new("RGB", (width, 20 * (line + 1) if entries else 0), (250, 250, 250))
    draw = ImageDraw.Draw(strip)
    for x, line, name, colour in places:
        top = 20 * line + 3
        draw.rectangle((x, top, x + 12, top + 12), fill=colour)
        draw.text((x + 18, top), name, fill=(20, 20, 20), font=font)
    return np.asarray(strip)
