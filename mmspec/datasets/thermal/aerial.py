"""Scenes from a drone: roads, lots, courts, tracks, trees, roofs and small warm objects."""

import numpy as np

from .canvas import Canvas, Colour, Label
from .ground import Ground, repeat
from .layout import Layout, rectangle
from .plants import add_crown, add_tree
from .structures import add_building, add_pole
from .things import CIRCLE, add_cold_object, add_cycle, add_person
from .vehicles import VEHICLES

_WHITE = (0.6, 0.6, 0.58)


class _Site(Layout):
    """A grid turned by ``heading`` on the ground below the camera.

    ``u`` and ``v`` are metres across and along it from the middle of the picture; the road runs
    along v at u = ``road_at + bend * v ** 2``; about ``reach`` metres to each side are in sight.
    """

    def __init__(self, canvas: Canvas, ground: Ground) -> None:
        super().__init__(canvas, ground)
        rng, camera = canvas.rng, canvas.camera
        self.far = camera.height / np.tan(camera.pitch)
        slant = float(np.hypot(self.far, camera.height))
        self.reach = 0.5 * canvas.size[1] * slant / camera.focal
        self.heading = rng.uniform(0, np.pi)
        self.middle = self.far * np.array([-np.sin(self.heading), np.cos(self.heading)])
        self.road_at, self.road_half = rng.uniform(-0.6, 0.6) * self.reach, rng.uniform(2.5, 6)
        self.bend = rng.normal(0, 0.15) / self.reach
        self.lot: tuple[float, float, float] | None = None
        if rng.random() < 0.75:
            away = rng.choice([-1.0, 1.0]) * rng.uniform(12, 22)
            self.lot = (self.road_at + away, rng.uniform(8, 18), rng.uniform(0.4, 1.6) * self.reach)
        # Asphalt keeps the sun's heat longer than grass.
        self.hot = canvas.air + rng.uniform(0, 3) + canvas.sun * rng.uniform(1, 9)
        self.cool = self.hot - rng.exponential(2.2) - 0.3
        self.paint = self.hot + rng.normal(-1.0, 0.8)

    def place(self, u: float, v: float) -> np.ndarray:
        """Ground position (2,) of a grid position."""
        u, v = u + self.middle[0], v + self.middle[1]
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return np.array([u * cos + v * sin, v * cos - u * sin])

    def road(self, v: float) -> float:
        """Middle of the road at ``v``."""
        return self.road_at + self.bend * v * v


def _pave(site: _Site) -> None:
    """Grass, and on it what is paved: lot, road, footpath, crossing, track, court."""
    ground, rng, reach = site.ground, site.rng, float(site.reach)
    hot, heading = site.hot, site.heading
    u, v, size_u, size_v = ground.along(heading)
    u, v = u - np.float32(site.middle[0]), v - np.float32(site.middle[1])
    size = np.maximum(size_u, size_v)
    field = ground.texture("smooth", reach / 60)
    ground.paint(1.0, site.cool + 0.6 * field, (0.08, 0.11, 0.05))
    # Grass is mottled, and mown or trodden along one direction.
    grain = rng.uniform(0.25, 0.7)
    mottle = ground.texture("rough", reach / 300, rng.uniform(0, 3), 3)
    mottle += ground.texture("fine", reach / 250)
    ground.temperature += grain * mottle
    slab, joint, kerb = rng.uniform(2.5, 6), rng.normal(-0.5, 0.5), rng.normal(0, 1.5)
    joints = np.maximum(
        ground.strip(repeat(u, slab), 0.04, size_u),
        ground.strip(repeat(v, slab), 0.04, size_v),
    )
    wear = rng.uniform(0.2, 0.5) * ground.texture("rough", reach / 300, heading, 4)
    wear += rng.uniform(0.3, 0.8) * ground.texture("smooth", reach / 90, heading, 3)
    wear += np.float32(joint) * joints
    edge = 1 / (size + np.float32(0.05))

    def pave(sdf: np.ndarray, kelvin: float, colour: Colour, label=Label.GROUND, kerbed=True):
        """Paint where a signed distance in metres is negative, with a kerb along it."""
        ground.paint(np.clip(0.5 - sdf * edge, 0, 1), hot + kelvin + wear, colour, label)
        if kerbed:
            ground.paint(ground.strip(sdf, 0.2, size), hot + kerb, (0.4, 0.4, 0.4))

    if site.lot:
        at, half, long = site.lot
        pave(np.maximum(np.abs(u - np.float32(at)) - half, np.abs(v) - long), rng.normal(0, 1),
             (0.2, 0.2, 0.2), Label.ROAD)  # fmt: skip
    offset = u - np.float32(site.road_at) - np.float32(site.bend) * v * v
    asphalt, half = (0.13, 0.13, 0.135), site.road_half
    pave(np.abs(offset) - half, rng.normal(0, 1.5), asphalt, Label.ROAD)
    if rng.random() < 0.6:
        side = np.abs(np.abs(offset) - half - rng.uniform(1, 4)) - rng.uniform(0.6, 1.5)
        pave(side, rng.normal(0, 2), (0.33, 0.32, 0.3), kerbed=False)
    if rng.random() < 0.35:
        crossing = np.abs(v - rng.uniform(-0.6, 0.6) * reach) - rng.uniform(2.5, 5)
        pave(crossing, rng.normal(0, 1.5), asphalt, Label.ROAD)
    if rng.random() < 0.22:
        ou, ov = (rng.uniform(-1.2, 1.2, 2) * reach).tolist()
        ring = np.sqrt((u - ou) ** 2 + (v - ov) ** 2) - rng.uniform(0.5, 1.3) * reach
        pave(np.abs(ring) - rng.uniform(2, 5), rng.normal(0, 1.5), (0.35, 0.14, 0.1))
        lane = ground.strip(repeat(ring, 1.2), 0.06, size) * (np.abs(ring) < 2.5)
        ground.paint(lane, hot - 0.8, _WHITE)
    dash = ground.strip(repeat(v, 9.0), 2.2, size_v)
    ground.paint(ground.strip(offset, 0.1, size_u) * dash, site.paint, _WHITE)
    if rng.random() < 0.3:
        (au, av), side = (rng.uniform(-0.5, 0.5, 2) * reach).tolist(), rng.uniform(7, 15)
        cu, cv = u - au, v - av
        pave(np.maximum(np.abs(cu) - 1.6 * side, np.abs(cv) - 1.2 * side), 0.5, (0.2, 0.3, 0.2))
        lines = np.maximum(
            ground.strip(repeat(cu, side), 0.08, size_u),
            ground.strip(repeat(cv, 0.7 * side), 0.08, size_v),
        )
        for _ in range(3):
            ou, ov = (rng.uniform(-1, 1, 2) * side).tolist()
            ring = np.sqrt((cu - ou) ** 2 + (cv - ov) ** 2) - rng.uniform(0.2, 0.45) * side
            lines = np.maximum(lines, ground.strip(ring, 0.08, size))
        inside = (np.abs(cu) < 1.5 * side) & (np.abs(cv) < 1.1 * side)
        ground.paint(lines * inside, hot + rng.normal(-1.2, 1), _WHITE)
    if ground.colour is not None:
        ground.colour *= (1 + 0.12 * mottle)[..., None]
    # Big soft zones: the shade of something outside the picture, water in the soil.
    for _ in range(rng.integers(0, 3)):
        spot = site.place(*(rng.uniform(-1, 1, 2) * reach))
        ground.stain(*spot, rng.uniform(0.2, 0.6) * reach, rng.normal(0, 2))
    # Litter, drains, puddles.
    for _ in range(rng.integers(0, 40)):
        spot = site.place(*(rng.uniform(-1, 1, 2) * reach))
        ground.mark(spot + CIRCLE * rng.uniform(0.08, 0.35, 2), rng.normal(0, 0.9), 0.4, 0.2)


def _plan_vehicles(site: _Site) -> None:
    ground, rng, reach = site.ground, site.rng, site.reach
    if site.lot:
        at, half, long = site.lot
        across = site.heading + np.pi / 2
        fill = rng.choice([0.05, 0.2, 0.5]) * rng.uniform(0.5, 1.3)
        marked = rng.random() < 0.5
        for row in np.arange(-half + 3, half - 2, 6.2):
            for slot in np.arange(-min(long, 1.5 * reach) + 2, min(long, 1.5 * reach) - 2, 2.7):
                place, chance = site.place(at + row, slot), rng.random()
                if not site.canvas.sees(*place, 4.0):
                    continue
                if chance < fill:
                    yaw = across + rng.normal(0, 0.04) + np.pi * (rng.random() < 0.5)
                    kind = rng.choice(VEHICLES[:4])
                    site.plan_vehicle(place, yaw, kind, rng.random() < 0.08)
                elif chance < fill + 0.15:
                    # A car that left: its shade stays in the asphalt for a while.
                    ground.mark(rectangle(*place, across, 1.0, 2.2), -rng.uniform(0.3, 2.5), 1.2)
                if marked:
                    line = rectangle(*site.place(at + row, slot + 1.35), across, 0.06, 2.4)
                    ground.mark(line, site.paint - site.hot, 0, -1.5)
    for _ in range(rng.integers(0, 6)):
        v, side = rng.uniform(-1, 1) * reach, rng.choice([-1, 1])
        yaw = site.heading + 2 * site.bend * v + np.pi * (side < 0)
        place = site.place(site.road(v) + side * site.road_half * 0.5, v)
        site.plan_vehicle(place, yaw, rng.choice(VEHICLES), True)


def _plan_small(site: _Site) -> None:
    """People, cycles, cold objects and poles."""
    canvas, rng, reach = site.canvas, site.rng, site.reach
    for _ in range(rng.integers(0, 4)):
        group = rng.uniform(-0.8, 0.8, 2) * reach
        for _ in range(rng.integers(1, 7)):
            place = site.place(*(group + rng.normal(0, 3, 2)))
            site.plan(place, 1.2, lambda x, z: add_person(canvas, x, z))
    for _ in range(rng.integers(0, 2)):
        group, step = rng.uniform(-0.8, 0.8, 2) * reach, rng.uniform(0.7, 1.5)
        for k in range(rng.integers(2, 9)):
            place = site.place(group[0], group[1] + step * k)
            site.plan(place, 1.2, lambda x, z: add_cycle(canvas, x, z, False))
    for _ in range(rng.poisson(0.7)):
        place = site.place(*(rng.uniform(-0.8, 0.8, 2) * reach))
        site.plan(place, 1.0, lambda x, z: add_cold_object(canvas, x, z))
    for _ in range(rng.integers(0, 3)):
        v, height = rng.uniform(-1, 1) * reach, rng.uniform(5, 8)
        place = site.place(site.road(v) + site.road_half + 1, v)
        site.plan(place, 8.0, lambda x, z, h=height: add_pole(canvas, x, z, h, True))


def _plan_tall(site: _Site) -> None:
    """Trees along the road and in groves, and buildings, with the shade they throw."""
    canvas, ground, rng, reach = site.canvas, site.ground, site.rng, site.reach
    shade = 0.6 * site.sunward / np.hypot(*site.sunward)
    steep = canvas.camera.pitch > 0.75

    def plant(u: float, v: float) -> None:
        height, radius = rng.uniform(3, 9), rng.uniform(1.2, 3.5)
        kind = rng.choice(["broad", "conifer", "bush"])

        def draw(x: float, z: float) -> None:
            spot = np.array([x, z]) + shade * height * 0.6
            ground.stain(*spot, radius, -rng.uniform(0.5, 3))
            if steep or rng.random() < 0.4:
                ground.mark(spot + CIRCLE * radius, 0.0, 1.0, site.gloom)
                add_crown(canvas, x, z, radius, height)
            else:
                add_tree(canvas, x, z, kind, height)

        site.plan(site.place(u, v), height, draw)

    spacing = rng.uniform(4, 9)
    for side in (-1, 1):
        if rng.random() < 0.6:
            for v in np.arange(-1.4 * reach, 1.4 * reach, spacing):
                if rng.random() < 0.85:
                    gap = site.road_half + rng.uniform(2.2, 3.5)
                    plant(site.road(v) + side * gap, v + rng.normal(0, 0.8))
    for _ in range(rng.integers(0, 4)):
        grove, spread = rng.uniform(-1.2, 1.2, 2) * reach, 0.2 * reach
        if site.lot and abs(grove[0] - site.lot[0]) < site.lot[1]:
            continue
        for _ in range(rng.integers(3, 14)):
            u, v = grove + rng.normal(0, spread, 2)
            if abs(u - site.road(v)) > site.road_half + 2:
                plant(u, v)
    for _ in range(rng.integers(0, 3)):
        v = rng.uniform(-1.2, 1.2) * reach
        away = rng.choice([-1, 1]) * (site.road_half + rng.uniform(14, 24))
        height = rng.uniform(3, 0.25 * canvas.camera.height + 4)
        extent = (rng.uniform(8, 22), height, rng.uniform(8, 22))
        gable = extent[1] < 7 and rng.random() < 0.4

        def build(x: float, z: float, extent=extent, gable=gable) -> None:
            cast = np.array([x, z]) + shade * extent[1] * 0.5
            shadow = rectangle(*cast, site.heading, extent[0] / 2 + 1, extent[2] / 2 + 1)
            ground.mark(shadow, -rng.uniform(1, 4), 1.5, site.gloom)
            add_building(canvas, (x, z), site.heading, extent, gable)

        site.plan(site.place(site.road(v) + away, v), 22.0, build)


def draw_aerial(canvas: Canvas, ground: Ground) -> None:
    """Lay out and draw a scene seen from above."""
    site = _Site(canvas, ground)
    _pave(site)
    _plan_vehicles(site)
    _plan_small(site)
    _plan_tall(site)
    site.draw()
