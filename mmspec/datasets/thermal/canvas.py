"""A canvas of numbered surfaces: one buffer gives temperature, colour, classes and boxes.

Objects are drawn far to near as polygons of a numbered surface. A surface has a temperature, a
colour, a class and an instance, so the thermal image, the visible image, the label map and the
boxes of a scene agree by construction, while the contrast in each band is free.
"""

import math
from enum import IntEnum

import cv2
import numpy as np

from .texture import FractalAtlas

Colour = tuple[float, float, float]
# Columns of the table of surfaces.
_COLUMNS = (
    "temperature", "right", "down", "at_x", "at_y", "rough", "smooth", "label", "thing", "red",
    "green", "blue", "grain", "emission",
)  # fmt: skip


class Label(IntEnum):
    """Classes of a scene: countable things first, then what surrounds them."""

    PERSON = 0
    ANIMAL = 1
    VEHICLE = 2
    CYCLE = 3
    COLD_OBJECT = 4
    GROUND = 5
    ROAD = 6
    SKY = 7
    BUILDING = 8
    VEGETATION = 9
    POLE = 10
    STRUCTURE = 11


class Camera:
    """Pinhole above the plane y = 0, looking along +z; x is right, y up, in metres.

    Args:
        size: (H, W) in pixels.
        focal: Focal length in pixels.
        height: Height above the ground in metres.
        pitch: Downward tilt in radians.
        axis_row: Row that the optical axis meets; the middle by default.
    """

    near = 0.4

    def __init__(
        self,
        size: tuple[int, int],
        focal: float,
        height: float,
        pitch: float = 0.0,
        axis_row: float | None = None,
    ) -> None:
        self.size, self.focal, self.height, self.pitch = size, focal, height, pitch
        self.centre = np.array([size[1] / 2, size[0] / 2 if axis_row is None else axis_row])
        self.position = np.array([0.0, height, 0.0])
        cos, sin = np.cos(pitch), np.sin(pitch)
        self._axes = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]]).T
        self._scale = np.array([focal, -focal])

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) world points to right, up and depth."""
        return (points - self.position) @ self._axes

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) camera points in front of the lens to (..., 2) pixel positions."""
        return self.centre + points[..., :2] * self._scale / points[..., 2:]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(..., 3) world points to (..., 2) pixel positions and (...) depths in metres."""
        camera = self.to_camera(points)
        camera[..., 2] = np.maximum(camera[..., 2], self.near)
        return self.to_pixels(camera), camera[..., 2]

    def scale(self, depth: float) -> float:
        """Pixels per metre at a depth in metres."""
        return self.focal / max(depth, self.near)

    def ground(self) -> tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What each pixel sees of the ground, float32.

        Returns:
            First row that sees ground; then, for the rows from there on, x (h, W), z (h, W), and
            the width (h, 1) and the length (h, 1) of a pixel on the ground, all in metres.
        """
        rows, columns = self.size
        up = -(np.arange(rows) + 0.5 - self.centre[1]) / self.focal
        drop = np.sin(self.pitch) - up * np.cos(self.pitch)
        forward = up * np.sin(self.pitch) + np.cos(self.pitch)
        # Less than 1/400 of a radian below the horizon, a row sees more than the scene holds.
        first = int(np.searchsorted(drop, 0.0025))
        travel = (self.height / drop[first:])[:, None]
        across = (np.arange(columns) + 0.5 - self.centre[0]) / self.focal
        z = travel * forward[first:, None]
        length = np.abs(np.gradient(z, axis=0)) if len(z) > 1 else np.ones_like(z)
        x = travel * across
        fields = x, np.broadcast_to(z, x.shape), travel / self.focal, length
        return first, *(np.ascontiguousarray(f, np.float32) for f in fields)


def _clip_near(points: np.ndarray, near: float) -> np.ndarray:
    """Part of a convex (N, 3) polygon in camera coordinates that is farther than ``near``."""
    inside = points[:, 2] >= near
    kept = []
    for i in range(len(points)):
        a, b = points[i - 1], points[i]
        if inside[i - 1] != inside[i]:
            kept.append(a + (b - a) * (near - a[2]) / (b[2] - a[2]))
        if inside[i]:
            kept.append(b)
    return np.array(kept).reshape(-1, 3)


class Canvas:
    """Numbers of the surface seen at each sub-pixel, with the table of surfaces.

    Args:
        camera: Camera that projects world points and sets the size.
        rng: Source of randomness.
        atlas: Texture fields shared by all surfaces.
        air: Air temperature in Celsius.
        sun: 0 at night to 1 at noon.
        oversample: Sub-pixels per pixel and axis.
    """

    SKY, GROUND = 0, 1

    def __init__(
        self,
        camera: Camera,
        rng: np.random.Generator,
        atlas: FractalAtlas,
        air: float,
        sun: float,
        oversample: int = 2,
    ) -> None:
        self.size, self.camera, self.rng, self.atlas = camera.size, camera, rng, atlas
        self.air, self.sun, self.oversample = air, sun, oversample
        self.visibility = rng.uniform(150, 900)
        # Lamps at night: x, y in pixels, radius in pixels, power in units of daylight.
        self.lamps: list[tuple[float, float, float, float]] = []
        self._ids = np.zeros((self.size[0] * oversample, self.size[1] * oversample), np.uint16)
        self._queue: list[tuple[np.ndarray, list[int], int]] = []
        self._rows: list[tuple[float, ...]] = []
        self._things: list[int] = []
        self.surface(Label.SKY, 0, (0, 0, 0))
        self.surface(Label.GROUND, 0, (0, 0, 0))

    def surface(
        self,
        label: Label,
        temperature: float,
        colour: Colour,
        thing: int = 0,
        tilt: tuple[float, float] = (0.0, 0.0),
        at: tuple[float, float] = (0.0, 0.0),
        rough: float = 0.0,
        smooth: float = 0.0,
        grain: float = 0.0,
        emission: float = 0.0,
        depth: float = 0.0,
    ) -> int:
        """Enter a surface in the table and return its number.

        Args:
            label: Class.
            temperature: Apparent temperature in Celsius at the pixel position ``at``.
            colour: RGB albedo, 0 to 1.
            thing: Number from :meth:`thing`, 0 for what is not countable.
            tilt: Temperature slope in Kelvin per pixel, right and down.
            at: Pixel position (x, y) that ``temperature`` belongs to.
            rough: Deviation of the fine thermal texture in Kelvin.
            smooth: Deviation of the smooth thermal texture in Kelvin.
            grain: Relative deviation of the visible texture.
            emission: Light of its own, in units of daylight.
            depth: Distance in metres; the air path pulls the contrast towards the air temperature.
        """
        haze = math.exp(-depth / self.visibility)
        self._rows.append(
            (self.air + (temperature - self.air) * haze, haze * tilt[0], haze * tilt[1], *at,
             haze * rough, haze * smooth, label, thing, *colour, grain, emission)
        )  # fmt: skip
        return len(self._rows) - 1

    def thing(self, label: Label) -> int:
        """Register a countable object and return its number, from 1."""
        self._things.append(int(label))
        return len(self._things)

    def sees(self, x: float, z: float, radius: float) -> bool:
        """Whether a ball of ``radius`` metres that stands at (x, z) can be in the picture."""
        right, up, depth = self.camera.to_camera(np.array([x, radius, z])).tolist()
        if depth < self.camera.near:
            return depth + radius > self.camera.near
        reach = radius + 0.5 * self.size[1] * depth / self.camera.focal
        drop = self.camera.centre[1] / self.camera.focal * depth
        rise = drop - self.size[0] / self.camera.focal * depth
        return abs(right) < reach and rise - radius < up < drop + radius

    def polygons(self, points: np.ndarray, surfaces: int | list[int]) -> None:
        """Fill a polygon (N, 2) or polygons (K, N, 2), in pixels, with one surface or K."""
        points = np.asarray(points, float)
        points = points[None] if points.ndim == 2 else points
        if isinstance(surfaces, int):
            surfaces = [surfaces] * len(points)
        self._queue.append((points, surfaces, 0))

    def polygons3(self, points: np.ndarray, surfaces: int | list[int]) -> None:
        """Fill a convex polygon (N, 3) or polygons (K, N, 3), in metres."""
        points = np.asarray(points, float)
        points = points[None] if points.ndim == 2 else points
        if isinstance(surfaces, int):
            surfaces = [surfaces] * len(points)
        view, near = self.camera.to_camera(points), self.camera.near
        if view[..., 2].min(initial=np.inf) >= near:
            self._queue.append((self.camera.to_pixels(view), surfaces, 0))
            return
        for polygon, surface in zip(view, surfaces, strict=True):
            kept = _clip_near(polygon, near)
            if len(kept) > 2:
                self._queue.append((self.camera.to_pixels(kept)[None], [surface], 0))

    def strokes(self, lines: np.ndarray, surface: int, width: float) -> None:
        """Draw an open poly-line (N, 2) or poly-lines (K, N, 2), ``width`` pixels wide."""
        lines = np.asarray(lines, float)
        lines = lines[None] if lines.ndim == 2 else lines
        thick = max(1, round(width * self.oversample))
        self._queue.append((lines, [surface] * len(lines), thick))

    @property
    def ids(self) -> np.ndarray:
        """Surface of each sub-pixel (rows, columns) uint16, with all that was queued drawn."""
        if self._queue:
            flat = np.concatenate([points.reshape(-1, 2) for points, *_ in self._queue])
            # OpenCV wraps around beyond 2^15 pixels.
            flat = np.clip(flat, -9e3, 9e3) * (16 * self.oversample) - 8
            fixed, start = np.round(flat).astype(np.int32), 0
            for points, surfaces, thick in self._queue:
                count = points.shape[1]
                for surface in surfaces:
                    shape = fixed[start : start + count]
                    start += count
                    if thick:
                        cv2.polylines(self._ids, [shape], False, surface, thick, shift=4)
                    else:
                        cv2.fillPoly(self._ids, [shape], surface, shift=4)
            self._queue.clear()
        return self._ids

    def stamp(self, x: int, y: int, surfaces: np.ndarray, mask: np.ndarray) -> None:
        """Set whole pixels from (x, y) on to ``surfaces`` (h, w) uint16 under a mask (h, w)."""
        n = self.oversample
        size = (mask.shape[1] * n, mask.shape[0] * n)
        part = self.ids[y * n : y * n + size[1], x * n : x * n + size[0]]
        fine = cv2.resize(surfaces, size, interpolation=cv2.INTER_NEAREST)
        where = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        part[...] = cv2.copyTo(fine, where, np.ascontiguousarray(part))

    def _column(self, name: str) -> np.ndarray:
        index = _COLUMNS.index(name)
        return np.array([row[index] for row in self._rows], np.float32)

    def _shrink(self, field: np.ndarray) -> np.ndarray:
        return cv2.resize(field, self.size[::-1], interpolation=cv2.INTER_AREA)

    def _cover(self, surface: int) -> np.ndarray:
        return self._shrink((self.ids == surface).astype(np.float32))

    def _centres(self) -> np.ndarray:
        start = self.oversample // 2
        return self.ids[start :: self.oversample, start :: self.oversample].astype(np.intp)

    def temperature(self, sky: np.ndarray, ground: np.ndarray) -> np.ndarray:
        """Apparent temperature (H, W) float32 in Celsius, given that of sky and ground."""
        table = np.array([row[:7] for row in self._rows], np.float32).T
        base = self._shrink(table[0].take(self.ids.astype(np.intp)))
        ids = self._centres()
        x = np.arange(self.size[1], dtype=np.float32) + np.float32(0.5)
        y = np.arange(self.size[0], dtype=np.float32)[:, None] + np.float32(0.5)
        base += table[1].take(ids) * (x - table[3].take(ids))
        base += table[2].take(ids) * (y - table[4].take(ids))
        base += table[5].take(ids) * self.atlas.window(self.size, "fine", 0.9, smooth=False)
        base += table[6].take(ids) * self.atlas.window(self.size, "smooth", 1.7, smooth=False)
        return base + self._cover(self.SKY) * sky + self._cover(self.GROUND) * ground

    def visible(self, sky: np.ndarray, ground: np.ndarray, light: np.ndarray) -> np.ndarray:
        """Linear radiance (H, W, 3) float32, RGB, under the illumination map ``light`` (H, W)."""
        fine, ids = self.ids.astype(np.intp), self._centres()
        grain = 1 + self._column("grain").take(ids) * self.atlas.window(self.size, "fine", 0.9)
        over_sky, over_ground = self._cover(self.SKY), self._cover(self.GROUND)
        glow = self._shrink(self._column("emission").take(fine))
        lit = np.maximum(grain, 0) * (light + glow)
        planes = []
        for k, name in enumerate(("red", "green", "blue")):
            plane = self._shrink(self._column(name).take(fine)) * lit
            planes.append(plane + over_sky * sky[..., k] + over_ground * ground[..., k] * light)
        return np.stack(planes, axis=-1)

    def labels(self, ground: np.ndarray) -> np.ndarray:
        """Class of each pixel (H, W) uint8, given that of the ground."""
        ids = self._centres()
        classes = self._column("label").astype(np.uint8).take(ids)
        return np.where(ids == self.GROUND, ground, classes)

    def boxes(self, minimum: int = 4) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) float32 xyxy round the visible pixels of each thing, and classes (N,) int64.

        Things of fewer than ``minimum`` visible pixels are left out.
        """
        seen = self._column("thing").astype(np.intp).take(self._centres())
        ys, xs = np.nonzero(seen)
        thing = seen[ys, xs]
        total = len(self._things) + 1
        count = np.bincount(thing, minlength=total)
        left, top = np.full(total, self.size[1]), np.full(total, self.size[0])
        right, bottom = np.zeros((2, total), int)
        np.minimum.at(left, thing, xs)
        np.minimum.at(top, thing, ys)
        np.maximum.at(right, thing, xs + 1)
        np.maximum.at(bottom, thing, ys + 1)
        keep = np.flatnonzero(count >= minimum)
        box = np.stack([left, top, right, bottom], axis=-1)[keep].astype(np.float32)
        return box, np.array(self._things, np.int64)[keep - 1]
