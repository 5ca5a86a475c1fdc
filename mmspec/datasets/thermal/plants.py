"""Trees, bushes and far ridges: leaves are where a density plus fractal noise is positive."""

from collections.abc import Callable

import numpy as np

from .canvas import Canvas, Colour, Label
from .things import Billboard, any_colour

TREES = ("broad", "bare", "conifer", "palm", "bush")
_SHADES = 5
_Density = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _paint_leaves(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    density: _Density,
    temperature: float,
    colour: Colour,
    clump: float,
    depth: float,
    contrast: float,
    gaps: float,
) -> None:
    """Fill a pixel box with leaves.

    Args:
        canvas: Canvas to draw on.
        box: Pixel box xyxy.
        density: Function of (1, w) and (h, 1) positions in pixels to (h, w) fields: depth in the
            crown (about 1 deep inside, negative outside) and height on its clumps (-1 to 1).
        temperature: Mean temperature in Celsius.
        colour: Mean albedo.
        clump: Size of a leaf clump in pixels.
        depth: Distance in metres.
        contrast: Spread between lit and hidden leaves in Kelvin.
        gaps: Weight of the noise in the outline; more opens holes.
    """
    rng, (height, width) = canvas.rng, canvas.size
    x0, y0, x1, y1 = (int(min(max(edge, -1e4), 1e4)) for edge in box)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1 + 1, width), min(y1 + 1, height)
    if x1 <= x0 or y1 <= y0:
        return
    # Whole pixels do: the ragged edge of leaves hides their steps.
    x = np.arange(x0, x1, dtype=np.float32)[None] + np.float32(0.5)
    y = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5)
    shape = (y1 - y0, x1 - x0)
    stride = min(max(4.0 / max(clump, 0.5), 0.15), 4.0)
    turn = rng.uniform(0, 2 * np.pi)
    inside, relief = density(x, y)
    # Nearest is three times as fast, and the same once the field is not magnified.
    noise = canvas.atlas.window(shape, "fine", stride, turn, smooth=stride < 0.8)
    mask = inside + np.float32(gaps) * noise > 0.25
    # Leaves that face the sky lose heat to it at night and take the sun by day.
    relief *= np.float32(1.4 if canvas.sun else -0.6)
    relief += np.float32(1.2) * noise[::-1, ::-1] + np.float32(0.6) * noise
    relief += np.float32(_SHADES / 2)
    levels = np.clip(relief, 0, _SHADES - 0.01, out=relief).astype(np.uint16)
    numbers = [
        canvas.surface(
            Label.VEGETATION, temperature + contrast * (k / (_SHADES - 1) * 2 - 1),
            tuple((0.35 + 0.25 * k) * c for c in colour), rough=0.3, smooth=0.3, grain=0.25,
            depth=depth,
        )
        for k in range(_SHADES)
    ]  # fmt: skip
    canvas.stamp(x0, y0, levels + np.uint16(numbers[0]), mask)


def _lobes(centres: np.ndarray, radii: np.ndarray) -> _Density:
    """Density of a union of round clumps, (K, 2) and (K,) in pixels."""

    def density(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = (1 / radii).astype(np.float32)[:, None]
        side = ((x - centres[:, :1].astype(np.float32)) * scale) ** 2
        rise = ((y[:, 0] - centres[:, 1:].astype(np.float32)) * scale) ** 2
        inside = np.full((y.shape[0], x.shape[1]), -3, np.float32)
        for across, down in zip(np.float32(1.15) - side, rise, strict=True):
            np.maximum(inside, across - down[:, None], out=inside)
        # The slope of the density is the height on the clump that is in front.
        relief = np.zeros_like(inside)
        if len(inside) > 1:
            np.subtract(inside[1:], inside[:-1], out=relief[1:])
            relief *= np.float32(0.5 * radii.mean())
        return inside, relief

    return density


def _green(rng: np.random.Generator) -> Colour:
    return tuple(np.array([0.06, 0.1, 0.03]) * rng.uniform(0.5, 1.8) * (1 + rng.normal(0, 0.15, 3)))


def _branches(rng: np.random.Generator, root, length: float, levels: int) -> list[np.ndarray]:
    """Branches (K, 3, 2) of each level, in metres right and up."""
    count = int(rng.integers(2, 5))
    start = np.broadcast_to(root, (count, 2))
    angle = rng.uniform(-0.8, 0.8, count)
    reach = np.full(count, length)
    out = []
    for _ in range(levels):
        step = reach[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        bend = start + step / 2 + rng.normal(0, 0.07, step.shape) * reach[:, None]
        out.append(np.stack([start, bend, start + step], axis=1))
        at = rng.uniform(0.45, 1.0, (3, len(start), 1))
        turn = rng.uniform(0.25, 0.85, (3, len(start))) * np.array([-1, 1, -1])[:, None]
        start = (start + step * at).reshape(-1, 2)
        angle = (angle * 0.9 + turn).reshape(-1)
        reach = (reach * rng.uniform(0.45, 0.8, (3, len(reach)))).reshape(-1)
    return out


def add_tree(canvas: Canvas, x: float, z: float, kind: str, height: float) -> None:
    """Draw a tree of a kind in ``TREES``, ``height`` metres tall."""
    rng, board = canvas.rng, Billboard(canvas, x, z)
    if board.depth < 1.5:
        return
    s, depth, air, sun = board.scale, board.depth, canvas.air, canvas.sun
    warmth, brown = air + rng.uniform(-0.3, 1.8) + 1.5 * sun, any_colour(rng, 0.05, 0.2)
    # One side of a trunk faces what is warmer; branches are too thin to show it.
    bark, twig = (
        canvas.surface(
            Label.VEGETATION, warmth, brown, tilt=(tilt / s, 0), at=board.origin, rough=0.3,
            smooth=0.4, grain=0.2, depth=depth,
        )
        for tilt in (rng.normal(0, 4), 0.0)
    )  # fmt: skip
    leaf = air + rng.uniform(-1.5, 1.0) + sun * rng.uniform(-0.5, 2.5)
    clump, contrast, colour = max(0.3 * s, 1.2), rng.uniform(0.6, 1.6), _green(rng)
    if kind == "conifer":
        _add_conifer(canvas, board, height, bark, leaf, colour, clump, contrast)
        return
    thick = height * rng.uniform(0.012, 0.022)
    if kind in ("broad", "bare"):
        trunk, lean = height * rng.uniform(0.2, 0.35), rng.normal(0, 0.03) * height
        stem = [(-1.5 * thick, 0), (-0.9 * thick + lean, trunk), (lean, trunk * 1.1),
                (0.9 * thick + lean, trunk), (1.5 * thick, 0), (0, -0.5 * thick)]  # fmt: skip
        canvas.polygons(board.pixels(stem), bark)
        levels = (5 if s > 25 else 4) if kind == "bare" else 3
        for k, lines in enumerate(_branches(rng, (lean, trunk * 0.97), height * 0.28, levels)):
            canvas.strokes(board.pixels(lines), twig, 1.4 * thick * s * 0.5**k)
        if kind == "bare":
            return
    if kind == "palm":
        canvas.strokes(board.pixels([(0, 0), (0.1, height * 0.5), (0, height)]), bark, 0.22 * s)
    count = int(rng.integers(5, 10))
    if kind == "broad":
        along, up, size = rng.normal(0, 0.2, count), rng.uniform(0.4, 0.85, count), (0.12, 0.23)
    elif kind == "palm":
        along, up, size = rng.normal(0, 0.06, count), rng.normal(1, 0.04, count), (0.06, 0.11)
    else:
        along, up, size = rng.normal(0, 0.7, count), rng.uniform(0.25, 0.6, count), (0.3, 0.6)
    centres = np.stack([along, up], axis=-1) * height
    radii = rng.uniform(*size, count) * height
    pixels, reach = board.pixels(centres), radii.max() * s * 1.3
    box = (*(pixels.min(axis=0) - reach), *(pixels.max(axis=0) + reach))
    gaps = {"broad": rng.uniform(0.25, 0.6), "palm": 0.7}.get(kind, 0.3)
    _paint_leaves(
        canvas, box, _lobes(pixels, radii * s), leaf, colour, clump, depth, contrast, gaps
    )


def _add_conifer(canvas, board, height, bark, leaf, colour, clump, contrast) -> None:
    foot, tip = board.pixels([0, 0.1 * height]), board.pixels([0, height])
    canvas.strokes(board.pixels([(0, 0), (0, 0.4 * height)]), bark, 0.03 * height * board.scale)
    spread = canvas.rng.uniform(0.13, 0.22) * height * board.scale
    drop = max(float(foot[1] - tip[1]), 1.0)

    def density(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        t = (y - np.float32(tip[1])) / np.float32(drop)
        tier = np.mod(t * 8, 1.0)
        half = np.float32(spread) * np.maximum(t, 0.02) * (0.7 + 0.3 * tier)
        inside = 1.3 - np.abs(x - np.float32(tip[0])) / half * 1.2 - np.maximum(t - 0.93, 0) * 25
        return inside, np.repeat(0.5 - tier, inside.shape[1], axis=1)

    box = (tip[0] - spread * 1.4, tip[1] - 2, tip[0] + spread * 1.4, foot[1] + 0.1 * drop)
    _paint_leaves(canvas, box, density, leaf, colour, clump, board.depth, contrast, 0.45)


def add_crown(canvas: Canvas, x: float, z: float, radius: float, height: float) -> None:
    """Draw a tree from above: a crown of ``radius`` metres, ``height`` metres up."""
    rng = canvas.rng
    (cx, cy), depth = canvas.camera.project(np.array([x, 0.7 * height, z]))
    s = canvas.camera.scale(float(depth))
    size, count = radius * s, int(rng.integers(4, 8))
    around = rng.uniform(0, 2 * np.pi, count)
    off = rng.uniform(0.2, 0.65, (count, 1)) * size
    centres = np.array([cx, cy]) + off * np.stack([np.cos(around), np.sin(around)], axis=-1)
    reach = 1.6 * size
    leaf = canvas.air + rng.uniform(-2.5, 0.5) + canvas.sun * rng.uniform(-0.5, 2)
    _paint_leaves(
        canvas, (cx - reach, cy - reach, cx + reach, cy + reach),
        _lobes(centres, rng.uniform(0.4, 0.75, count) * size), leaf, _green(rng),
        max(0.5 * s, 1.2), float(depth), rng.uniform(0.6, 1.6), rng.uniform(0.2, 0.45),
    )  # fmt: skip


def add_ridge(
    canvas: Canvas, row: float, relief: float, temperature: float, leafy: bool, bottom: float
) -> None:
    """Fill between a profile and a row: a line of far trees when ``leafy``, else hills.

    Args:
        canvas: Canvas to draw on.
        row: Row that the relief stands on in pixels.
        relief: Height of the relief in pixels.
        temperature: Celsius.
        leafy: Tree crowns with holes, or smooth slopes.
        bottom: Last row in pixels.
    """
    rng, columns = canvas.rng, canvas.size[1]
    x = np.arange(columns, dtype=np.float32) + np.float32(0.5)
    if leafy:
        count = int(np.clip(2.2 * columns / max(relief, 2.0), 4, 90))
        middle, wide = rng.uniform(0, columns, (count, 1)), rng.uniform(0.3, 0.9, (count, 1))
        tall = relief * rng.uniform(0.3, 1.0, (count, 1)) ** 1.5
        steep = (1 / (wide * (relief + 2))).astype(np.float32)
        crowns = tall.astype(np.float32) * (1.2 - ((x - middle.astype(np.float32)) * steep) ** 2)
        profile = row - np.maximum(crowns.max(axis=0), 0.15 * relief)
    else:
        profile = row - relief * (1 + canvas.atlas.line(columns, 0.5, "smooth"))
    profile = profile.astype(np.float32)

    def density(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inside = np.clip((y - profile) / np.float32(0.3 * relief + 0.5), -3, 1.5)
        return inside, np.clip(1 - inside, -1, 1) * np.float32(0.5)

    box = (0.0, float(profile.min()) - 0.5 * relief - 1, float(columns), bottom)
    _paint_leaves(
        canvas, box, density, temperature, _green(rng), max(1.5, 0.4 * relief) if leafy else 12.0,
        0.0, 1.0 if leafy else 0.5, 0.4 if leafy else 0.05,
    )  # fmt: skip
