"""Procedural thermal scenes with labels, boxes, point targets and an aligned visible image."""

import math
from dataclasses import dataclass

import numpy as np

from mmspec.thermal.sensor import GAINS, expose_thermal, expose_visible, gain_control

from . import things
from .canvas import Canvas, Label

CLASSES = tuple(label.name.lower() for label in Label)
# Classes that get boxes: the first ones, so that one set of indices serves both tasks.
THING_CLASSES = CLASSES[: Label.GROUND]
PALETTE = (
    (220, 20, 60), (0, 0, 200), (120, 110, 90), (128, 64, 128), (70, 130, 180), (110, 110, 110),
    (60, 140, 50), (230, 220, 60),
)  # fmt: skip

FAMILIES = ("street_day", "street_night", "sky")
# How often each of GAINS is met in such scenes.
_GAIN_SHARES = {
    "street_day": (0.12, 0.06, 0.8, 0.02),
    "street_night": (0.05, 0.1, 0.35, 0.5),
    "sky": (0.5, 0.2, 0.2, 0.1),
}


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
        family: one of ``FAMILIES``.
    """

    image: np.ndarray
    raw: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    box_labels: np.ndarray
    point_mask: np.ndarray
    visible: np.ndarray | None
    family: str


def render_scene(
    seed: int,
    size: tuple[int, int] = (256, 256),
    visible: bool = False,
    family: str | None = None,
) -> ThermalScene:
    """Render a scene; the same arguments give the same arrays.

    An apparent-temperature map in Celsius (sky, ground, things far to near) goes through a model
    of a microbolometer (blur, glare, vignetting, temporal and fixed-pattern noise, 14 bits) and an
    automatic gain control. The visible image shows the same geometry by daylight or under lamps:
    colours, cloth and lamps are in it alone; engine heat, tyre tracks and point targets in the
    thermal image alone. Asking for it changes nothing else.

    Args:
        seed: seed of the only random generator, an integer of 0 or more.
        size: (H, W), each from 32 to 1024 pixels.
        visible: render the visible image too.
        family: one of ``FAMILIES``; drawn from the seed by default.

    Raises:
        ValueError: ``size`` or ``family`` is not one of those.
    """
    if len(size) != 2 or not all(32 <= side <= 1024 for side in size):
        raise ValueError(f"size={size!r}: give (H, W), each from 32 to 1024 pixels")
    if family is not None and family not in FAMILIES:
        raise ValueError(f"family={family!r}: give one of {', '.join(FAMILIES)}, or None")
    rng, (rows, columns) = np.random.default_rng(seed), map(int, size)
    drawn = str(rng.choice(FAMILIES, p=(0.4, 0.4, 0.2)))
    family = family or drawn
    day = family == "street_day" or (family == "sky" and rng.random() < 0.6)
    sun, air = (rng.uniform(0.4, 1), rng.uniform(12, 28)) if day else (0.0, rng.uniform(2, 20))
    # A tall picture is a window cut out of a wider view.
    focal, height = rng.uniform(0.8, 1.6) * max(columns, 0.75 * rows), rng.uniform(1.1, 2.2)
    horizon, far = rng.uniform(0.35, 0.6), 1.0
    if family == "sky":
        focal, height, far = focal * rng.uniform(1.6, 2.5), rng.uniform(2, 9), rng.uniform(2.5, 8)
        horizon = rng.uniform(0.6, 0.95) if rng.random() < 0.6 else rng.uniform(1.1, 3)
    canvas = Canvas((rows, columns), focal, height, horizon * rows, rng, air, sun)
    ground, (sky, sky_colour) = _street(canvas, far), _sky(canvas, visible)
    temperature = canvas.temperature(sky, ground)
    labels, points = canvas.labels(), np.zeros((rows, columns), np.uint8)
    if family == "sky" or rng.random() < 0.1:
        for _ in range(rng.integers(1, 5)):
            _add_point(rng, temperature, labels == Label.SKY, points)
    raw = expose_thermal(temperature, rng)
    image = gain_control(raw, rng, str(rng.choice(GAINS, p=_GAIN_SHARES[family])))
    photo = expose_visible(canvas.radiance(sky_colour), rng, sun) if visible else None
    return ThermalScene(image, raw, labels, *canvas.boxes(), points, photo, family)


def _sky(canvas: Canvas, visible: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Temperature (H, W) in Celsius and radiance (H, W, 3), if ``visible``, of the sky.

    A clear sky is far colder than the air overhead and nears its temperature at the horizon, where
    the path through it is long. The span is narrower than in nature: most cameras clip it.
    """
    rng, (rows, columns), air = canvas.rng, canvas.size, canvas.air
    rise = np.maximum(canvas.horizon - np.arange(rows, dtype=np.float32)[:, None], 0) / canvas.focal
    clear = rng.uniform(4, 9) if rng.random() < 0.5 else rng.uniform(9, 22)
    field = air - rng.uniform(1, 5) - clear * (1 - np.exp(rise / -rng.uniform(0.05, 0.35)))
    # At most one period of the tileable fields over the picture: no cloud is seen twice.
    flat, turn = rng.uniform(1, 4.5), rng.normal(0, 0.15)
    step = canvas.period / (max(rows * flat, columns) * 1.1) * rng.uniform(0.4, 1.0)
    cloud = canvas.window(canvas.size, "smooth", step, flat, turn)
    cloud = cloud + 0.35 * canvas.window(canvas.size, "rough", step, flat, turn)
    cloud = np.clip((cloud - rng.normal(0.3, 0.7)) / rng.uniform(0.8, 2.5), 0, 1)
    cloud *= rng.choice([0.0, 0.5, 1.0]).astype(np.float32)
    field = field + cloud * rng.uniform(0.3, 0.9) * np.maximum(air - rng.uniform(2, 7) - field, 0)
    if not visible:
        return field, None
    haze, cloud = np.exp(rise / -0.3)[..., None], cloud[..., None]
    blue = np.float32([0.2, 0.38, 0.75]) * (1 - haze) + np.float32([0.65, 0.72, 0.8]) * haze
    colour = blue + cloud * (np.float32(0.85) - blue)
    return field, colour if canvas.sun else colour * 0.012


def _add_point(rng: np.random.Generator, temperature, sky, mask) -> None:
    """Add a far aircraft, bird or fire to a temperature map (H, W), in place.

    It is in the ``sky`` (H, W) bool where there is any. The mask (H, W) uint8 becomes 1 where it
    adds more than a third of its peak.
    """
    inner = sky[4:-4, 4:-4]
    spot = rng.choice(np.flatnonzero(inner if inner.any() else ~inner))
    y, x = divmod(int(spot), inner.shape[1])
    part = slice(max(y - 3, 0), y + 12), slice(max(x - 3, 0), x + 12)
    down = np.arange(sky.shape[0])[part[0], None] - y - rng.uniform(3.5, 4.5)
    right = np.arange(sky.shape[1])[part[1]] - x - rng.uniform(3.5, 4.5)
    wide, turn = rng.uniform(0.45, 0.9), rng.uniform(0, np.pi)
    u = (right * np.cos(turn) + down * np.sin(turn)) / max(rng.uniform(0.5, 1.5), wide)
    v = (down * np.cos(turn) - right * np.sin(turn)) / wide
    bump = np.exp(-(u * u + v * v) / 2)
    peak = rng.uniform(1.5, 4) + rng.uniform(3, 8) * float(np.std(temperature[part]))
    peak = max(peak, rng.uniform(0.1, 0.6) * float(np.std(temperature)))
    temperature[part] += (peak * (-1 if rng.random() < 0.08 else 1) * bump).astype(np.float32)
    mask[part] |= (bump > bump.max() / 3).astype(np.uint8)


# Dense near the camera, in metres along the road.
_COURSE = np.sinh(np.linspace(-5.5, 6.5, 61))


class _Road:
    """Course of a road: metres across and along it, and where that is."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.heading = rng.normal(0, 0.12) if rng.random() < 0.75 else rng.uniform(-1.3, 1.3)
        self.half, self.walk = rng.uniform(2.8, 6.0), rng.uniform(1.5, 4.0)
        self._offset, self._curve = rng.uniform(-1, 1) * (self.half + 2.5), rng.normal(0, 0.0012)
        self._cos, self._sin = math.cos(self.heading), math.sin(self.heading)

    def place(self, u, v) -> np.ndarray:
        """Ground positions (..., 3) in metres of points ``u`` across and ``v`` along the road."""
        u, v = np.broadcast_arrays(u + self._offset + self._curve * v * v, v)
        return np.stack([u * self._cos + v * self._sin, 0 * u, v * self._cos - u * self._sin], -1)

    def unevenness(self, canvas: Canvas) -> np.ndarray:
        """Fields on the ground, (H, W) in Kelvin, faded where a pixel covers too much of it."""
        rng, (rows, columns), focal = canvas.rng, canvas.size, canvas.focal
        drop = (np.arange(rows, dtype=np.float32)[:, None] + 0.5 - canvas.horizon) / focal
        first = int((drop < 0.0025).sum())
        if first == rows:
            return np.zeros(canvas.size, np.float32)
        z = canvas.height / drop[first:]
        x = z * (np.arange(columns, dtype=np.float32) + 0.5 - columns / 2) / focal
        v = x * self._sin + z * self._cos
        u = x * self._cos - z * self._sin - self._offset - self._curve * v * v
        slant, smooth = z * z / (canvas.height * focal), rng.uniform(0.6, 2.0)
        ground = smooth / (1 + (slant / 5.0) ** 2) * canvas.field(u / 0.5, v / 2.0, "smooth")
        ground += 0.3 / (1 + (slant / 0.5) ** 2) * canvas.field(u / 0.1, v / 0.2, "rough")
        # Grit and grass are as tall as they are wide, whatever the slant of the ground.
        ground += canvas.window(u.shape, "fine", 1.3) * np.minimum(0.3, 0.008 * focal / z)
        # Tyres polish and warm two bands of each lane.
        bands = np.abs(np.abs(np.abs(u) - self.half / 2) - 0.75)
        ground += rng.normal(0.2, 0.4) * np.exp(bands * bands / -0.12)
        return np.pad(ground, ((first, 0), (0, 0)))


def _pave(canvas: Canvas, road: _Road) -> None:
    """Pavement, road and marks."""
    rng, half, side = canvas.rng, road.half, road.half + road.walk
    asphalt = rng.uniform(-2.5, 3) + canvas.sun * rng.uniform(0, 9)

    def fill(u, v, spread: float, gray: float, label: Label = Label.ROAD) -> None:
        look = (gray, gray, 0.97 * gray)
        number = canvas.surface(label, asphalt + rng.normal(0, spread), look, soil=1.0)
        canvas.fill(canvas.project(road.place(np.array(u), np.array(v))), number)

    def ribbon(left: float, right: float, *look) -> None:
        fill(np.repeat((left, right), 61), np.concatenate([_COURSE, _COURSE[::-1]]), *look)

    ribbon(-side, side, 1.2, 0.31, Label.GROUND)
    ribbon(-half, half, 0.0, 0.14)
    dashes = np.arange(rng.uniform(1, 9), 90, 8)[:, None] + [0, 0, 3, 3]
    fill([-0.08, 0.08, 0.08, -0.08], dashes, 0.6, 0.6)
    for edge in (0.5 - half, half - 0.5):
        ribbon(edge - 0.07, edge + 0.07, 0.6, 0.6)


def _street(canvas: Canvas, far: float) -> np.ndarray:
    """Draw a street, or what stands ``far`` times farther off under a wide sky, without traffic.

    Gives the unevenness of the ground, (H, W) float32 in Kelvin.
    """
    rng, (rows, columns), top = canvas.rng, canvas.size, canvas.horizon
    road, near, jobs = _Road(rng), far == 1, []
    half, walk = road.half, road.walk
    soil = (0.07, 0.1, 0.04) if rng.random() < 0.6 else (0.2, 0.19, 0.18)
    verge = canvas.surface(Label.GROUND, rng.uniform(-4, 6 * canvas.sun), soil, soil=2.0)
    canvas.fill(np.array([(0, top), (columns, top), (columns, 9e3), (0, 9e3)]), verge)
    for tall in rng.uniform(0.015, 0.09, rng.integers(1, 4)) * rows:
        things.add_ridge(canvas, top, tall, rng.normal(-0.8, 0.8))
    if near:
        _pave(canvas, road)

    def plan(u: float, v: float, extent: float, least: float, draw, *args) -> None:
        """Draw a thing in its turn, unless it cannot be seen or is nearer than ``least`` metres."""
        x, _, z = road.place(far * u, far * v)
        if z > least and abs(x) < extent + 0.5 * columns * z / canvas.focal:
            jobs.append((z, x, draw, args))

    for side in (-1, 1):
        tall, yaw = rng.uniform(5, 17), road.heading + np.pi * (side < 0)
        for v in rng.uniform(-5, 15) + np.cumsum(rng.uniform(10, 40, 3)):
            extent = rng.uniform((8, 3.2, 7), (26, rng.choice([7, 25]), 14))
            u = side * (half + walk + extent[2] / 2 + rng.uniform(0.5, 9))
            plan(u, v, extent[0], 1, things.add_building, road.heading + np.pi / 2, extent)
        for v in rng.uniform(3, 15) + np.cumsum(rng.uniform(3, 25, rng.integers(0, 8))):
            u, height = side * (half + walk * rng.uniform(0.6, 2)), tall * rng.uniform(0.6, 1.2)
            plan(u, v, 0.6 * height, 7, things.add_tree, height)
        for v in 6.5 * np.flatnonzero(rng.random(10) < rng.choice([0.0, 0.6])) if near else ():
            plan(side * (half - 1.1), v + 4, 3, 5.5, things.add_vehicle, yaw, False)
    side, mast = rng.choice([-1, 1]) * (half + 0.6), rng.uniform(5, 9)
    for v in np.arange(rng.uniform(5, 15), 110, rng.uniform(15, 30)) if rng.random() < 0.7 else ():
        plan(side, v, 5, 2, things.add_lamp, mast)
    for side in rng.choice([-1, 1], rng.integers(0, 4) if near else 0):
        yaw, v = road.heading + np.pi * (side < 0), rng.uniform(6, 60)
        plan(side * half * 0.4, v, 3, 5.5, things.add_vehicle, yaw, True)
        u = rng.uniform(-half - 3, half + 3)
        for place in rng.normal((u, rng.uniform(4, 35)), 0.7, (rng.integers(1, 3), 2)):
            plan(*place, 1, 3, things.add_person)
    for z, x, draw, args in sorted(jobs, key=lambda job: -job[0]):
        draw(canvas, x, z, *args)
    return road.unevenness(canvas)
