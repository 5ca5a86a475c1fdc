"""Warm bodies that fill the picture: livestock, faces and hands before a cooler room."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import Canvas, Colour, Label
from .things import SKIN, any_colour


@dataclass
class _Body:
    """A warm body on the pixel grid.

    ``distance`` (H, W) is signed, negative inside, in shorter sides of the picture; ``temperature``
    (H, W) is that of its core in Celsius; ``tone`` is its colour, below ``layers`` of a weight
    (H, W) and a colour each.
    """

    label: Label
    distance: np.ndarray
    temperature: np.ndarray
    tone: Colour
    layers: list[tuple[np.ndarray, Colour]]

    def albedo(self) -> np.ndarray:
        """RGB (H, W, 3) float32."""
        out = np.empty((*self.distance.shape, 3), np.float32)
        out[:] = self.tone
        for weight, colour in self.layers:
            out += weight[..., None] * (np.float32(colour) - out)
        return out


def _grid(canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Positions x (1, W) and y (H, 1) of the pixels from the middle, in shorter sides."""
    rows, columns = canvas.size
    unit = min(rows, columns)
    x = (np.arange(columns, dtype=np.float32) + 0.5 - columns / 2) / unit
    y = (np.arange(rows, dtype=np.float32) + 0.5 - rows / 2) / unit
    return x[None], y[:, None]


def _length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Several times as fast as np.hypot; no value here can overflow.
    return np.sqrt(x * x + y * y)


def _limb(x, y, a, b, ra: float, rb: float) -> np.ndarray:
    """Signed distance to a tapered limb, negative inside."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    t = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
    return _length(x - a[0] - t * dx, y - a[1] - t * dy) - (ra + (rb - ra) * t)


def _join(a: np.ndarray, b: np.ndarray, soft: float = 0.03) -> np.ndarray:
    """Smooth union of two signed distances."""
    h = np.clip(0.5 + 0.5 * (b - a) / soft, 0, 1)
    return b + (a - b) * h - soft * h * (1 - h)


def _room(canvas: Canvas) -> None:
    """A wall, panels, pipes and holes behind the body."""
    rng, (rows, columns) = canvas.rng, canvas.size

    def surface(label: Label, kelvin: float, rough: float = 0.3) -> int:
        tilt = (rng.normal(0, 3) / columns, rng.normal(0, 3) / rows)
        return canvas.surface(label, canvas.air + kelvin, any_colour(rng, 0.05, 0.4), 0, tilt,
                              (columns / 2, rows / 2), rough, 0.8, 0.06)  # fmt: skip

    canvas.ids[:] = surface(Label.BUILDING, 0)
    for _ in range(rng.integers(2, 8)):
        x, y = rng.uniform(-0.1, 1.0, 2) * [columns, rows]
        w, h = rng.uniform(0.05, 0.5, 2) * [columns, rows]
        skew = rng.normal(0, 0.08, 2) * [w, h]
        shape = [(x, y), (x + w, y + skew[1]), (x + w + skew[0], y + h), (x + skew[0], y + h)]
        canvas.polygons(shape, surface(Label.BUILDING, rng.normal(-0.5, 2.2)))
    for _ in range(rng.integers(1, 6)):
        pipe = surface(Label.STRUCTURE, rng.normal(1.0, 2.5), 0.2)
        width = rng.uniform(0.01, 0.05) * rows
        if rng.random() < 0.5:
            y = rng.uniform(0, rows)
            line = np.array([(-5, y), (columns / 2, y + rng.normal(0, 6)), (columns + 5, y)])
        else:
            x = rng.uniform(0, columns)
            line = np.array([(x, -5), (x + rng.normal(0, 4), rows + 5)])
        canvas.strokes(line, pipe, width)


def _livestock(canvas: Canvas, x: np.ndarray, y: np.ndarray) -> _Body:
    """Belly, hind legs and udder, as a camera beside a milking stand sees them."""
    rng, atlas = canvas.rng, canvas.atlas
    zoom = rng.uniform(0.85, 1.7)
    x, y = (x - rng.uniform(-0.25, 0.45)) / zoom, (y - rng.uniform(-0.12, 0.2)) / zoom
    x = x * np.float32(rng.choice([-1, 1]))
    wave = 0.04 * np.sin(3 * x + np.float32(rng.uniform(0, 6)))
    body = y + 0.33 + wave - 0.12 * np.clip(x + 0.2, -0.4, 0.6)
    body = _join(body, _limb(x, y, (-0.1, -0.5), (0.6, -0.42), 0.2, 0.3), 0.1)
    for k, root in enumerate((-0.22, 0.12)):
        knee = (root + rng.normal(-0.02, 0.04), 0.06 + rng.normal(0, 0.03))
        foot = (root + rng.normal(0.03, 0.05), 0.42)
        leg = _join(_limb(x, y, (root + 0.02, -0.3), knee, 0.14, 0.06),
                    _limb(x, y, knee, foot, 0.058, 0.036))  # fmt: skip
        leg = _join(leg, _limb(x, y, foot, (foot[0] + 0.04, 0.46), 0.05, 0.05), 0.02)
        body = _join(body, leg, 0.05) if k else np.minimum(body, leg)
    bag = (0.3 + rng.normal(0, 0.06), -0.2 + rng.normal(0, 0.03))
    udder = _length((x - bag[0]) / 1.2, y - bag[1]) - rng.uniform(0.13, 0.2)
    for k in rng.uniform(-0.12, 0.14, rng.integers(2, 5)).tolist():
        tip = (bag[0] + k * 1.1, bag[1] + 0.25)
        udder = _join(udder, _limb(x, y, (bag[0] + k, bag[1] + 0.1), tip, 0.035, 0.018))
    # The udder is bare and full of blood; a coat hides the skin elsewhere, thinner in patches.
    edge = udder + 0.02 * atlas.window(canvas.size, "rough", 1.0)
    bare = np.exp(np.minimum(-edge, 0) * rng.uniform(8, 30))
    coat = rng.uniform(2.0, 7.0)
    thin = rng.uniform(0.6, 1.8) * atlas.window(canvas.size, "smooth", 1.2)
    core = SKIN + rng.uniform(2, 4) + (1 - bare) * (thin - coat)
    hair = atlas.window(canvas.size, "fine", (0.9, 0.35), rng.uniform(-0.5, 1.5))
    dirt = atlas.window(canvas.size, "rough", 1.4) + 1.2 * (y + 0.1)
    dirt = np.clip((dirt - rng.uniform(1.4, 2.6)) * 3, 0, 1)
    core += rng.uniform(0.3, 1.1) * hair * (1.2 - bare)
    spots = np.clip(atlas.window(canvas.size, "fine", 0.8) - rng.uniform(1.8, 3), 0, 1)
    core -= rng.uniform(2, 7) * np.maximum(dirt, spots)
    patch = np.clip(4 * atlas.window(canvas.size, "smooth", 0.8) + rng.uniform(-3, 3), 0, 1)
    layers = [
        (patch, any_colour(rng, 0.03, 0.3)),
        (np.clip(-udder * 40, 0, 1), (0.6, 0.4, 0.36)),
        (np.clip(0.1 + 0.1 * hair, 0, 1), (0.05, 0.04, 0.03)),
        (dirt, (0.12, 0.09, 0.06)),
    ]
    distance = _join(body, udder) * zoom + 0.002 * hair
    return _Body(Label.ANIMAL, distance, core, any_colour(rng, 0.3, 0.7), layers)


def _face(canvas: Canvas, x: np.ndarray, y: np.ndarray) -> _Body:
    """Head and shoulders: warm forehead and eye corners, cool nose, hair, clothes."""
    rng, atlas, size = canvas.rng, canvas.atlas, canvas.size
    zoom, lean = rng.uniform(0.7, 1.5), rng.normal(0, 0.12)
    x, y = (x - rng.uniform(-0.2, 0.2)) / zoom, (y - rng.uniform(0.0, 0.15)) / zoom
    cos, sin = math.cos(lean), math.sin(lean)
    x, y = x * cos - y * sin, x * sin + y * cos
    wide, turn = rng.uniform(0.9, 1.1), rng.normal(0, 0.035)
    skull = _length(x / (0.15 * wide), (y + 0.15) / 0.155) * 0.15 - 0.15
    jaw = _limb(x, y, (turn * 0.5, -0.1), (turn, 0.03), 0.135 * wide, 0.092 * wide)
    head = _join(skull, jaw)
    for side in (-1, 1):
        ear = _limb(x, y, (side * 0.155 * wide, -0.12), (side * 0.15 * wide, -0.06), 0.02, 0.014)
        head = _join(head, ear, 0.01)
    neck = _limb(x, y, (turn * 0.3, 0.05), (0, 0.2), 0.066, 0.075)
    trunk = _limb(x, y, (-0.03, 0.24), (-0.23, 0.33), 0.07, 0.085)
    trunk = _join(trunk, _limb(x, y, (0.03, 0.24), (0.23, 0.33), 0.07, 0.085))
    trunk = _join(trunk, _limb(x, y, (0, 0.5), (0, 0.9), 0.27, 0.3), 0.1)
    skin = _join(head, neck, 0.012)
    core = np.full(size, SKIN + rng.uniform(0.5, 3), np.float32)
    # The chin cools in the air and hides the throat.
    core -= rng.uniform(0.5, 2) * np.exp(-np.abs(head) / 0.012) * np.clip(y * 20, 0, 1)

    def spot(px: float, py: float, sx: float, sy: float, kelvin: float) -> None:
        dx, dy = (x - px - turn) * (1 / sx), (y - py) * (1 / sy)
        core[...] += np.float32(kelvin) * np.exp(-0.5 * (dx * dx + dy * dy))

    spot(0, -0.045, 0.022, 0.04, -rng.uniform(1, 5))
    spot(0, -0.02, 0.035, 0.014, -rng.uniform(0.3, 1.5))
    spot(0, 0.035, 0.04, 0.009, rng.uniform(-0.8, 1.0))
    spot(0, 0.065, 0.035, 0.02, -rng.uniform(0.2, 1.2))
    for side in (-1, 1):
        spot(side * 0.055, -0.108, 0.026, 0.011, rng.uniform(-0.6, 0.4))
        spot(side * 0.026, -0.1, 0.008, 0.009, rng.uniform(0.6, 1.6))
        spot(side * 0.058, -0.138, 0.034, 0.007, -rng.uniform(0.4, 1.6))
        spot(side * 0.08, -0.035, 0.035, 0.035, -rng.uniform(0.3, 2.0))
        spot(side * 0.1, -0.19, 0.03, 0.03, rng.uniform(0.0, 0.8))
    ragged = 0.02 * atlas.window(size, "smooth", 2.5)
    strands = atlas.window(size, "fine", (1.1, 0.3), rng.uniform(-0.4, 0.4))
    volume = rng.uniform(0.0, 0.035)
    line = y + rng.uniform(0.2, 0.25) - rng.uniform(0.5, 4) * (x - turn) ** 2 + ragged
    fringe = np.clip(-line * 25 + 0.25 * strands, 0, 1) * (skull < volume + 0.4 * ragged)
    hair = SKIN - rng.uniform(2.5, 0.5 * (SKIN - canvas.air) + 3) + 0.8 * strands
    core += fringe * (hair - core)
    glasses = np.zeros(size, np.float32)
    if rng.random() < 0.3:
        for side in (-1, 1):
            lens = _length((x - turn - side * 0.06) / 0.046, (y + 0.1) / 0.032)
            glasses = np.maximum(glasses, np.clip((1 - lens) * 10, 0, 1))
        core -= rng.uniform(4, 8) * glasses
        core -= 3.0 * np.clip(1.5 - np.abs(y + 0.112) / 0.005, 0, 1) * (np.abs(x - turn) < 0.15)
    collar = y - rng.uniform(0.14, 0.2) - rng.uniform(-1.5, 1.5) * x * x
    cloth = np.clip((0.03 - trunk) * 60, 0, 1) * np.clip(collar * 60, 0, 1)
    warm = canvas.air + rng.uniform(0.25, 0.6) * (SKIN - canvas.air)
    folds = 0.9 * atlas.window(size, "smooth", 1.6) + 0.3 * atlas.window(size, "rough", 1.0)
    core += cloth * (warm + folds - core)
    distance = np.minimum(_join(skin, trunk, 0.02), np.where(fringe > 0.2, skull - volume, 1))
    tone = float(rng.choice([0.5, 0.35, 0.2, 0.1]))
    eyes = np.zeros(size, np.float32)
    for side in (-1, 1):
        ball = _length((x - turn - side * 0.057) / 0.024, (y + 0.108) / 0.009)
        eyes = np.maximum(eyes, np.clip((1 - ball) * 8, 0, 1))
    layers = [
        (eyes, (0.08, 0.06, 0.05)),
        (0.5 * glasses, (0.3, 0.32, 0.35)),
        (fringe, any_colour(rng, 0.02, 0.2)),
        (cloth, any_colour(rng, vivid=0.4)),
    ]
    skin_tone = (tone, 0.72 * tone, 0.58 * tone)
    return _Body(Label.PERSON, distance * zoom, core, skin_tone, layers)


def _hand(canvas: Canvas, x: np.ndarray, y: np.ndarray) -> _Body:
    """An open hand with cool fingertips, and a sleeve."""
    rng = canvas.rng
    angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 1.7)
    x, y = x / zoom - rng.uniform(-0.08, 0.08), y / zoom - rng.uniform(-0.08, 0.08)
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = x * cos - y * sin, x * sin + y * cos
    body = _limb(x, y, (0, 0.05), (0, 0.13), 0.1, 0.08)
    body = _join(body, _limb(x, y, (0, 0.15), (0.02, 0.7), 0.065, 0.1))
    core = np.full(canvas.size, SKIN + rng.uniform(0, 3), np.float32)
    chill, spread = rng.uniform(0.0, 6.0), rng.uniform(0.6, 1.2)
    fingers = zip((-0.075, -0.025, 0.025, 0.07), (0.15, 0.18, 0.17, 0.13), strict=True)
    for k, (root, length) in enumerate(fingers):
        lean = spread * (-0.3 + 0.2 * k) + rng.normal(0, 0.04)
        tip = (root + length * math.sin(lean), -0.02 - length * math.cos(lean))
        finger = _limb(x, y, (root, 0.0), tip, 0.028, 0.02)
        reach = np.clip((_length(x - root, y) - 0.03) / length, 0, 1) * (finger < 0.03)
        core -= chill * rng.uniform(0.6, 1.2) * reach
        body = np.minimum(body, finger)
    body = _join(body, _limb(x, y, (-0.06, 0.1), (-0.17, 0.0), 0.036, 0.024), 0.02)
    sleeve = np.clip((y - rng.uniform(0.25, 0.5)) * 80, 0, 1)
    core += sleeve * (canvas.air + 0.4 * (SKIN - canvas.air) - core)
    tone = float(rng.choice([0.5, 0.35, 0.2, 0.1]))
    layers = [(sleeve, any_colour(rng, vivid=0.4))]
    skin_tone = (tone, 0.72 * tone, 0.58 * tone)
    return _Body(Label.PERSON, body * zoom, core, skin_tone, layers)


def _fill(canvas: Canvas, distance: np.ndarray, surface: int) -> None:
    """Give a surface to the sub-pixels where a signed distance (H, W) is negative."""
    fine = cv2.resize(distance, canvas.ids.shape[::-1], interpolation=cv2.INTER_LINEAR)
    canvas.ids[fine < 0] = surface


def draw_closeup(canvas: Canvas, visible: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw a close warm body before a room out of focus.

    Returns:
        Apparent temperature (H, W) float32 in Celsius; and, if ``visible``, what the visible image
        of the canvas is multiplied by for the colours of the body, (H, W, 3) float32. The canvas
        holds the labels.
    """
    rng, size, atlas = canvas.rng, canvas.size, canvas.atlas
    unit = min(size)
    _room(canvas)
    none = np.zeros(size, np.float32)
    image = canvas.temperature(none, none)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.004, 0.02) * unit + 0.3)
    make = rng.choice([_livestock, _face, _hand], p=[0.6, 0.25, 0.15])
    body = make(canvas, *_grid(canvas))
    # A body cools towards its outline: the surface turns away and is thinner there.
    depth = np.maximum(-body.distance, 0)
    skin = body.temperature - rng.uniform(2, 6) * np.exp(-depth / rng.uniform(0.01, 0.05))
    skin += 0.5 * atlas.window(size, "smooth", 1.0)
    skin -= np.minimum(1.4 * np.abs(atlas.window(size, "smooth", 1.5)), 0.35)
    cover = np.clip(0.5 - body.distance * unit, 0, 1)
    surface = canvas.surface(body.label, SKIN, (1, 1, 1), canvas.thing(body.label))
    _fill(canvas, body.distance, surface)
    image += cover * (skin - image)
    # Warm skin lights the wall next to it.
    image += rng.uniform(0, 1.2) * np.exp(np.minimum(-body.distance, 0) / 0.08) * (1 - cover)
    if rng.random() < 0.5:
        # Breath on the lens or a warm thing at its edge veils one side.
        x, y = _grid(canvas)
        angle = rng.uniform(0, 2 * np.pi)
        veil = np.clip(x * math.cos(angle) + y * math.sin(angle) + rng.uniform(-0.2, 0.3), 0, 1)
        image += rng.uniform(0.3, 1.0) * veil * (canvas.air + rng.uniform(0, 8) - image)
    before = _obstruct(canvas, image) if rng.random() < 0.4 else np.float32(0)
    if not visible:
        return image, None
    shading = 0.6 + 0.4 * np.minimum(depth / 0.05, 1)
    # One pixel wider than the body, whose white surface would else show as a rim.
    wide = np.clip(1.5 - body.distance * unit, 0, 1) * (1 - before)
    return image, 1 + wide[..., None] * (body.albedo() * shading[..., None] - 1)


def _obstruct(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Put something cool and out of focus before the body, also in ``image``; give its cover."""
    rng = canvas.rng
    x, y = _grid(canvas)
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(0.33, 0.5)
    side = x * math.cos(angle) + y * math.sin(angle) - offset
    distance = -side if rng.random() < 0.5 else np.abs(side + 0.15) - rng.uniform(0.02, 0.06)
    slope = 2 / rng.uniform(0.01, 0.04)
    cover = 1 / (1 + np.exp(np.clip(distance * slope, -30, 30)))
    texture = 0.5 * canvas.atlas.window(canvas.size, "smooth", 1.0)
    image += cover * (canvas.air + rng.normal(-0.5, 2.0) + texture - image)
    _fill(canvas, distance, canvas.surface(Label.STRUCTURE, canvas.air, any_colour(rng)))
    return cover
