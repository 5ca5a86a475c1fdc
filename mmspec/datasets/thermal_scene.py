"""Procedural thermal scenes with labels, boxes, point targets and an aligned visible image."""

from dataclasses import dataclass

import numpy as np

from .thermal.aerial import draw_aerial
from .thermal.canvas import Camera, Canvas, Label
from .thermal.closeup import draw_closeup
from .thermal.ground import Ground
from .thermal.sensor import expose_thermal, expose_visible, gain_control
from .thermal.sky import add_points, draw_skyline, sky_fields
from .thermal.street import draw_street
from .thermal.texture import FractalAtlas

CLASSES = tuple(label.name.lower().replace("_", " ") for label in Label)
# Classes that get boxes: the first ones, so that one set of indices serves both tasks.
THING_CLASSES = CLASSES[: Label.GROUND]
PALETTE = (
    (220, 20, 60), (255, 128, 0), (0, 0, 200), (200, 0, 200), (0, 200, 220), (120, 110, 90),
    (128, 64, 128), (70, 130, 180), (110, 110, 110), (60, 140, 50), (230, 220, 60), (190, 150, 150),
)  # fmt: skip

FAMILIES = ("street_day", "street_night", "aerial", "sky", "closeup")
_FAMILY_SHARES = (0.28, 0.30, 0.20, 0.12, 0.10)
_GAINS = ("linear", "centred", "plateau", "fixed")
_GAIN_SHARES = {
    "street_day": (0.12, 0.06, 0.8, 0.02),
    "street_night": (0.05, 0.1, 0.35, 0.5),
    "aerial": (0.1, 0.7, 0.2, 0.0),
    "sky": (0.5, 0.2, 0.2, 0.1),
    "closeup": (0.9, 0.0, 0.1, 0.0),
}
_DRAW = {
    "street_day": draw_street,
    "street_night": draw_street,
    "aerial": draw_aerial,
    "sky": draw_skyline,
}
_SIDES = (32, 1024)


@dataclass(frozen=True)
class ThermalScene:
    """One scene; all arrays show the same pixels.

    Attributes:
        image: (H, W) uint8, after gain control; warm is bright but for a few scenes.
        raw: (H, W) uint16, the 14-bit counts before gain control.
        labels: (H, W) uint8, index into ``CLASSES``.
        boxes: (N, 4) float32 xyxy in pixels, round the visible part of each thing of at least 4
            visible pixels; things that touch the border are cut there.
        box_labels: (N,) int64, index into ``THING_CLASSES`` (and ``CLASSES``).
        point_mask: (H, W) uint8, 1 on point targets, which have no box and keep their background's
            label.
        visible: (H, W, 3) uint8 RGB, or None.
        family: One of ``FAMILIES``.
    """

    image: np.ndarray
    raw: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    box_labels: np.ndarray
    point_mask: np.ndarray
    visible: np.ndarray | None
    family: str


def _camera(family: str, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    rows, columns = size
    # A tall picture is a window cut out of a wider view.
    width = max(columns, 0.75 * rows)
    if family == "aerial":
        pitch = rng.uniform(0.55, 1.0) if rng.random() < 0.5 else rng.uniform(1.0, 1.5)
        return Camera(size, rng.uniform(1.0, 1.6) * width, rng.uniform(14, 60), pitch)
    if family == "sky":
        low = rng.random() < 0.6
        horizon = (rng.uniform(0.6, 0.95) if low else rng.uniform(1.1, 3)) * rows
        return Camera(size, rng.uniform(1.3, 4) * width, rng.uniform(2, 9), 0.0, horizon)
    horizon = rng.uniform(0.35, 0.6) * rows
    return Camera(size, rng.uniform(0.8, 1.6) * width, rng.uniform(1.1, 2.2), 0.0, horizon)


def _illumination(canvas: Canvas, ground: Ground) -> np.ndarray:
    """Light (H, W) float32 on each pixel, in units of daylight."""
    rows, columns = canvas.size
    light = np.full(canvas.size, 1.0 if canvas.sun else 0.03, np.float32)
    x, y = np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)[:, None]
    for at_x, at_y, radius, power in canvas.lamps:
        # A pool of light on the ground is seen at a slant.
        squared = (x - np.float32(at_x)) ** 2 + 4 * (y - np.float32(at_y)) ** 2
        light += np.float32(power) * np.exp(squared * np.float32(-0.5 / (radius**2 + 1)))
    return light * ground.full(ground.shade, 1.0)


def render_scene(
    seed: int,
    size: tuple[int, int] = (256, 256),
    visible: bool = False,
    family: str | None = None,
) -> ThermalScene:
    """Render a scene; the same arguments give the same arrays.

    An apparent-temperature map in Celsius (sky, ground, objects far to near) goes through a model
    of a microbolometer (blur, glare, vignetting, temporal and fixed-pattern noise, 14 bits) and an
    automatic gain control. The visible image shows the same geometry by daylight or under lamps:
    colours, cloth and lamps are in it alone; engine heat, leaks, tyre tracks, the traces of
    departed cars and point targets in the thermal image alone. Asking for it changes nothing else.

    Args:
        seed: Seed of the only random generator, an integer of 0 or more.
        size: (H, W), each from 32 to 1024 pixels.
        visible: Render the visible image too.
        family: One of ``FAMILIES``; drawn from the seed by default.

    Raises:
        ValueError: ``size`` or ``family`` is not one of those.
    """
    if len(size) != 2 or not all(_SIDES[0] <= side <= _SIDES[1] for side in size):
        raise ValueError(f"size={size!r}: give (H, W), each from {_SIDES[0]} to {_SIDES[1]} pixels")
    if family is not None and family not in FAMILIES:
        raise ValueError(f"family={family!r}: give one of {', '.join(FAMILIES)}, or None")
    size = (int(size[0]), int(size[1]))
    rng = np.random.default_rng(seed)
    drawn = str(rng.choice(FAMILIES, p=_FAMILY_SHARES))
    family = family or drawn
    day = family == "street_day" or (family != "street_night" and rng.random() < 0.6)
    sun = rng.uniform(0.4, 1) if day else 0.0
    air = rng.uniform(12, 28) if day or family == "closeup" else rng.uniform(2, 20)
    atlas = FractalAtlas(rng, 1 << max(7, min(9, (max(size) - 1).bit_length())))
    canvas = Canvas(_camera(family, size, rng), rng, atlas, air, sun)
    ground = Ground(canvas, visible)
    canvas.ids[ground.first * canvas.oversample :] = canvas.GROUND
    sky, sky_colour = sky_fields(canvas, visible)
    tint = None
    if family == "closeup":
        temperature, tint = draw_closeup(canvas, visible)
    else:
        _DRAW[family](canvas, ground)
        temperature = canvas.temperature(sky, ground.full(ground.temperature, 0.0))
    labels = canvas.labels(ground.full(ground.label, Label.SKY))
    points = np.zeros(size, np.uint8)
    if family == "sky" or (family.startswith("street") and rng.random() < 0.1):
        points = add_points(canvas, temperature, labels, int(rng.integers(1, 5)))
    raw = expose_thermal(temperature, rng)
    image = gain_control(raw, rng, str(rng.choice(_GAINS, p=_GAIN_SHARES[family])))
    boxes, box_labels = canvas.boxes()
    photo = None
    if visible:
        colour = ground.full(ground.colour, 0.0)
        if tint is not None:
            canvas.lamps.append((size[1] / 2, size[0] / 3, max(size), 0.8))
        radiance = canvas.visible(sky_colour, colour, _illumination(canvas, ground))
        photo = expose_visible(radiance if tint is None else radiance * tint, rng, sun)
    return ThermalScene(image, raw, labels, boxes, box_labels, points, photo, family)
