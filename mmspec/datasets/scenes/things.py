"""What stands in a scene, each drawn at (x, z) metres: right of the camera and ahead of it."""

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np

from .canvas import Canvas, Label

_ROUND = np.array([(math.cos(k), math.sin(k)) for k in np.arange(14) * math.pi / 7])
_UP = np.eye(3)[1]


def capsule(start, end, thick: float, thin: float) -> np.ndarray:
    """Outline (16, 2) of a limb from a point (2,) and radius to another."""
    (across, up), length = np.subtract(end, start), math.dist(start, end) + 1e-9
    cap = _ROUND[:8] @ (np.array([(up, -across), (across, up)]) / length)
    return np.concatenate([end + thin * cap, start - thick * cap])


def _colour(rng: np.random.Generator, low: float, high: float, vivid: float = 0.12) -> np.ndarray:
    """A random RGB albedo between two brightnesses; ``vivid`` is the spread of its channels."""
    value = low * (high / low) ** rng.random()
    return np.clip(value * (1 + rng.normal(0, vivid, 3)), 0.01, 0.9)


def add_person(canvas: Canvas, x: float, z: float) -> None:
    """Draw an articulated person, walking or standing."""
    rng, warm, thing = canvas.rng, 31 - canvas.air, canvas.thing(Label.PERSON)
    height, front, flip = rng.normal(0.97, 0.05), rng.choice([0.25, 0.6, 1.0]), rng.choice([-1, 1])
    at, s = canvas.upright(x, z, flip * height), canvas.focal / z  # front: 0 in profile to 1

    def cloth(share: float, colour: np.ndarray) -> list[int]:
        """A material ``share`` of the way from air to skin: its outline, turned away, and core."""
        look, shades = (colour, thing, 0.5, 0.8, 0, z), (-0.06, 0.04)[: 1 + (s > 12)]
        return [canvas.surface(Label.PERSON, warm * (share + k), *look) for k in shades]

    def limb(root, angles, lengths, radii, cloths) -> None:
        """Draw segments one after the other; angles are from straight down."""
        for k, (angle, length) in enumerate(zip(angles, lengths, strict=True)):
            end = (root[0] + length * math.sin(angle), root[1] - length * math.cos(angle))
            for share, surface in zip((1.0, 0.6), cloths[k], strict=False):
                canvas.fill(at(capsule(root, end, share * radii[k], share * radii[k + 1])), surface)
            root = end

    loss, tone = rng.uniform(0.25, 0.65), rng.uniform(0.1, 0.5) * np.array((1, 0.72, 0.58))
    skin, hair = cloth(rng.uniform(0.92, 1.05), tone), cloth(0.7, _colour(rng, 0.02, 0.15))
    top, leg = (cloth(loss + rng.uniform(-0.1, 0.1), _colour(rng, 0.03, 0.6, 0.4)) for _ in "ab")
    stride, bend, swing = rng.uniform(-0.5, 0.5) * (1.2 - front), *rng.uniform(0, 0.4, 2)

    def arm(side: int) -> None:
        a, root = side * (0.8 * stride + 0.1 * front), (side * 0.165 * front, 1.39)
        angles, radii = (a, a + swing, a + swing), (0.05, 0.04, 0.03, 0.026)
        limb(root, angles, (0.28, 0.24, 0.09), radii, (top, top, skin))

    arm(-1)
    for a, hip in ((stride, -0.1 * front), (-stride, 0.1 * front)):
        angles, radii = (a, a - bend * (abs(stride) > 0.1), 1.4), (0.088, 0.06, 0.042, 0.035)
        limb((hip, 0.9), angles, (0.43, 0.42, 0.1), radii, (leg, leg, leg))
    limb((0, 1.32), (0,), (0.4,), (0.12 + 0.06 * front, 0.11 + 0.05 * front), (top,))
    limb((0, 1.45), (3.0, 3.2), (0.16, 0.08), (0.055, 0.085, 0.088), (skin, skin))
    canvas.fill(at((-0.01, 1.69) + _ROUND * 0.088), hair[-1])
    arm(1)


# Lower and upper edge of body and cabin in metres: nose, rear, half width, above the road.
_BODIES = {
    "car": ((0.02, 4.5, 0.84, 0.26), (0.14, 4.42, 0.88, 0.95),
            (1.2, 4.0, 0.84, 0.94), (2.1, 3.2, 0.66, 1.42)),
    "van": ((0.02, 4.8, 0.9, 0.3), (0.12, 4.75, 0.95, 1.15),
            (0.85, 4.7, 0.92, 1.14), (1.6, 4.55, 0.82, 1.85)),
}  # fmt: skip
# Faces of body and cabin in drawing order; then what is on them, in shares across and up.
_FACES = ("nose", "side", "tail", "side", "top"), ("window", "window", "window", "window", "top")
_MARKS = {
    "nose": (("dark", 0.28, 0.45, 0.72, 0.8), ("dark", 0, 0, 1, 0.15),
             ("lamp", 0.04, 0.6, 0.24, 0.9), ("lamp", 0.76, 0.6, 0.96, 0.9)),
    "tail": (("lamp", 0.34, 0.45, 0.66, 0.62), ("dark", 0, 0, 1, 0.15),
             ("red", 0.01, 0.5, 0.18, 0.8), ("red", 0.82, 0.5, 0.99, 0.8)),
    "window": (("glass", 0.07, 0.1, 0.49, 0.88), ("glass", 0.51, 0.1, 0.93, 0.88)),
}  # fmt: skip


@lru_cache
def _panels(kind: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Parts, their corners (N, 3) in metres (behind the nose, right, up), and where each starts.

    They are in drawing order. Seen from outside all wind alike: their turn tells what is in view.
    """
    _, length, half, _ = _BODIES[kind][0]
    axles = [np.array([a * length, b * half, 0.34]) for a in (0.18, 0.8) for b in (-1, 1)]
    rings = [
        np.array([(nose, -wide, up), (nose, wide, up), (rear, wide, up), (rear, -wide, up)])
        for nose, rear, wide, up in _BODIES[kind]
    ]
    out = [("dark", rings[0] * (1, 1, 0))]  # the shade below
    for low, high, names in zip(rings[::2], rings[1::2], _FACES, strict=True):
        faces = [np.concatenate([low[i], high[i[::-1]]]) for i in ([0, 1], [1, 2], [2, 3], [3, 0])]
        for name, face in zip(names, [*faces, high], strict=True):
            for mark, u0, v0, u1, v1 in ((name, 0, 0, 1, 1), *_MARKS.get(name, ())):
                u, v = np.array([[u0, u1, u1, u0], [v0, v0, v1, v1]])[..., None]
                left, right = face[0] + (face[3] - face[0]) * v, face[1] + (face[2] - face[1]) * v
                out.append((mark, left + (right - left) * u))
        for axle in axles if low is rings[0] else ():
            rim = np.insert(_ROUND[:: int(np.sign(axle[1]))], 1, 0.0, axis=1)
            out += [("tyre", axle + 0.35 * rim), ("hub", axle + 0.2 * rim)]
    parts, corners = zip(*out, strict=True)
    return parts, np.concatenate(corners), np.cumsum([0, *map(len, corners)])


def add_vehicle(canvas: Canvas, x: float, z: float, yaw: float, running: bool) -> None:
    """Draw a vehicle that heads ``yaw`` radians, 0 away from the camera.

    A ``running`` one has a hot engine and hot wheels, and its lamps are lit at night.
    """
    rng, sun, thing = canvas.rng, canvas.sun, canvas.thing(Label.VEHICLE)
    shell = rng.normal(-1.0, 1.6) + sun * rng.uniform(-2, 8) + 1.5 * running
    heat, wheels = rng.uniform((5, 3), (20, 12)) if running else (rng.exponential(1.0), 3 * sun)
    # Paint is a fair mirror at 10 um: what faces up shows cold sky, what faces out warm ground.
    mirror, cold = rng.uniform((1.5, 1.0), (5.0, 6.0))
    lit, spread, kind = running and not sun, rng.normal(0, 1.5, 4), rng.choice(list(_BODIES))
    paint, grey, black = _colour(rng, 0.03, 0.8, rng.choice([0.05, 0.4])), (0.6,) * 3, (0.03,) * 3
    # Kelvin above air, colour, light of its own.
    table = {
        "nose": (shell + 0.8 * heat, 0.75 * paint, 0),
        "top": (shell - 0.7 * mirror + 0.25 * heat, paint, 0),
        "tail": (shell + 0.4, 0.75 * paint, 0),
        "side": (shell, 0.8 * paint, 0),
        "window": (shell - 0.3 * mirror, 0.6 * paint, 0),
        "glass": (shell - cold - 0.3 * mirror, black, 0),
        "dark": (spread[0] + 0.5 + 0.4 * heat, black, 0),
        "tyre": (spread[1] + wheels, black, 0),
        "hub": (spread[2] - 1.5 + 0.8 * wheels, grey, 0),
        "red": (shell + spread[3] + lit, (0.5, 0.03, 0.02), 1.5 * lit),
        "lamp": (shell + (rng.uniform(2, 10) if lit else -1.5), grey, 9 * lit),
    }
    for part, (kelvin, colour, glow) in table.items():
        table[part] = canvas.surface(Label.VEHICLE, kelvin, colour, thing, 0.12, 0.8, glow, z)
    # Rows: what one metre backwards, to the right and up is in the world.
    cos, sin, (parts, corners, starts) = math.cos(yaw), math.sin(yaw), _panels(kind)
    axes = np.array([(-sin, 0, -cos), (cos, 0, -sin), _UP])
    nose = np.array([x, 0, z]) - axes[0] * _BODIES[kind][0][1] / 2
    pixels, first = canvas.project(nose + corners @ axes), starts[:-1]
    a, b = pixels[first + 1] - pixels[first], pixels[first + 2] - pixels[first + 1]
    for k in np.flatnonzero(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 0.1):  # in view, not too small
        canvas.fill(pixels[starts[k] : starts[k + 1]], table[parts[k]])


def add_building(canvas: Canvas, x: float, z: float, yaw: float, extent) -> None:
    """Draw a building of ``extent`` (width, height, depth) metres, turned by ``yaw`` radians."""
    rng, (width, height, deep) = canvas.rng, extent
    axes = np.array([(math.cos(yaw), 0, -math.sin(yaw)), (math.sin(yaw), 0, math.cos(yaw))]) / 2
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * (width, deep) @ axes
    centre, scale = np.array([x, 0, z]), canvas.focal / max(z, 4.0)
    eye, lamp = _UP * canvas.height, 0.0 if canvas.sun else 0.7
    wall, tone, storey = rng.uniform(-1.5, 2.5), _colour(rng, 0.12, 0.6), rng.uniform(2.8, 3.8)
    floors, half = np.arange(max(1, height // storey)) * storey, rng.choice([0.26, 0.4, 0.47])
    leak, head, bay = rng.choice([0.05, 0.2, 0.5]), rng.uniform(1.4, 1.9), rng.uniform(1.8, 4.5)
    # Glass shows the cold sky, the warmer street, or the heat of a badly insulated room.
    panes = (-rng.uniform(1, 3.5), -rng.uniform(0.3, 1.5), rng.exponential(2.5))
    ledge = np.append(floors + rng.choice([0, 0.9]) * storey, height - 0.3)

    def material(kelvin: float, light: float, glow: float = 0.0) -> int:
        colour = (0.9, 0.7, 0.4) if glow else light * tone
        return canvas.surface(Label.BUILDING, wall + kelvin, colour, 0, 0.12, 0.8, glow, z)

    def fill(s0, s1, t0, t1, surface: int) -> None:
        """Rectangles from shares along the wall and metres up; arguments broadcast."""
        shares = np.array(np.broadcast_arrays(s0, s1, s1, s0, t0, t0, t1, t1))
        s, t = shares.reshape(2, 4, -1).swapaxes(1, 2)[..., None]
        canvas.fill(canvas.project(start + np.clip(s, *limits) * edge + t * _UP), surface)

    for start, end in pairwise(centre + corners):
        edge, span = end - start, math.dist(start, end)
        if ((start + end) / 2 - centre) @ (eye - start) <= 0 or max(start[2], end[2]) < 1:
            continue
        # Only what lies beyond the lens can be drawn.
        cut = np.clip((canvas.near - start[2]) / (edge[2] or 1e-9), 0, 1)
        limits = (cut, 1) if edge[2] > 0 else (0, cut)
        sunlit = max(0, rng.uniform(-6, 6)) * canvas.sun
        trim = material(sunlit + rng.normal(0.7, 0.9), 0.9)
        fill(0, 1, 0, height, material(sunlit, 0.6 + 0.08 * sunlit))
        fill(0, 1, ledge, ledge + 0.3, trim)
        bays = max(1, int(min(span / bay, span * scale / 4)))
        column, level = (w.ravel() for w in np.meshgrid((np.arange(bays) + 0.5) / bays, floors))
        kind, wide = np.digitize(rng.random(len(column)), [0.6 - 0.5 * leak, 1 - leak]), half / bays
        level, frame = level + 0.3 * storey, 0.12 * (storey * scale > 14)
        fill(column - wide, column + wide, level - frame, level + head + frame, trim)
        for k, kelvin in enumerate(panes):
            c, low = column[kind == k], level[kind == k]
            glass = material(kelvin, 0.15 / tone.max(), lamp * (k == 2))
            fill(c - 0.9 * wide, c + 0.9 * wide, low, low + head, glass)


def _leaves(canvas: Canvas, centres, radii, kelvin: float, clump: float, depth: float) -> None:
    """Fill ellipses with leaves, which are where the depth inside plus noise is positive.

    Centres and radii (K, 2) and the size of a leaf clump are in pixels.
    """
    rng, limit = canvas.rng, canvas.size[::-1]
    x0, y0 = np.clip((centres - 1.3 * radii).min(axis=0), 0, limit).astype(int)
    x1, y1 = np.clip((centres + 1.3 * radii).max(axis=0) + 1, 0, limit).astype(int)
    colour = np.array([0.06, 0.1, 0.03]) * rng.uniform(0.5, 1.8) * (1 + rng.normal(0, 0.15, 3))
    inside, contrast = np.full((y1 - y0, x1 - x0), -3, np.float32), rng.uniform(0.6, 1.6)
    if not inside.size:
        return
    x, y = (np.arange(a, b, dtype=np.float32) + np.float32(0.5) for a, b in ((x0, x1), (y0, y1)))
    for (across, down), (wide, tall) in zip(centres.tolist(), radii.tolist(), strict=True):
        left, right = np.searchsorted(x, (across - 2 * wide, across + 2 * wide))
        top, low = np.searchsorted(y, (down - 2 * tall, down + 2 * tall))
        part, sinks = inside[top:low, left:right], 1.15 - ((x[left:right] - across) / wide) ** 2
        np.maximum(part, sinks - (((y[top:low] - down) / tall) ** 2)[:, None], out=part)
    # Nearest is three times as fast, and the same once the field is not magnified.
    step = min(max(4 / clump, 0.15), 4.0)
    noise = canvas.window(inside.shape, "fine", step, 1.0, rng.uniform(0, 6), step < 0.8)
    # The slope of the depth is the height on the clump in front. Leaves that face the sky lose
    # heat to it at night and take the sun by day.
    gaps, relief = rng.uniform(0.25, 0.6), 1.2 * noise[::-1, ::-1] + 0.6 * noise + 2
    relief[1:] += np.diff(inside, axis=0) * (radii[:, 1].mean() * (0.7 if canvas.sun else -0.3))
    levels = np.clip(relief, 0, 4).round().astype(np.uint16)
    for shade in np.linspace(1, -1, 5):
        look = (kelvin + contrast * shade, (0.85 + 0.5 * shade) * colour, 0, 0.3, 0.3, 0, depth)
        last = canvas.surface(Label.VEGETATION, *look)
    canvas.stamp(x0, y0, np.uint16(last) - levels, inside + gaps * noise > 0.25)


def add_ridge(canvas: Canvas, row: float, relief: float, kelvin: float) -> None:
    """Draw a line of far trees, ``relief`` pixels high, on a row."""
    rng, columns = canvas.rng, canvas.size[1]
    count = int(np.clip(columns / max(relief, 2), 4, 40))
    centres = np.stack([rng.uniform(0, columns, 3 * count), np.full(3 * count, row)], 1)
    radii = rng.uniform((0.5, 0.3), (1.2, 1.0), (3 * count, 2)) * (columns / count, relief) + 0.5
    _leaves(canvas, centres, radii, kelvin, max(1.5, 0.4 * relief), 0.0)


def add_tree(canvas: Canvas, x: float, z: float, height: float) -> None:
    """Draw a tree, bare or in leaf, or a conifer, ``height`` metres tall."""
    rng, sun, at, s = canvas.rng, canvas.sun, canvas.upright(x, z, height), canvas.focal / z
    kind = rng.choice(["broad", "bare", "conifer"])
    lean, thick = rng.normal(0, 0.03), rng.uniform(0.012, 0.022)
    brown, warm = _colour(rng, 0.05, 0.2), rng.uniform(-0.3, 1.8) + 1.5 * sun
    bark = canvas.surface(Label.VEGETATION, warm, brown, 0, 0.3, 0.6, 0, z)
    trunk = 0.9 if kind == "conifer" else rng.uniform(0.22, 0.38)
    canvas.fill(at(capsule((0, thick), (lean, trunk), 1.1 * thick, 0.9 * thick)), bark)
    centres, radii = rng.normal((0, 0.6), (0.2, 0.12), (7, 2)), rng.uniform(0.12, 0.23, (7, 1))
    if kind == "conifer":
        drop = np.linspace(0.05, 0.95, 9)[:, None]
        centres = np.concatenate([drop * 0 + lean, 1.02 - 0.95 * drop], axis=1)
        radii = np.concatenate([0.02 + 0.17 * drop, drop * 0 + 0.085], axis=1)
    else:
        start, angle = np.tile((lean, 0.95 * trunk), (3, 1)), rng.uniform(-0.8, 0.8, 3)
        for k in range(3 if kind == "broad" else 4 + (s > 25)):
            reach = 0.28 * 0.62**k * rng.uniform(0.7, 1.3, (len(start), 1))
            step = reach * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
            lines = np.stack([start, start + step], axis=1)
            canvas.stroke(at(lines), bark, 1.4 * thick * height * s * 0.5**k)
            start = (start + step * rng.uniform(0.45, 1.0, (3, len(start), 1))).reshape(-1, 2)
            turn = rng.uniform(0.25, 0.85, (3, len(angle))) * np.array([[-1], [1], [-1]])
            angle = (angle * 0.9 + turn).ravel()
    if kind != "bare":
        leaf, radii = rng.uniform(-1.5, 1.0) + sun * rng.uniform(-0.5, 2.5), radii * (height * s)
        _leaves(canvas, at(centres), radii * [1, 1], leaf, max(0.3 * s, 1.2), z)


def add_lamp(canvas: Canvas, x: float, z: float, height: float) -> None:
    """Draw a street lamp with an arm over the road."""
    rng, at, s = canvas.rng, canvas.upright(x, z, math.copysign(height, -x)), canvas.focal / z
    warm, lit, steel = rng.uniform(1, 25), not canvas.sun, _colour(rng, 0.1, 0.5)
    mast = canvas.surface(Label.POLE, rng.normal(0, 1.2), steel, rough=0.2, depth=z)
    head = canvas.surface(Label.POLE, warm * lit, (0.9, 0.8, 0.6), glow=8.0 * lit, depth=z)
    canvas.fill(at(capsule((0, 0), (0, 1), 0.012, 0.009)), mast)
    canvas.stroke(at([(0, 0.97), (0.1, 1.02), (0.25, 1.03)]), mast, 0.07 * s)
    canvas.stroke(at([(0.2, 1.03), (0.32, 1.035)]), head, 0.12 * s)
