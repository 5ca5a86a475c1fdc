"""Pictures of small target detection: what was found, missed and falsely alarmed."""

from itertools import zip_longest

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mmspec.conventions import IGNORE_INDEX
from mmspec.evaluation.small_target import THRESHOLD, Components, find_components, match_targets

from .panels import as_shown, label_font, panel_size, resized, titled_grid, to_levels

HIT, MISS, FALSE_ALARM, BOTH = (60, 220, 90), (255, 60, 50), (255, 220, 0), (255, 140, 25)
FRAME = (0, 190, 255)
COLUMNS = ("input", "truth", "score", "result")
PANEL = 280  # width of a column in pixels
ZOOMED_ROWS = 32  # image rows in a zoomed window, at least
MAX_WINDOWS = 3
_MARK = 6  # half side of the square round a target in the whole image, at least


#: Components, the indices of those that are meant, and their colour.
Group = tuple[Components, np.ndarray, tuple[int, int, int]]
Window = tuple[int, int, int, int]


def small_target_picture(
    image: np.ndarray,
    truth: np.ndarray | None,
    probability: np.ndarray,
    threshold: float = THRESHOLD,
    steady: bool = False,
) -> np.ndarray:
    """Input, truth, score map and result side by side, then windows of them zoomed on targets.

    In the result matched predictions are green, missed targets red and unmatched predictions
    yellow, where the last two overlap orange. In the whole image each has a square of its colour
    round it, too small as they are to be seen. The windows, three at most, show in turn a miss, a
    hit and a false alarm (the largest first), each with all else that lies there.

    Args:
        truth: (H, W) of 0, 1 and 255; ignored pixels are gray in the truth. None: its column is
            left out, and what is predicted is green.
        probability: (H, W) float in [0, 1], black to yellow in the picture.
        threshold: of the probability; what is above is a target.
        steady: of one size whatever is found, for video: without windows.
    """
    labelled = truth is not None
    above = probability > threshold
    if not labelled:
        truth = above.astype(np.uint8)
    counted = truth != IGNORE_INDEX
    targets = find_components(truth == 1)
    alarms = find_components(above & counted)
    found = match_targets(alarms, targets)
    missed = (targets, np.flatnonzero(found < 0), MISS)
    hit = (targets, np.flatnonzero(found >= 0), HIT)
    false = np.setdiff1d(np.arange(len(alarms)), found)
    false = (alarms, false[np.argsort(-alarms.areas[false], kind="stable")], FALSE_ALARM)
    hits = (alarms, found[found >= 0], HIT)
    if not labelled:  # the surest first, for the windows
        peaks = [probability[targets.labels == i + 1].max() for i in hit[1]]
        hit = (targets, hit[1][np.argsort(peaks)[::-1]], HIT)

    shown = as_shown(image)
    mask = np.where(counted, 255 * (truth == 1), 90).astype(np.uint8)
    panels = [
        shown,
        np.repeat(mask[..., None], 3, axis=2),
        cv2.applyColorMap(to_levels(probability), cv2.COLORMAP_INFERNO)[..., ::-1],
        _painted(shown, missed, hits, false),
    ]
    windows = [] if steady else _windows([missed, hit, false], truth.shape)
    size = panel_size(truth.shape, PANEL)
    scale = size[0] / truth.shape[1]
    wholes = [resized(panel, size) for panel in panels]
    wholes[0] = _framed(wholes[0], windows, scale)
    wholes[1] = _marked(wholes[1], [missed, hit], scale)
    wholes[3] = _marked(wholes[3], [missed, hits, false], scale)
    rows = [wholes]
    for number, (top, left, height, width) in enumerate(windows, 1):
        cut = (slice(top, top + height), slice(left, left + width))
        row = [resized(panel[cut], size) for panel in panels]
        row[0] = _drawn(row[0], [], [(2, 1, str(number))])
        row[2] = _drawn(row[2], [], [(2, 1, f"{probability[cut].max():.2f}")])
        rows.append(row)
    columns = COLUMNS
    entries = [
        (f"{len(hit[1])} of {len(targets)} targets hit", HIT),
        (f"{len(missed[1])} missed", MISS),
        (f"{len(false[1])} false alarms of {alarms.areas[false[1]].sum()} pixels", FALSE_ALARM),
    ]
    if (_inside(missed) & _inside(false)).any():
        entries.append(("missed under a false alarm", BOTH))
    if not labelled:
        columns = tuple(name for name in COLUMNS if name != "truth")
        entries = [(f"{len(alarms)} targets, probability above {threshold:g}", HIT)]
        rows = [[row[0], *row[2:]] for row in rows]
    return titled_grid(rows, columns, entries)


def _inside(group: Group) -> np.ndarray:
    components, chosen, _ = group
    return np.isin(components.labels, chosen + 1)


def _painted(shown: np.ndarray, missed: Group, hits: Group, false: Group) -> np.ndarray:
    """The picture with the pixels of these components in their colours."""
    picture = shown.copy()
    for group in (missed, hits, false):
        picture[_inside(group)] = group[2]
    picture[_inside(missed) & _inside(false)] = BOTH
    return picture


def _windows(groups: list[Group], shape: tuple[int, int]) -> list[Window]:
    """(top, left, height, width) in the proportions of the image, from the groups in turn."""
    windows: list[Window] = []
    in_turn = zip_longest(*([(group[0], i) for i in group[1]] for group in groups))
    for components, index in (one for turn in in_turn for one in turn if one is not None):
        row, column = components.centroids[index]
        if any(y <= row < y + h and x <= column < x + w for y, x, h, w in windows):
            continue
        if len(windows) == MAX_WINDOWS:
            break
        # Three times the target's side, so that its surroundings are seen.
        sides = np.ptp(np.argwhere(components.labels == index + 1), axis=0) + 1
        needed = max(ZOOMED_ROWS, 3 * max(sides[0], sides[1] * shape[0] / shape[1]))
        height = min(shape[0], round(needed))
        width = min(shape[1], max(1, round(height * shape[1] / shape[0])))
        top = int(np.clip(round(row) - height // 2, 0, shape[0] - height))
        left = int(np.clip(round(column) - width // 2, 0, shape[1] - width))
        windows.append((top, left, height, width))
    return windows


def _framed(panel: np.ndarray, windows: list[Window], scale: float) -> np.ndarray:
    frames, numbers = [], []
    for number, (top, left, height, width) in enumerate(windows, 1):
        x, y = left * scale, top * scale
        right, below = x + max(width * scale - 1, 0), y + max(height * scale - 1, 0)
        frames.append(((x, y, right, below), FRAME))
        numbers.append((x + 2, y + 1, str(number)))
    return _drawn(panel, frames, numbers)


def _marked(panel: np.ndarray, groups: list[Group], scale: float) -> np.ndarray:
    squares = []
    for components, chosen, colour in groups:
        for index in chosen:
            y, x = (components.centroids[index] + 0.5) * scale
            reach = max(_MARK, scale * np.sqrt(components.areas[index]))
            squares.append(((x - reach, y - reach, x + reach, y + reach), colour))
    return _drawn(panel, squares, [])


def _drawn(panel: np.ndarray, outlines: list[tuple], texts: list[tuple]) -> np.ndarray:
    """A panel with rectangles (corners, colour), and with texts (x, y, text) on black."""
    picture, font = Image.fromarray(panel), label_font()
    draw = ImageDraw.Draw(picture)
    for corners, colour in outlines:
        draw.rectangle(corners, outline=colour)
    for x, y, text in texts:
        draw.rectangle(draw.textbbox((x, y), text, font=font), fill=(0, 0, 0))
        draw.text((x, y), text, fill=(255, 255, 255), font=font)
    return np.asarray(picture)
