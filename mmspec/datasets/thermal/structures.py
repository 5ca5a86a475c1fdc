"""Things that people build: houses, poles, wires, fences and boxes."""

import numpy as np

from .canvas import Camera, Canvas, Colour, Label
from .things import Billboard, any_colour

_UP = np.array([0.0, 1.0, 0.0])
_CORNERS = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)


class _House:
    """Measures and materials that the walls of one building share."""

    def __init__(self, canvas: Canvas, centre: np.ndarray, height: float) -> None:
        rng, camera = canvas.rng, canvas.camera
        self.canvas, self.height = canvas, height
        self.depth = max(float(camera.to_camera(centre)[2]), 4.0)
        self.scale = camera.scale(self.depth)
        self.middle = camera.project(centre + _UP * height / 2)[0]
        self.wall = canvas.air + rng.uniform(-1.5, 2.5)
        self.tone = np.array(any_colour(rng, 0.12, 0.6))
        self.storey = rng.uniform(2.8, 3.8)
        self.floors = max(1, int(height // self.storey))
        self.bay = rng.uniform(1.8, 4.5)
        self.style = rng.choice(["punched", "ribbon", "frame"])
        self.leak = rng.choice([0.05, 0.2, 0.5])
        self.open = rng.uniform(0.2, 0.32)
        self.head = rng.uniform(0.75, 0.88)
        # Glass shows the cold sky, the warmer street, or the heat of a badly insulated room.
        cold = rng.uniform(0.5, 3.5)
        self.panes = (-cold, -cold * rng.uniform(0.3, 0.8), rng.exponential(2.5) + 0.3)
        # Ground floor lit from below by warm ground, eaves open to the sky.
        self.down = rng.uniform(-0.05, 0.2)

    def surface(self, kelvin: float, light: float, glass: bool = False, lamp: float = 0.0) -> int:
        colour = light * self.tone if not glass else np.array([0.1, 0.12, 0.15])
        colour = np.array([0.9, 0.7, 0.4]) if lamp else colour
        tilt = (self.canvas.rng.normal(0, 0.03) / self.scale, self.down / self.scale)
        return self.canvas.surface(
            Label.BUILDING, self.wall + kelvin, tuple(colour), 0, tilt, self.middle,
            0.14 if glass else 0.1, 0.7 if glass else 0.35, 0.05, lamp, self.depth,
        )  # fmt: skip


def _add_wall(house: _House, start: np.ndarray, edge: np.ndarray, sunlit: float) -> None:
    """Windows, ledges, piers, doors and streaks on a wall from ``start`` along ``edge``."""
    canvas, rng, height = house.canvas, house.canvas.rng, house.height
    span = float(np.hypot(edge[0], edge[2]))
    shapes: list[np.ndarray] = []
    surfaces: list[int] = []

    def fill(s0, s1, t0, t1, surface: int) -> None:
        """Rectangles from shares along the wall and heights in metres; arguments broadcast."""
        shape = np.empty((max(np.size(s0), np.size(t0)), 4))
        shape[:, 0], shape[:, 1], shape[:, 2], shape[:, 3] = s0, s1, t0, t1
        shapes.append(shape)
        surfaces.extend([surface] * len(shape))

    def material(kelvin: float, light: float) -> int:
        return house.surface(sunlit + kelvin, light)

    lit = 0.6 + 0.08 * sunlit
    fill(0.0, 1.0, 0.0, height, material(0, lit))
    scale, storey, style = house.scale, house.storey, house.style
    if scale > 3:
        at = rng.uniform(0, 0.95, rng.integers(1, 6))
        panel = material(rng.normal(0, 0.5), lit * 0.97)
        fill(at, at + rng.uniform(0.005, 0.12), 0.0, height, panel)
        fill(0.0, 1.0, 0.0, rng.uniform(0.4, 1.0), material(rng.normal(0.6, 0.8), 0.5))
    bays = max(1, int(min(span / house.bay, span * scale / 3.0)))
    floors = np.arange(house.floors) * storey
    column, level = (v.ravel() for v in np.meshgrid((np.arange(bays) + 0.5) / bays, floors))
    half = {"punched": house.open, "ribbon": 0.47, "frame": 0.4}[style] / bays
    if storey * scale > 6:
        band = floors + rng.choice([0.02, 0.93]) * storey
        fill(0.0, 1.0, band, band + 0.07 * storey, material(rng.normal(0.5, 0.7), 0.75))
    if style == "frame":
        pier = np.arange(bays + 1) / bays
        post = material(rng.normal(0.4, 0.9), 0.7)
        fill(pier - 0.05 / bays, pier + 0.05 / bays, 0.0, height, post)
    kind = np.digitize(rng.random(len(column)), [0.6 - 0.5 * house.leak, 1.0 - house.leak])
    trim, big = material(rng.normal(0.8, 0.8), 0.9), storey * scale > 14
    for k, kelvin in enumerate(house.panes):
        c, low = column[kind == k], level[kind == k] + 0.3 * storey
        if not len(c):
            continue
        top = low + (house.head - 0.3) * storey
        lamp = 0.7 if k == 2 and not canvas.sun else 0.0
        if big:
            fill(c - half * 1.12, c + half * 1.12, low - 0.12, top + 0.12, trim)
        fill(c - half, c + half, low, top, house.surface(kelvin, 1.0, True, lamp))
        if big:
            fill(c - half * 0.05, c + half * 0.05, low, top, trim)
    extra = rng.random(4)
    if extra[0] < 0.4 and house.floors > 1 and big:
        unit = rng.random(len(column)) < 0.15
        if unit.any():
            box, low = column[unit] + half * 0.4, level[unit] + 0.05 * storey
            fill(box, box + 0.9 / span, low, low + 0.6, material(rng.choice([-1.5, 5.0]), 1.2))
    if extra[1] < 0.3 and house.floors > 1:
        balcony = (level > 0) & (column < rng.choice([0.3, 0.6, 1.0]))
        left, right = column[balcony] - half * 1.3, column[balcony] + half * 1.3
        slab = level[balcony]
        fill(left, right, slab + 0.05, slab + 1.0, material(rng.normal(-0.5, 1), 1))
        fill(left, right, slab - 0.1, slab + 0.05, material(-1.2, 0.35))
    if extra[2] < 0.6:
        door = rng.uniform(0.05, 0.9, rng.integers(1, 4))
        fill(door, door + 1.3 / span, 0.0, 2.2, material(rng.normal(1.0, 1.5), 0.4))
    if extra[3] < 0.35 and house.floors > 1:
        shop = house.surface(rng.normal(0.5, 1.5), 1.0, True, 0.0 if canvas.sun else 0.7)
        fill(0.04, 0.96, 0.4, 2.6, shop)
        fill(0.02, 0.98, 2.6, 3.2, material(rng.normal(1.0, 1.5), 1.1))
        post = np.linspace(0.04, 0.96, max(2, int(span / 3)))
        fill(post, post + 0.25 / span, 0.0, 2.6, trim)
    fill(0.0, 1.0, height - 0.35, height, material(rng.normal(0.6, 1.0), 0.9))
    rows = np.concatenate(shapes)
    along, up = rows[:, [0, 1, 1, 0], None], rows[:, [2, 2, 3, 3], None]
    canvas.polygons3(start + along * edge + up * _UP, surfaces)


def _reach(camera: Camera, ring: np.ndarray, height: float) -> tuple[np.ndarray, float]:
    """Leftmost and rightmost pixel of a prism on corners (N, 3), and its largest depth (metres)."""
    view = camera.to_camera(np.concatenate([ring, ring + height * _UP]))
    if view[:, 2].min() < camera.near:
        # It passes the lens: any part of it may be in sight.
        return np.array([-np.inf, np.inf]), float(view[:, 2].max())
    x = camera.to_pixels(view)[:, 0]
    return np.array([x.min(), x.max()]), float(view[:, 2].max())


def add_building(
    canvas: Canvas,
    place: tuple[float, float],
    yaw: float,
    extent: tuple[float, float, float],
    gable: bool,
) -> None:
    """Draw a building.

    Args:
        canvas: Canvas to draw on.
        place: Centre (x, z) in metres.
        yaw: Turn in radians.
        extent: Width, height of the eaves and depth in metres.
        gable: Gable roof instead of a flat one.
    """
    rng, camera = canvas.rng, canvas.camera
    width, height, deep = extent
    u = np.array([np.cos(yaw), 0.0, -np.sin(yaw)]) * width / 2
    v = np.array([np.sin(yaw), 0.0, np.cos(yaw)]) * deep / 2
    centre, eye = np.array([place[0], 0.0, place[1]]), camera.position
    ring = centre + _CORNERS @ np.stack([u, v])
    (left, right), deepest = _reach(camera, ring, height)
    if deepest < camera.near or right < 0 or left > canvas.size[1]:
        return
    house = _House(canvas, centre, height)
    rise = rng.uniform(0.25, 0.4) * deep
    for i in range(4):
        a, b = ring[i], ring[(i + 1) % 4]
        if ((a + b) / 2 - centre) @ (eye - a) <= 0:
            continue
        sunlit = rng.uniform(0, 6) * canvas.sun * (rng.random() < 0.5)
        if gable and i % 2:
            peak = (a + b) / 2 + _UP * (height + rise)
            face = house.surface(sunlit, 0.6)
            canvas.polygons3(np.array([a + _UP * height, b + _UP * height, peak]), face)
        _add_wall(house, a, b - a, sunlit)
    # Roofs face the sky: colder than walls at night, hotter by day.
    roof = -rng.uniform(1, 6) * (1 - 1.8 * canvas.sun)
    if gable:
        ends = [centre + sign * u * 1.03 + _UP * (height + rise) for sign in (-1, 1)]
        for i, order in ((0, 1), (2, -1)):
            low = [ring[i] + _UP * height, ring[i + 1] + _UP * height]
            quad = np.array([*low, *ends[::-order]])
            normal = np.cross(quad[1] - quad[0], quad[2] - quad[1])
            if (normal if normal[1] > 0 else -normal) @ (eye - quad[0]) > 0:
                canvas.polygons3(quad, house.surface(roof + rng.normal(0, 1.2), 0.7))
                # Courses of tiles.
                t = np.linspace(0, 1, 9)[:-1, None, None]
                low_edge, high_edge = quad[:2], quad[[3, 2]]
                rows = low_edge + (high_edge - low_edge) * t
                next_rows = low_edge + (high_edge - low_edge) * (t + 0.025)
                strips = np.concatenate([rows, next_rows[:, ::-1]], axis=1)
                canvas.polygons3(strips, house.surface(roof + rng.normal(0, 0.8), 0.6))
    elif eye[1] > height:
        canvas.polygons3(ring + _UP * height, house.surface(roof + rng.normal(1.5, 1), 0.8))
        inset = centre + (ring - centre) * 0.93 + _UP * height
        canvas.polygons3(inset, house.surface(roof, 0.6))
        for _ in range(rng.integers(0, 6)):
            a, b = rng.uniform(-0.7, 0.7, 2)
            foot = centre + u * a + v * b + _UP * height
            add_box(canvas, foot, yaw, rng.uniform(0.8, 2.5, 3), house.wall + rng.normal(1, 3),
                    tuple(house.tone))  # fmt: skip


def add_box(
    canvas: Canvas, foot: np.ndarray, yaw: float, extent, temperature: float, tone: Colour
) -> None:
    """Draw a plain box: roof units, cabinets, low walls.

    Args:
        canvas: Canvas to draw on.
        foot: Centre of the bottom (x, y, z) in metres.
        yaw: Turn in radians.
        extent: Size (x, y, z) in metres.
        temperature: Celsius.
        tone: Albedo.
    """
    rng, eye = canvas.rng, canvas.camera.position
    u = np.array([np.cos(yaw), 0.0, -np.sin(yaw)]) * extent[0] / 2
    v = np.array([np.sin(yaw), 0.0, np.cos(yaw)]) * extent[2] / 2
    top, ring = _UP * extent[1], foot + _CORNERS @ np.stack([u, v])
    depth = max(float(canvas.camera.to_camera(foot)[2]), 1.0)

    def material(kelvin: float, light: float) -> int:
        return canvas.surface(
            Label.STRUCTURE, temperature + kelvin, tuple(light * c for c in tone), rough=0.25,
            smooth=0.5, grain=0.05, depth=depth,
        )  # fmt: skip

    for i in range(4):
        a, b = ring[i], ring[(i + 1) % 4]
        if ((a + b) / 2 - foot) @ (eye - a) > 0:
            canvas.polygons3(np.array([a, b, b + top, a + top]), material(rng.normal(0, 1), 0.6))
    if eye[1] > foot[1] + extent[1]:
        canvas.polygons3(ring + top, material(rng.normal(-1, 1), 1.0))


def add_pole(canvas: Canvas, x: float, z: float, height: float, lamp: bool) -> None:
    """Draw a pole with a lamp arm, a sign (under 4.5 metres) or cross-bars, at least 2 m away."""
    rng, board = canvas.rng, Billboard(canvas, x, z)
    if board.depth < 2:
        return
    s, depth = board.scale, board.depth
    warmth, tone = canvas.air + rng.normal(0, 1.2) + 2 * canvas.sun, any_colour(rng, 0.1, 0.5)
    mast, steel = (
        canvas.surface(
            Label.POLE, warmth, tone, tilt=(tilt / s, 0.2 / s), at=board.origin, rough=0.2,
            depth=depth,
        )
        for tilt in (rng.normal(0, 8), 0.0)
    )  # fmt: skip
    radius, side = rng.uniform(0.05, 0.12), rng.choice([-1, 1])
    shape = [(-radius, 0), (-0.6 * radius, height), (0.6 * radius, height), (radius, 0)]
    canvas.polygons(board.pixels(shape), mast)
    if lamp:
        arm = [(0, height * 0.97), (side * 0.6, height * 1.02), (side * 1.6, height * 1.03)]
        canvas.strokes(board.pixels(arm), steel, 0.07 * s)
        lit = not canvas.sun
        warmth = rng.uniform(1, 25) if lit else 2.0
        head = canvas.surface(
            Label.POLE, canvas.air + warmth, (0.9, 0.8, 0.6), emission=8.0 * lit, depth=depth
        )
        shade = np.array([(1.2, 1.015), (2.0, 1.02), (2.0, 1.04), (1.2, 1.035)]) * [side, height]
        canvas.polygons(board.pixels(shade), head)
        if lit:
            spot = board.pixels((side * 1.6, 0))
            canvas.lamps.append((*spot, 5.0 * s, rng.uniform(0.2, 0.7)))
    elif height < 4.5:
        plate = canvas.surface(
            Label.POLE, canvas.air + rng.normal(-0.5, 1.8), any_colour(rng, 0.2, 0.8, 0.4),
            rough=0.3, depth=depth,
        )  # fmt: skip
        wide, low = rng.uniform(0.2, 0.45), height - rng.uniform(0.5, 0.9)
        sheet = [(-wide, low), (-wide, height), (wide, height), (wide, low)]
        canvas.polygons(board.pixels(sheet), plate)
    else:
        bars = [[(-1.1, height * k), (1.1, height * k)] for k in (0.9, 0.97)]
        canvas.strokes(board.pixels(bars), steel, 0.1 * s)


def add_wires(canvas: Canvas, ends: np.ndarray, sag: float) -> None:
    """Hang wires between ends (K, 2, 3) in metres, ``sag`` metres deep in the middle."""
    wire = canvas.surface(Label.POLE, canvas.air - canvas.rng.uniform(0, 4), (0.03, 0.03, 0.03))
    t = np.linspace(0, 1, 11)[None, :, None]
    lines = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * t - 4 * sag * t * (1 - t) * _UP
    view = canvas.camera.to_camera(lines)
    front = view[..., 2].min(axis=1) > 1.0
    canvas.strokes(canvas.camera.to_pixels(view[front]), wire, 0.4)


def add_fence(canvas: Canvas, points: np.ndarray, height: float, kelvin: float) -> None:
    """Draw a guard-rail or a fence over ground points (N, 2) of (x, z), one post at each."""
    camera, tone = canvas.camera, any_colour(canvas.rng, 0.15, 0.6)
    points = points[points[:, 1] > 2.5]
    if len(points) < 2:
        return
    solid = canvas.rng.random() < 0.4
    feet = np.insert(points, 1, 0.0, axis=1)
    depths = camera.to_camera(feet)[:, 2].tolist()
    for i in np.argsort(depths[:-1])[::-1]:
        s, kind = camera.scale(depths[i]), Label.STRUCTURE
        rail = canvas.surface(
            kind, canvas.air + kelvin, tone, rough=0.3, smooth=0.5, depth=depths[i]
        )
        ends = feet[i : i + 2]
        if solid:
            beam = np.vstack([ends + 0.45 * height * _UP, ends[::-1] + height * _UP])
            canvas.polygons3(beam, rail)
        else:
            bars = np.stack([ends + share * height * _UP for share in (0.2, 0.6, 0.97)])
            canvas.strokes(camera.project(bars)[0], rail, 0.05 * s)
        post = np.stack([feet[i], feet[i] + height * _UP])
        canvas.strokes(camera.project(post)[0], rail, 0.07 * s)
