"""Vehicles: extruded side profiles with glass, lamps and wheels, as cached lists of panels."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .canvas import Canvas, Label
from .things import CIRCLE, any_colour

# Side profiles in metres behind the nose and above the road, from the front bumper over the bonnet
# to the rear bumper; the part that each edge belongs to; cabin; half width.
_PROFILES = {
    "sedan": (
        [(0.08, 0.2), (0, 0.36), (0.03, 0.56), (0.12, 0.72), (1.25, 0.93), (3.7, 1.0), (4.4, 0.97),
         (4.5, 0.66), (4.54, 0.45), (4.46, 0.22)],
        ["lip", "bumper", "nose", "bonnet", "belt", "upper", "tail", "bumper", "lip"],
        [(1.2, 0.93), (2.05, 1.42), (3.1, 1.42), (3.85, 0.99)],
        0.88,
    ),
    "hatch": (
        [(0.08, 0.2), (0, 0.38), (0.03, 0.58), (0.12, 0.76), (1.05, 0.98), (3.75, 1.04),
         (3.86, 0.72), (3.92, 0.48), (3.84, 0.22)],
        ["lip", "bumper", "nose", "bonnet", "belt", "tail", "bumper", "lip"],
        [(1.0, 0.98), (1.8, 1.5), (3.3, 1.47), (3.74, 1.03)],
        0.85,
    ),
    "suv": (
        [(0.08, 0.28), (0, 0.5), (0.03, 0.72), (0.12, 0.95), (1.2, 1.12), (4.52, 1.16),
         (4.62, 0.8), (4.68, 0.55), (4.58, 0.3)],
        ["lip", "bumper", "nose", "bonnet", "belt", "tail", "bumper", "lip"],
        [(1.15, 1.12), (1.9, 1.72), (4.2, 1.72), (4.52, 1.15)],
        0.94,
    ),
    "van": (
        [(0.06, 0.25), (0, 0.5), (0.03, 0.8), (0.1, 1.0), (0.75, 1.2), (4.96, 1.22), (5.0, 0.75),
         (5.05, 0.5), (4.98, 0.28)],
        ["lip", "bumper", "nose", "bonnet", "belt", "tail", "bumper", "lip"],
        [(0.7, 1.2), (1.35, 1.98), (4.85, 2.02), (4.97, 1.22)],
        0.98,
    ),
    "bus": (
        [(0.06, 0.3), (0, 0.55), (0.02, 0.9), (0.06, 1.15), (0.12, 1.25), (9.9, 1.25), (9.98, 0.85),
         (10, 0.55), (9.94, 0.32)],
        ["lip", "bumper", "nose", "nose", "belt", "tail", "bumper", "lip"],
        [(0.12, 1.25), (0.25, 3.0), (9.8, 3.0), (9.92, 1.25)],
        1.25,
    ),
}  # fmt: skip
VEHICLES = tuple(_PROFILES)
_WHITE = (1.0, 1.0, 1.0)
_PARTS = (
    "lip", "bumper", "nose", "bonnet", "belt", "upper", "tail", "side", "edge", "frame", "glass",
    "windscreen", "seam", "dark", "tyre", "hub", "red", "lamp", "plate",
)  # fmt: skip


@dataclass(frozen=True)
class _Template:
    """Panels of one kind, in drawing order, in metres (behind the nose, right, up)."""

    length: float
    half: float
    points: np.ndarray  # (P, 3)
    starts: list[int]  # first point of each panel, and P
    parts: list[int]  # index into _PARTS
    anchor: np.ndarray  # (K, 3) a point on the face that the panel lies on
    normal: np.ndarray  # (K, 3) outward normal of that face, 0 for panels drawn from all sides
    fine: np.ndarray  # (K,) smallest scale, in pixels per metre, that shows the panel


@lru_cache(maxsize=len(VEHICLES))
def _template(kind: str) -> _Template:
    profile, names, cabin, half = _PROFILES[kind]
    profile, cabin = np.array(profile), np.array(cabin)
    length, tall = profile[:, 0].max(), kind in ("van", "bus")
    inner = half * (0.93 if tall else 0.76)
    panels: list[tuple[np.ndarray, str, np.ndarray, np.ndarray, float]] = []
    none = np.zeros(3)

    def add(points, part, normal=none, anchor=none, fine=0.0) -> None:
        panels.append((np.asarray(points, float), part, anchor, normal, fine))

    def spread(a, b, wide_a: float, wide_b: float) -> np.ndarray:
        return np.array([(a[0], -wide_a, a[1]), (a[0], wide_a, a[1]), (b[0], wide_b, b[1]),
                         (b[0], -wide_b, b[1])])  # fmt: skip

    def outward(quad: np.ndarray, inside: np.ndarray) -> np.ndarray:
        normal = np.cross(quad[1] - quad[0], quad[2] - quad[1])
        return normal if normal @ (quad[0] - inside) > 0 else -normal

    def chamfered(quad, u0, v0, u1, v1, cut=0.18) -> np.ndarray:
        """Rectangle with cut corners on a quad, u along its first edge and v along its second."""
        du, dv = cut * (u1 - u0), cut * (v1 - v0)
        u = np.array([u0 + du, u1 - du, u1, u1, u1 - du, u0 + du, u0, u0])[:, None]
        v = np.array([v0, v0, v0 + dv, v1 - dv, v1, v1, v1 - dv, v0 + dv])[:, None]
        low, high = quad[0] * (1 - u) + quad[1] * u, quad[3] * (1 - u) + quad[2] * u
        return low * (1 - v) + high * v

    radius = 0.5 if kind == "bus" else 0.33
    axles = np.array([0.18, 0.8]) * length

    def wheel(a: float, b: float, normal: np.ndarray, fine: float) -> None:
        rim = np.stack([a + radius * CIRCLE[:, 0], np.full(len(CIRCLE), b),
                        radius * (1 + CIRCLE[:, 1])], axis=-1)  # fmt: skip
        middle = np.array([a, b, radius])
        if normal.any():
            add(middle + (rim - middle) * 1.13 + [0, 0, 0.03], "dark", normal, middle)
        add(rim, "tyre", normal, middle)
        add(middle + (rim - middle) * 0.6, "hub", normal, middle, fine)
        add(middle + (rim - middle) * 0.2, "dark", normal, middle, 15)

    for a in axles:
        for b in (-half * 0.9, half * 0.9):
            wheel(a, b, none, 8)
            for end in (-radius * 0.8, radius * 0.8):
                tread = [(a + end, b * 0.78, 0), (a + end, b * 1.08, 0), (a + end, b * 1.08, 0.5),
                         (a + end, b * 0.78, 0.5)]  # fmt: skip
                add(tread, "tyre")
    add(spread((0.2, 0.3), (length - 0.2, 0.3), half * 0.95, half * 0.95), "dark")
    heart = np.array([length / 2, 0, 0.6])
    for i, name in enumerate(names):
        wide = [half * (0.93 if k in (0, len(profile) - 1) else 1.0) for k in (i, i + 1)]
        quad = spread(profile[i], profile[i + 1], *wide)
        normal = outward(quad, heart)
        add(quad, name, normal, quad[0])
        if name != "belt":
            for u in (0.0, 0.94):
                add(chamfered(quad, u, 0, u + 0.06, 1, 0), "edge", normal, quad[0], 6)
        if name == "nose":
            add(chamfered(quad, 0.28, 0.2, 0.72, 0.85), "dark", normal, quad[0], 4)
            for u in (0.04, 0.76):
                add(chamfered(quad, u, 0.3, u + 0.2, 0.98), "lamp", normal, quad[0], 4)
        if name == "bumper":
            rear = i > len(names) // 2
            v = (0.35, 0.85) if rear else (0.25, 0.8)
            add(chamfered(quad, 0.38, v[0], 0.62, v[1]), "plate", normal, quad[0], 8)
            add(chamfered(quad, 0.12, 0.02, 0.88, 0.2), "dark", normal, quad[0], 10)
        if name == "tail":
            add(chamfered(quad, 0.3, 0.35, 0.7, 0.8), "plate", normal, quad[0], 8)
            for u in (0.01, 0.79):
                add(chamfered(quad, u, 0.12, u + 0.2, 0.62), "red", normal, quad[0], 4)
        if name == "bonnet":
            for u in (0.2, 0.78):
                add(chamfered(quad, u, 0, u + 0.015, 1, 0), "seam", normal, quad[0], 12)
    for sign in (-1, 1):
        normal, anchor = np.array([0.0, sign, 0]), np.array([0, sign * half, 0.0])
        add(np.insert(profile, 1, sign * half, axis=1), "side", normal, anchor)
        sill = [(0.3, sign * half, 0.22), (length - 0.3, sign * half, 0.22),
                (length - 0.3, sign * half, 0.34), (0.3, sign * half, 0.34)]  # fmt: skip
        add(sill, "lip", normal, anchor)
        for share in (0.3, 0.52, 0.74):
            a = share * length
            door = [(a, sign * half, 0.36), (a + 0.03, sign * half, 0.36),
                    (a + 0.03, sign * half, 0.95), (a, sign * half, 0.95)]  # fmt: skip
            add(door, "seam", normal, anchor, 12)
        for a in axles:
            wheel(a, sign * half * 1.01, normal, 8)
    top = np.array([length / 2, 0, 1.1])
    for i, part in enumerate(("windscreen", "upper", "glass")):
        wide = [half * 0.95 if k in (0, 3) else inner for k in (i, i + 1)]
        quad = spread(cabin[i], cabin[i + 1], *wide)
        normal = outward(quad, top)
        add(quad, "upper" if part == "upper" else "frame", normal, quad[0])
        if part != "upper":
            add(chamfered(quad, 0.06, 0.08, 0.94, 0.9, 0.1), part, normal, quad[0])
        elif tall:
            add(chamfered(quad, 0.25, 0.3, 0.75, 0.6), "edge", normal, quad[0])
    for sign in (-1, 1):
        wide = np.where(cabin[:, 1] > cabin[0, 1] + 0.2, inner, half * 0.95) * sign
        side = np.stack([cabin[:, 0], wide, cabin[:, 1]], axis=-1)
        normal = outward(side, top)
        add(side, "frame", normal, side[0])
        middle = side.mean(axis=0)
        add(middle + (side - middle) * [0.88, 1.02, 0.72], "glass", normal, side[0])
        count = 7 if kind == "bus" else 2
        for share in (np.arange(count) + 1) / (count + 1):
            a = cabin[0, 0] + (cabin[-1, 0] - cabin[0, 0]) * (0.15 + 0.7 * share)
            low, high = side[0], side[1]
            post = [(a - 0.05, low[1], low[2]), (a + 0.05, low[1], low[2]),
                    (a + 0.05, high[1], high[2]), (a - 0.05, high[1], high[2])]  # fmt: skip
            add(np.array(post) * [1, 1.02, 1], "frame", normal, side[0], 4)
        mirror = np.array([cabin[0, 0] + 0.35, sign * (half + 0.1), cabin[0, 1] + 0.06])
        offsets = np.array([(0, -0.1, -0.06), (0, 0.1, -0.06), (0, 0.1, 0.08), (0, -0.1, 0.08)])
        add(mirror + offsets, "edge", none, none, 8)
    points = [p for p, *_ in panels]
    return _Template(
        length,
        half,
        np.concatenate(points),
        [0, *np.cumsum([len(p) for p in points])],
        [_PARTS.index(part) for _, part, *_ in panels],
        np.array([a for *_, a, _, _ in panels]),
        np.array([n for *_, n, _ in panels]),
        np.array([f for *_, f in panels]),
    )


def _finishes(canvas: Canvas, thing: int, running: bool, depth: float, at: np.ndarray) -> list[int]:
    """Surface numbers of all parts, in the order of ``_PARTS``."""
    rng, sun, s = canvas.rng, canvas.sun, canvas.camera.scale(depth)
    shell = rng.normal(-1.0, 1.6) + sun * rng.uniform(-2, 8) + 1.5 * running
    heat = rng.uniform(5, 20) if running else rng.exponential(1.0)
    # Paint is a fair mirror at 10 um: what faces up shows cold sky, what faces out warm ground.
    mirror, slope = rng.uniform(1.5, 5.0), rng.uniform(1.0, 4.5)
    cold = rng.uniform(1.0, 6.0) - 2 * running
    lit = running and not sun
    paint = any_colour(rng, 0.03, 0.8, rng.choice([0.05, 0.5]))
    grey, plastic = (0.7, 0.7, 0.62), rng.choice([0.3, 0.75])
    wheels = rng.uniform(3, 12) if running else 3 * sun
    spread = rng.normal(0, 1, 9).tolist()
    # Kelvin above air, brightness and colour, Kelvin a metre downwards, light of its own.
    table = {
        "lip": (spread[0] - 0.5 + 0.3 * heat, 0.03, _WHITE, 2.0, 0),
        "bumper": (shell + 1.2 * spread[1] + 0.3 * heat, plastic, paint, slope, 0),
        "nose": (shell + 0.8 * heat, 0.75, paint, 3.0, 0),
        "bonnet": (shell - 0.6 * mirror + 0.5 * heat, 1, paint, 2.5, 0),
        "belt": (shell - mirror, 1, paint, 0, 0),
        "upper": (shell - mirror + 2 * sun, 1, paint, 1.5, 0),
        "tail": (shell + 0.4, 0.75, paint, slope, 0),
        "side": (shell, 0.8, paint, slope, 0),
        "edge": (shell + 0.8 * spread[2] - 0.6, 0.6, paint, slope, 0),
        "frame": (shell - 0.3 * mirror, 0.6, paint, 1.5, 0),
        "glass": (shell - cold, 0.035, _WHITE, 4.0, 0),
        "windscreen": (shell - cold - 0.6 * mirror, 0.09, _WHITE, 5.0, 0),
        "seam": (shell + (1 if spread[3] > 0 else -1), 0.35, paint, slope, 0),
        "dark": (spread[4] + 0.5 + 0.5 * heat, 0.015, _WHITE, 0, 0),
        "tyre": (spread[5] + wheels, 0.03, _WHITE, 0, 0),
        "hub": (1.5 * spread[6] - 1.5 + wheels * rng.uniform(0.2, 1.4), 0.35, grey, 0, 0),
        "red": (shell + 1.5 * spread[7] + lit, 1, (0.5, 0.03, 0.02), 2.0, 1.5 * lit),
        "lamp": (shell + (rng.uniform(2, 10) if lit else -1.5), 1, grey, 2.0, 9 * lit),
        "plate": (shell + 1.8 * spread[8], 1, grey, 1.0, 0),
    }
    lean, numbers = rng.normal(0, 0.6) / s, []
    for part in _PARTS:
        kelvin, bright, tone, down, glow = table[part]
        colour = (bright * tone[0], bright * tone[1], bright * tone[2])
        number = canvas.surface(
            Label.VEHICLE, canvas.air + kelvin, colour, thing, (lean, down / s), at, 0.12, 0.4,
            0.03, glow, depth,
        )  # fmt: skip
        numbers.append(number)
    return numbers


def add_vehicle(
    canvas: Canvas, x: float, z: float, yaw: float, kind: str, running: bool
) -> tuple[float, float]:
    """Draw a vehicle.

    Args:
        canvas: Canvas to draw on.
        x: Centre, metres right of the camera.
        z: Centre, metres ahead of the camera.
        yaw: Heading in radians; 0 drives away from the camera.
        kind: One of ``VEHICLES``.
        running: Whether engine, wheels and exhaust are hot and the lamps lit.

    Returns:
        Ground position (x, z) of the rear in metres, where the exhaust warms the road.
    """
    camera, template = canvas.camera, _template(kind)
    # Rows: what one metre backwards, to the right and up is in the world.
    axes = np.array([(-np.sin(yaw), 0, -np.cos(yaw)), (np.cos(yaw), 0, -np.sin(yaw)), (0, 1, 0)])
    origin = np.array([x, 0.0, z]) - axes[0] * template.length / 2
    rear = origin + axes[0] * template.length
    view = camera.to_camera(origin + template.points @ axes)
    if view[:, 2].min() < 1.0:
        return float(rear[0]), float(rear[2])
    depth = float(camera.to_camera(origin + axes[0] * template.length / 2)[2])
    pixels, s = camera.to_pixels(view), camera.scale(depth)
    eye = axes @ (camera.position - origin)
    facing = np.einsum("kd,kd->k", template.normal, eye - template.anchor) > 0
    shown = (facing | ~template.normal.any(axis=1)) & (template.fine <= s)
    at = camera.project(origin + axes[0] * template.length / 2 + [0, 0.8, 0])[0]
    surfaces = _finishes(canvas, canvas.thing(Label.VEHICLE), running, depth, at)
    starts, parts = template.starts, template.parts
    for k in np.flatnonzero(shown):
        canvas.polygons(pixels[starts[k] : starts[k + 1]], surfaces[parts[k]])
    if running and not canvas.sun:
        for b in (-0.7, 0.7):
            spots = np.array([(0, b * template.half, 0.65), (-7, b * template.half, 0)])
            (lamp, ahead), far = camera.project(origin + spots @ axes)
            if axes[0, 2] > 0:
                canvas.lamps.append((*lamp, 0.5 * camera.scale(float(far[0])), 0.9))
            canvas.lamps.append((*ahead, 2.5 * camera.scale(float(far[1])), 0.5))
    return float(rear[0]), float(rear[2])
