"""What stands where: things to draw, far to near, and the marks they leave on the ground."""

from collections.abc import Callable

import numpy as np

from .canvas import Canvas
from .ground import Ground
from .vehicles import add_vehicle


def rectangle(x: float, z: float, yaw: float, half_width: float, half_length: float) -> np.ndarray:
    """Corners (4, 2) of a rectangle on the ground, its length along ``yaw``, in metres."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * [half_width, half_length]
    return np.array([x, z]) + corners @ np.array([[cos, -sin], [sin, cos]])


class Layout:
    """A list of things to draw on a canvas above its ground.

    Args:
        canvas: Canvas of the scene.
        ground: Ground of the scene, painted before anything is drawn.
    """

    def __init__(self, canvas: Canvas, ground: Ground) -> None:
        self.canvas, self.ground, self.rng = canvas, ground, canvas.rng
        # Where shadows fall, in metres a metre of height, and how much they cool.
        self.sunward = canvas.rng.normal(0, 0.8, 2)
        self.chill = canvas.rng.uniform(0.5, 5) * canvas.sun
        self._jobs: list[tuple[float, Callable[[], None]]] = []

    def plan(
        self, place, size: float, draw: Callable[[float, float], None], near: float = 2.5
    ) -> None:
        """Draw a thing at ``place`` (x, z), in its turn, by ``draw(x, z)``.

        It is left out where a ball of ``size`` metres cannot be seen, or is nearer than ``near``.
        """
        x, z = float(place[0]), float(place[1])
        distance = float(np.hypot(x, z))
        if distance > near and self.canvas.sees(x, z, size):
            self._jobs.append((distance, lambda: draw(x, z)))

    def draw(self) -> None:
        """Draw what was planned, far to near."""
        for _, job in sorted(self._jobs, key=lambda job: -job[0]):
            job()

    @property
    def gloom(self) -> float:
        """Share of light that a shadow takes away."""
        return 0.6 * min(1.0, 2 * self.canvas.sun)

    def plan_vehicle(self, place, yaw: float, kind: str, running: bool) -> None:
        """Plan a vehicle with the shade or the heat below and behind it."""

        def draw(x: float, z: float) -> None:
            below = 2.5 * running - 2.0 * self.canvas.sun - 0.5
            foot = rectangle(x, z, yaw, 0.95, 2.1) + 0.4 * self.canvas.sun * self.sunward
            self.ground.mark(foot, below, 0.7, 0.75)
            rear = add_vehicle(self.canvas, x, z, yaw, kind, running)
            if running:
                self.ground.stain(*rear, 0.6, self.rng.uniform(0.5, 4))

        self.plan(place, 6.0 if kind == "bus" else 3.0, draw, 4.0)
