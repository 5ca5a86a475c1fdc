"""Street scenes at eye height: a road in perspective and what stands and moves along it."""

import math

import numpy as np

from .canvas import Canvas, Label
from .ground import Ground, repeat
from .layout import Layout
from .plants import TREES, add_ridge, add_tree
from .structures import add_box, add_building, add_fence, add_pole, add_wires
from .things import (
    CIRCLE,
    add_animal,
    add_cold_object,
    add_cycle,
    add_person,
    any_colour,
    capsules,
)
from .vehicles import VEHICLES

_WHITE = (0.6, 0.6, 0.58)


class _Street(Layout):
    """The course of a road: ``half`` wide each way, with a pavement of ``walk`` metres."""

    def __init__(self, canvas: Canvas, ground: Ground) -> None:
        super().__init__(canvas, ground)
        rng = canvas.rng
        self.heading = rng.normal(0, 0.12) if rng.random() < 0.75 else rng.uniform(-1.3, 1.3)
        self.half, self.walk = rng.uniform(2.8, 6.0), rng.uniform(1.5, 4.0)
        self.offset = rng.uniform(-self.half - 2.5, self.half + 2.5)
        self.curve = rng.normal(0, 0.0012)
        self.dapple = ground.texture("fine", 0.1)

    def place(self, u, v) -> np.ndarray:
        """Ground positions (2,) or (N, 2) of points ``u`` across and ``v`` along the road."""
        across = u + self.offset + self.curve * v * v
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return np.array((across * cos + v * sin, v * cos - across * sin)).T

    def shadow(
        self, x: float, z: float, low: float, high: float, radius: float, dappled: bool = False
    ) -> None:
        """Shade of something from ``low`` to ``high`` metres up and ``radius`` metres wide."""
        if self.canvas.sun:
            ends = np.array([x, z]) + np.outer([low, high], self.sunward)
            shape = capsules(ends[None], np.full((1, 2), radius))[0]
            weight = np.clip(0.7 + 0.5 * self.dapple, 0, 1) if dappled else None
            self.ground.mark(shape, -self.chill, 3.0 if dappled else 1.0, self.gloom, weight)

    def car(self, u: float, v: float, away: bool, kind: str, running: bool) -> None:
        """Plan a vehicle that follows the road."""
        yaw = self.heading + 2 * self.curve * v + (0 if away else np.pi)
        self.plan_vehicle(self.place(u, v), yaw, kind, running)


def _pave(street: _Street) -> None:
    """Verge, pavement, kerb, road, marks, wear and unevenness."""
    ground, rng, half = street.ground, street.rng, street.half
    air, sun = street.canvas.air, street.canvas.sun
    across, along, wide, long = ground.along(street.heading)
    u = across - np.float32(street.offset) - np.float32(street.curve) * along * along
    soil = air + rng.uniform(-4, 0) + sun * rng.uniform(0, 6)
    grass = rng.random() < 0.6
    ground.paint(1.0, soil, (0.07, 0.1, 0.04) if grass else (0.25, 0.24, 0.22))
    asphalt = air + rng.uniform(-2.5, 3) + sun * rng.uniform(0, 9)
    pavement = asphalt + rng.normal(0, 1.2)
    walk, road = ground.strip(u, half + street.walk, wide), ground.strip(u, half, wide)
    ground.paint(walk, pavement, (0.32, 0.31, 0.29))
    kerb = ground.strip(np.abs(u) - np.float32(half + 0.12), 0.14, wide)
    ground.paint(kerb, pavement + rng.normal(0.8, 1.2), (0.45, 0.45, 0.44))
    ground.paint(road, asphalt, (0.14, 0.14, 0.145), Label.ROAD)

    # Tyres polish and warm two bands of each lane.
    lanes = max(1, round(half / 3.2))
    lane = repeat(u + np.float32(half), half / lanes)
    bands = np.exp(-(((np.abs(lane) - 0.75) / 0.35) ** 2))
    wear = bands * (1 + 0.6 * ground.texture("rough", 0.5, street.heading, 8))
    ground.temperature += road * wear * np.float32(rng.normal(0.2, 0.4))

    mark = asphalt + rng.normal(-0.6, 0.6)
    dash = ground.strip(repeat(along + rng.uniform(0, 8), 8.0), 1.5, long)
    ground.paint(ground.strip(u, 0.08, wide) * dash, mark, _WHITE)
    if rng.random() < 0.6:
        ground.paint(ground.strip(np.abs(u) - np.float32(half - 0.5), 0.07, wide), mark, _WHITE)
    if rng.random() < 0.25:
        bars = ground.strip(repeat(u, 1.0), 0.25, wide)
        bars *= ground.strip(along - rng.uniform(7, 25), 1.6, long) * road
        ground.paint(bars, mark, _WHITE)

    for _ in range(rng.integers(0, 4)):
        u0, v0 = rng.uniform(-half, half - 1.2), rng.uniform(4, 40)
        corners = street.place(u0 + np.array([0, 1.2, 1.3, 0]), v0 + np.array([0, 0, 2.5, 2.4]))
        ground.mark(corners, rng.normal(0, 0.7), 0.5, 0.35)
    for _ in range(rng.integers(0, 5)):
        v = np.linspace(rng.uniform(2, 10), rng.uniform(12, 60), 14)
        crack = rng.uniform(-half, half) + np.cumsum(rng.normal(0, 0.12, 14))
        sides = np.vstack([street.place(crack, v), street.place(crack + 0.05, v)[::-1]])
        ground.mark(sides, rng.normal(-0.8, 0.8), 0, 0.5)
    for _ in range(rng.integers(0, 3)):
        lid = street.place(rng.uniform(-half, half), rng.uniform(5, 25)) + 0.35 * CIRCLE
        ground.mark(lid, rng.normal(0, 2), 0, 0.3)
    if rng.random() < 0.6:
        slab = rng.uniform(0.6, 1.8)
        joint = np.maximum(
            ground.strip(repeat(along, slab), 0.012, long),
            ground.strip(repeat(u, slab), 0.012, wide),
        )
        ground.temperature += (walk - road) * joint * np.float32(rng.normal(-1, 1))
    ground.temperature += rng.uniform(0.15, 0.5) * ground.texture("rough", 0.1, street.heading, 2)
    ground.temperature += rng.uniform(0.05, 0.25) * ground.tufts("fine", 0.01)
    ground.temperature += rng.uniform(0.5, 1.5) * ground.texture("smooth", 0.5, street.heading, 4)
    tufts = ground.tufts("fine", 0.015) + 0.7 * ground.tufts("fine", 0.08)
    ground.temperature += (1 - walk) * (rng.uniform(0.15, 0.4) * tufts + 0.3 * street.dapple)
    if ground.colour is not None:
        ground.colour *= (1 + 0.12 * tufts + 0.1 * street.dapple)[..., None]


def _line_up(street: _Street) -> None:
    """Far scenery and the rows of buildings, drawn at once behind everything else."""
    canvas, rng, air = street.canvas, street.rng, street.canvas.air
    horizon, rows = canvas.camera.centre[1], canvas.size[0]
    if rng.random() < 0.4:
        lift, tall = rng.uniform(0.02, 0.08) * rows, rng.uniform(0.01, 0.04) * rows
        add_ridge(canvas, horizon - lift, tall, air - rng.uniform(1, 4), False, horizon + 2)
    for k in range(rng.integers(1, 4)):
        tall = rng.uniform(0.02, 0.09) * rows
        add_ridge(canvas, horizon, tall / (1 + 0.5 * k), air + rng.normal(-0.8, 0.8), True,
                  horizon + 0.008 * rows)  # fmt: skip
    front = street.half + street.walk + rng.uniform(0.5, 7)
    houses = []
    for side in (-1, 1):
        v = rng.uniform(-5, 15)
        while v < 80 and rng.random() < 0.92:
            width, deep = rng.uniform(8, 26), rng.uniform(7, 14)
            height = rng.uniform(3.2, 7) if rng.random() < 0.5 else rng.uniform(7, 25)
            if rng.random() < 0.7:
                u = side * (front + deep / 2 + rng.uniform(0, 4))
                houses.append((*street.place(u, v + width / 2), width, height, deep))
            v += width + rng.exponential(5)
    turn = street.heading + np.pi / 2
    if rng.random() < 0.4:
        x, z = street.place(rng.uniform(-20, 20), rng.uniform(60, 130))
        houses.append((x, z, 12.0, rng.uniform(5, 30), rng.uniform(15, 40)))
    for x, z, *extent in sorted(houses, key=lambda house: -house[1]):
        if z > 3:
            add_building(canvas, (x, z), turn, extent, extent[1] < 7 and rng.random() < 0.6)


def _plan_plants(street: _Street) -> None:
    canvas, rng = street.canvas, street.rng
    common = rng.choice(["broad", "broad", "bare", "conifer", "palm"])
    for side in (-1, 1):
        v, gap = rng.uniform(3, 15), rng.uniform(5, 14)
        edge = street.half + street.walk * rng.uniform(0.5, 1.3)
        tall = rng.uniform(5, 10) if rng.random() < 0.5 else rng.uniform(10, 18)
        while v < 70 and rng.random() < 0.95:
            kind = common if rng.random() < 0.8 else rng.choice(TREES)
            height = rng.uniform(0.7, 2) if kind == "bush" else tall * rng.uniform(0.6, 1.2)

            def draw(x: float, z: float, kind=kind, height=height) -> None:
                street.shadow(x, z, 0.4 * height, 0.85 * height, 0.25 * height, True)
                add_tree(canvas, x, z, kind, height)

            place = street.place(side * (edge + rng.uniform(0, 2)), v)
            street.plan(place, 0.6 * height, draw, 5.0)
            v += gap * rng.uniform(0.6, 1.6) * (1 + v / 40)
        if rng.random() < 0.5:
            for v in rng.uniform(5, 50, rng.integers(2, 9)):
                place = street.place(side * (street.half + street.walk + rng.uniform(0, 3)), v)
                height = rng.uniform(0.6, 1.8)
                street.plan(
                    place, 2.0, lambda x, z, h=height: add_tree(canvas, x, z, "bush", h), 5.0
                )


def _plan_furniture(street: _Street) -> None:
    """Lamps, wires, signs, fences, boxes."""
    canvas, rng, half = street.canvas, street.rng, street.half
    if rng.random() < 0.7:
        u, lamp = rng.choice([-1, 1]) * (half + 0.6), bool(rng.random() < 0.6)
        mast = rng.uniform(5, 9)
        feet = street.place(u, np.arange(rng.uniform(5, 15), 110, rng.uniform(15, 30)))
        for foot in feet:
            street.plan(foot, 0.6 * mast, lambda x, z: add_pole(canvas, x, z, mast, lamp))
        if rng.random() < 0.5:
            tops = np.insert(feet, 1, 0.95 * mast, axis=1)
            spans = np.stack([tops[:-1], tops[1:]], axis=1)
            shifts = np.array([-0.8, 0.0, 0.8])[:, None, None, None] * [1, 0, 0]
            add_wires(canvas, (spans + shifts).reshape(-1, 2, 3), 0.5)
    for _ in range(rng.poisson(0.6)):
        v, up = rng.uniform(10, 45, 2), rng.uniform(5.5, 9)
        ends = np.stack([street.place(-half - 8, v[0]), street.place(half + 8, v[1])])
        levels = up - 0.35 * np.arange(rng.integers(1, 5))
        add_wires(canvas, np.stack([np.insert(ends, 1, level, axis=1) for level in levels]), 0.6)
    for _ in range(rng.integers(0, 4)):
        u, height = rng.choice([-1, 1]) * (half + rng.uniform(0.3, 1.5)), rng.uniform(2, 3.2)
        place = street.place(u, rng.uniform(5, 40))
        street.plan(place, 2.0, lambda x, z, h=height: add_pole(canvas, x, z, h, False), 4.0)
    if rng.random() < 0.35:
        u = rng.choice([-1, 1]) * (half + street.walk + 0.3)
        points = street.place(u, np.linspace(3, rng.uniform(25, 70), 27))
        rail = rng.uniform(0.7, 1.3), rng.normal(0.5, 1.5)
        street.plan(points[-1], 70.0, lambda x, z: add_fence(canvas, points, *rail))
    for _ in range(rng.integers(0, 12)):
        u = rng.choice([-1, 1]) * (half + street.walk * rng.uniform(0.2, 1.8))
        extent, kelvin = rng.uniform(0.2, 1.0, 3), rng.normal(-0.3, 1.6)

        def draw(x: float, z: float, extent=extent, kelvin=kelvin) -> None:
            street.shadow(x, z, 0.0, extent[1], 0.5 * extent[0])
            add_box(canvas, np.array([x, 0, z]), street.heading, extent, canvas.air + kelvin,
                    any_colour(rng))  # fmt: skip

        street.plan(street.place(u, rng.uniform(8, 60)), 1.5, draw, 7.0)


def _plan_traffic(street: _Street) -> None:
    """Vehicles, people, cycles, animals and cold objects."""
    canvas, ground, rng, half = street.canvas, street.ground, street.rng, street.half
    for side in (-1, 1):
        if rng.random() < 0.55:
            for v in np.cumsum(rng.uniform(5.5, 8, 11)) + rng.uniform(-2, 15):
                if rng.random() < 0.7:
                    kind = rng.choice(VEHICLES[:4])
                    street.car(side * (half - 1.1), v, side > 0, kind, rng.random() < 0.1)
    for _ in range(rng.integers(0, 4)):
        side = rng.choice([-1, 1])
        kind = rng.choice(VEHICLES, p=[0.35, 0.2, 0.25, 0.12, 0.08])
        street.car(side * half * 0.4, rng.uniform(6, 60), side > 0, kind, True)

    def person(x: float, z: float) -> None:
        ground.stain(x, z, 0.25, rng.uniform(-0.4, 0.5))
        street.shadow(x, z, 0.0, 1.7, 0.2)
        add_person(canvas, x, z)

    for _ in range(rng.integers(0, 4)):
        on_road, side = rng.random() < 0.5, rng.choice([-1, 1])
        u = rng.uniform(-half, half) if on_road else side * (half + rng.uniform(0.3, 3))
        v = rng.uniform(4, 35)
        for _ in range(rng.integers(1, 4)):
            street.plan(street.place(*(np.array([u, v]) + rng.normal(0, 0.7, 2))), 1.2, person, 3.0)
    for _ in range(rng.poisson(0.6)):
        place = street.place(rng.uniform(-half, half), rng.uniform(6, 30))
        rider = bool(rng.random() < 0.7)
        street.plan(place, 1.5, lambda x, z, r=rider: add_cycle(canvas, x, z, r))
    for _ in range(rng.poisson(0.6)):
        u = rng.choice([-1, 1]) * (half + rng.uniform(0.5, street.walk))
        place = street.place(u, rng.uniform(6, 30))
        street.plan(place, 1.0, lambda x, z: add_cold_object(canvas, x, z))
    if rng.random() < 0.08:
        place, tall = (
            street.place(rng.uniform(-half, half), rng.uniform(6, 25)),
            rng.uniform(0.4, 0.7),
        )
        street.plan(place, 1.0, lambda x, z: add_animal(canvas, x, z, tall))


def draw_street(canvas: Canvas, ground: Ground) -> None:
    """Lay out and draw a street scene."""
    street = _Street(canvas, ground)
    _pave(street)
    _line_up(street)
    _plan_plants(street)
    _plan_furniture(street)
    _plan_traffic(street)
    street.draw()
