"""Countable objects that stand on a spot: people, cycles, animals and cold objects."""

import math

import numpy as np

from .canvas import Canvas, Colour, Label

SKIN = 31.0
CIRCLE = np.stack([np.cos(np.arange(14) * np.pi / 7), np.sin(np.arange(14) * np.pi / 7)], axis=-1)
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 6)


def capsules(ends: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Outlines (K, 12, 2) of tapered limbs with end points (K, 2, 2) and radii (K, 2)."""
    step = ends[:, 1] - ends[:, 0]
    angle = np.arctan2(step[:, 1], step[:, 0])[:, None] + _ARC
    cap = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.concatenate(
        [ends[:, 1:] + radii[:, 1, None, None] * cap, ends[:, :1] - radii[:, 0, None, None] * cap],
        axis=1,
    )


def any_colour(
    rng: np.random.Generator, low: float = 0.03, high: float = 0.6, vivid: float = 0.12
) -> Colour:
    """A random RGB albedo between two brightnesses; ``vivid`` is the spread of its channels."""
    value = math.exp(rng.uniform(math.log(low), math.log(high)))
    return tuple(min(max(value * (1 + shift), 0.01), 0.9) for shift in rng.normal(0, vivid, 3))


class Billboard:
    """Upright plane at a ground position: metres right and up of it, to pixels."""

    def __init__(self, canvas: Canvas, x: float, z: float, mirror: bool = False) -> None:
        corners = np.array([[x, 0, z], [x, 1, z], [x + 1, 0, z]], float)
        pixels, depth = canvas.camera.project(corners)
        self.origin, self.depth = pixels[0], float(depth[0])
        self.scale = canvas.camera.scale(self.depth)
        right = (pixels[2] - pixels[0]) * (-1 if mirror else 1)
        up = pixels[1] - pixels[0]
        # Seen from above a standing body still has depth: never let it vanish.
        up = up * max(1.0, 0.35 * self.scale / max(float(np.hypot(*up)), 1e-6))
        self._axes = np.stack([right, up])

    def pixels(self, points) -> np.ndarray:
        """(..., 2) metres right and up to (..., 2) pixels."""
        return self.origin + np.asarray(points, float) @ self._axes


def add_person(
    canvas: Canvas, x: float, z: float, seated: bool = False, front: float | None = None
) -> None:
    """Draw an articulated person.

    Args:
        canvas: Canvas to draw on.
        x: Metres right of the camera.
        z: Metres ahead of the camera.
        seated: On a cycle.
        front: 0 in profile to 1 frontal; random by default.
    """
    rng, board = canvas.rng, Billboard(canvas, x, z, bool(canvas.rng.random() < 0.5))
    if board.depth <= 1.0:
        return
    front = float(rng.choice([0.25, 0.6, 1.0])) if front is None else front
    height = rng.normal(1.7, 0.09) / 1.75 * (0.65 if rng.random() < 0.06 else 1.0)
    thing, s, air = canvas.thing(Label.PERSON), board.scale, canvas.air
    waist_at = board.pixels((0, 1.0))

    def cloth(share: float, colour: Colour, fold: float = 0.6) -> int:
        """A material ``share`` of the way from air to skin; the number after it is its core."""
        tilt = (rng.normal(0, 1.2) / s, rng.normal(0.3, 1.0) / s)
        edge, _ = (
            canvas.surface(
                Label.PERSON, air + (SKIN - air) * (share + extra), colour, thing, tilt, waist_at,
                fold, fold, 0.15, 0, board.depth,
            )
            for extra in (-0.06, 0.03)
        )  # fmt: skip
        return edge

    tone, insulation = rng.choice([0.5, 0.35, 0.2, 0.1]), rng.uniform(0.35, 0.75)
    skin = cloth(rng.uniform(0.92, 1.05), (tone, 0.72 * tone, 0.58 * tone), 0.25)
    hair = cloth(rng.uniform(0.55, 0.85), any_colour(rng, 0.02, 0.15), 0.4)
    upper, lower = any_colour(rng, vivid=0.4), any_colour(rng, vivid=0.2)
    top = cloth(1 - insulation, upper)
    bare_arms, bare_legs = rng.random(2) < [0.5, 0.4]
    sleeve = cloth(1 - insulation - rng.uniform(-0.05, 0.12), upper)
    leg = cloth(1 - insulation + rng.uniform(-0.2, 0.12), lower)
    sleeve = skin if air > 18 and bare_arms else sleeve
    shin = skin if air > 20 and bare_legs else leg
    shoe = cloth(rng.uniform(0.05, 0.35), any_colour(rng, 0.02, 0.4))

    stride = rng.uniform(-0.5, 0.5) * (1.2 - front)
    walk = (stride, -stride * rng.uniform(0.6, 1.1))
    bend = rng.uniform(0, 0.5, 2) * (abs(stride) > 0.1)
    if seated:
        walk, bend = (1.25, 0.75), (1.5, 0.9)
    limbs: list[tuple] = []

    def joint(root, angle: float, length: float) -> tuple[float, float]:
        return root[0] + length * np.sin(angle), root[1] - length * np.cos(angle)

    def add_leg(side: int) -> None:
        root = ((side * 2 - 1) * (0.06 + 0.05 * front) * front, 0.9)
        knee = joint(root, walk[side], 0.43)
        ankle = joint(knee, walk[side] - bend[side], 0.42)
        heel = (ankle[0] - 0.02, ankle[1] - 0.04)
        toe = (ankle[0] + 0.14 * (1.15 - front), ankle[1] - 0.045)
        limbs.append((root, knee, 0.088, 0.06, leg))
        limbs.append((knee, ankle, 0.058, 0.04, shin))
        limbs.append((heel, toe, 0.042, 0.035, shoe))

    def add_arm(side: int) -> None:
        swing = 0.9 if seated else -0.8 * walk[side] + rng.normal(0, 0.12)
        root = (lean + (side * 2 - 1) * 0.165 * front, 1.39)
        elbow = joint(root, swing + (side * 2 - 1) * 0.1 * front, 0.28)
        wrist = joint(elbow, swing + rng.uniform(0.05, 0.6), 0.24)
        hand = (wrist[0] * 1.35 - elbow[0] * 0.35, wrist[1] * 1.35 - elbow[1] * 0.35)
        limbs.append((root, elbow, 0.052, 0.042, sleeve))
        limbs.append((elbow, wrist, 0.04, 0.03, sleeve))
        limbs.append((wrist, hand, 0.034, 0.026, skin))

    lean = 0.22 if seated else rng.normal(0, 0.02)
    head = (lean + 0.01 + 0.02 * (1 - front), 1.63)
    add_arm(0)
    add_leg(0)
    add_leg(1)
    behind = len(limbs)
    limbs.append(((lean + 0.01, 1.46), head, 0.055, 0.055, skin))
    add_arm(1)
    ends = np.array([(a, b) for a, b, *_ in limbs]) * height
    radii = np.array([(ra, rb) for *_, ra, rb, _ in limbs]) * height
    shapes, surfaces = capsules(ends, radii), [limb[-1] for limb in limbs]
    if s > 12:
        # A round body turns away at its outline, where it looks cooler.
        shapes = np.stack([shapes, capsules(ends, 0.6 * radii)], axis=1).reshape(-1, 12, 2)
        surfaces = [number for edge in surfaces for number in (edge, edge + 1)]
        behind *= 2
    outlines = board.pixels(shapes)
    canvas.polygons(outlines[:behind], surfaces[:behind])
    wide, waist, flare = 0.12 + 0.075 * front, 0.1 + 0.05 * front, 0.0
    hem = 0.84
    if rng.random() < 0.2 and not seated:
        hem, flare = 0.55, 0.06
    trunk = [
        (lean - wide * 0.75, 1.47), (lean - wide, 1.38), (lean / 2 - waist, 1.1),
        (-waist - 0.02 - flare, hem), (waist + 0.02 + flare, hem), (lean / 2 + waist, 1.1),
        (lean + wide, 1.38), (lean + wide * 0.75, 1.47),
    ]  # fmt: skip
    trunk = np.array(trunk) * height
    inner = trunk.mean(axis=0) + (trunk - trunk.mean(axis=0)) * [0.65, 0.9]
    canvas.polygons(board.pixels(np.stack([trunk, inner])), [top, top + 1])
    neck = len(shapes) // len(limbs)
    canvas.polygons(outlines[behind : behind + neck], surfaces[behind : behind + neck])
    canvas.polygons(board.pixels((head + CIRCLE * [0.085, 0.115]) * height), skin + 1)
    if rng.random() < 0.8:
        cap = np.array([head[0] - 0.02 * (1 - front), head[1] + 0.045])
        canvas.polygons(board.pixels((cap + CIRCLE * [0.088, 0.08]) * height), hair)
    canvas.polygons(outlines[behind + neck :], surfaces[behind + neck :])
    if rng.random() < 0.25 and not seated:
        bag = cloth(rng.uniform(-0.1, 0.2), any_colour(rng))
        side = -0.16 if front < 0.5 else rng.choice([-0.2, 0.2])
        place = np.array([side, rng.uniform(0.95, 1.2)])
        canvas.polygons(board.pixels((place + CIRCLE * [0.12, 0.2]) * height), bag)


def add_cycle(canvas: Canvas, x: float, z: float, rider: bool) -> None:
    """Draw a bicycle or a moped, in profile or end-on, with or without a rider."""
    rng, board = canvas.rng, Billboard(canvas, x, z, bool(canvas.rng.random() < 0.5))
    if board.depth <= 1.5:
        return
    thing, s = canvas.thing(Label.CYCLE), board.scale

    def part(kelvin: float, colour: Colour) -> int:
        return canvas.surface(
            Label.CYCLE, canvas.air + kelvin, colour, thing, rough=0.6, depth=board.depth
        )

    frame = part(rng.normal(-1, 2) + 2 * canvas.sun, any_colour(rng))
    tyre = part(rng.normal(0, 1.5) + 3 * rider, (0.03, 0.03, 0.03))
    squeeze = 1.0 if rng.random() < 0.6 else rng.uniform(0.12, 0.5)
    bars = np.array([squeeze, 1.0])
    thick = max(0.04 * s, 0.5)
    rim = np.vstack([CIRCLE, CIRCLE[:1]]) * [0.33 * squeeze + 0.02, 0.33]
    wheels = np.array([[-0.52, 0.33], [0.52, 0.33]]) * bars
    canvas.strokes(board.pixels(wheels[:, None] + rim), tyre, thick)
    lines = [
        [(-0.52, 0.33), (-0.2, 0.8), (0.38, 0.85), (0.52, 0.33)],
        [(-0.52, 0.33), (-0.02, 0.3), (-0.11, 0.6), (-0.2, 0.9)],
        [(-0.02, 0.3), (0.38, 0.8), (0.34, 1.05), (0.5, 1.0)],
        [(-0.3, 0.92), (-0.2, 0.93), (-0.15, 0.92), (-0.1, 0.92)],
    ]
    canvas.strokes(board.pixels(np.array(lines) * bars), frame, thick)
    if rng.random() < 0.4:
        engine = part(rng.uniform(4, 18), any_colour(rng))
        body = [(-0.6, 0.45), (-0.5, 0.8), (0.0, 0.78), (0.1, 0.4), (0.42, 0.9), (0.5, 0.5),
                (0.1, 0.25), (-0.4, 0.28)]  # fmt: skip
        canvas.polygons(board.pixels(np.array(body) * bars), frame)
        block = np.array([-0.15, 0.4]) + CIRCLE * [0.15 * squeeze, 0.12]
        canvas.polygons(board.pixels(block), engine)
    if rider:
        add_person(canvas, x, z - 0.05, seated=True, front=0.2 if squeeze > 0.6 else 1.0)


def add_animal(canvas: Canvas, x: float, z: float, height: float) -> None:
    """Draw a standing four-legged animal in profile, ``height`` metres at the shoulder."""
    rng, board = canvas.rng, Billboard(canvas, x, z, bool(canvas.rng.random() < 0.5))
    if board.depth <= 1.5:
        return
    thing, coat, tone = canvas.thing(Label.ANIMAL), rng.uniform(0.3, 0.6), any_colour(rng)
    at = board.pixels((0, 0.6 * height))

    def part(share: float) -> int:
        value = canvas.air + share * (SKIN + 1 - canvas.air)
        return canvas.surface(
            Label.ANIMAL, value, tone, thing, (0, 1.5 / board.scale), at, 0.7, 0.7, 0.2, 0,
            board.depth,
        )  # fmt: skip

    body, leg, face = part(coat), part(coat - 0.12), part(coat + 0.3)
    limbs, radii, surfaces = [], [], []
    for a in (-0.5, -0.4, 0.4, 0.52):
        knee = (a + rng.normal(0, 0.05), 0.3)
        limbs += [((a, 0.6), knee), (knee, (a, 0.03))]
        radii += [(0.1, 0.05), (0.05, 0.04)]
        surfaces += [leg, leg]
    muzzle = rng.uniform(0.6, 1.15)
    limbs += [((-0.5, 0.74), (0.5, 0.76)), ((0.52, 0.82), (0.85, muzzle)),
              ((0.85, muzzle), (1.03, muzzle - 0.12)), ((-0.7, 0.85), (-0.85, 0.45))]  # fmt: skip
    radii += [(0.24, 0.22), (0.16, 0.1), (0.11, 0.06), (0.04, 0.02)]
    surfaces += [body, body, face, leg]
    shapes = capsules(np.array(limbs), np.array(radii)) * height
    canvas.polygons(board.pixels(shapes), surfaces)


def add_cold_object(canvas: Canvas, x: float, z: float) -> None:
    """Draw a bin, a crate, a gas bottle or a cone colder than the air."""
    rng, board = canvas.rng, Billboard(canvas, x, z)
    if board.depth <= 1.5:
        return
    thing, s = canvas.thing(Label.COLD_OBJECT), board.scale
    chill, colour = rng.uniform(1.5, 4.5), np.array(any_colour(rng, 0.05, 0.7, 0.4))
    wide, high = rng.uniform(0.15, 0.4), rng.uniform(0.5, 1.1)
    at = board.pixels((0, high / 2))

    def part(extra: float, light: float) -> int:
        tilt = (rng.normal(0, 2.5) / s, 2.5 / s)
        return canvas.surface(
            Label.COLD_OBJECT, canvas.air - chill + extra, tuple(light * colour), thing, tilt, at,
            0.4, 0.8, 0.08, 0, board.depth,
        )  # fmt: skip

    body, band, lid = part(0, 0.8), part(rng.normal(1.5, 1), 0.5), part(-1.0, 1.1)
    taper = rng.choice([0.25, 0.85, 1.0, 1.1])
    top, lower = wide * taper, 0.06 * wide
    shape = [(-wide, lower), (-top, high), (top, high), (wide, lower), (0.5 * wide, -lower),
             (-0.5 * wide, -lower)]  # fmt: skip
    canvas.polygons(board.pixels(shape), body)
    level = rng.uniform(0.3, 0.8)
    half = wide + (top - wide) * level
    stripe = np.array([(-half, level), (-half, level + 0.12), (half, level + 0.12), (half, level)])
    canvas.polygons(board.pixels(stripe * [0.98, high]), band)
    canvas.polygons(board.pixels([0, high] + CIRCLE * [top, 0.22 * top]), lid)
