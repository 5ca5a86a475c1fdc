"""The sky: gradient, clouds and point targets; and scenes that look at little else."""

import numpy as np

from .canvas import Canvas, Label
from .ground import Ground
from .plants import add_ridge, add_tree
from .structures import add_building, add_pole


def sky_fields(canvas: Canvas, visible: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Temperature (H, W) in Celsius and, if ``visible``, radiance (H, W, 3) of sky and clouds.

    A clear sky is far colder than the air overhead and nears its temperature at the horizon, where
    the path through it is long. The span is narrower than in nature: most cameras clip it.
    """
    rng, (rows, columns), camera = canvas.rng, canvas.size, canvas.camera
    up = (camera.centre[1] - np.arange(rows, dtype=np.float32) - 0.5) / camera.focal
    rise = np.maximum(up, 0)[:, None]
    clear = rng.uniform(4, 9) if rng.random() < 0.5 else rng.uniform(9, 22)
    field = canvas.air - rng.uniform(1, 5) - clear * (1 - np.exp(-rise / rng.uniform(0.05, 0.35)))
    field = np.broadcast_to(field, canvas.size).astype(np.float32)
    # At most one period of the tileable fields over the picture: no cloud is seen twice.
    flat, turn = rng.uniform(1, 4.5), rng.normal(0, 0.15)
    step = canvas.atlas.side / (max(rows * flat, columns) * 1.1) * rng.uniform(0.4, 1.0)
    cloud = canvas.atlas.window(canvas.size, "smooth", (step, step * flat), turn)
    cloud = cloud + 0.35 * canvas.atlas.window(canvas.size, "rough", (step, step * flat), turn)
    cloud = np.clip((cloud - rng.normal(0.3, 0.7)) / rng.uniform(0.8, 2.5), 0, 1)
    cloud *= np.float32(rng.choice([0.0, 0.5, 1.0]))
    base = canvas.air - rng.uniform(2, 7)
    field = field + cloud * rng.uniform(0.3, 0.9) * np.maximum(base - field, 0)
    if not visible:
        return field, None
    if canvas.sun:
        haze = np.exp(-rise / 0.3)[..., None]
        colour = np.float32([0.2, 0.38, 0.75]) * (1 - haze) + np.float32([0.65, 0.72, 0.8]) * haze
        colour = colour + cloud[..., None] * (np.float32(0.85) - colour)
    else:
        colour = np.float32([0.006, 0.006, 0.009]) * (1 + 2 * np.exp(-rise / 0.2))[..., None]
        colour = colour * (1 + cloud[..., None])
    return field, np.broadcast_to(colour, (rows, columns, 3)).astype(np.float32)


def draw_skyline(canvas: Canvas, ground: Ground) -> None:
    """Far towers, roofs, trees and poles under a wide sky, where the horizon is in the picture."""
    rng, air = canvas.rng, canvas.air
    rows, columns = canvas.size
    horizon, focal = canvas.camera.centre[1], canvas.camera.focal
    if horizon > rows + 4:
        return
    ground.paint(1.0, air + rng.uniform(-2, 1) + 3 * canvas.sun, (0.1, 0.11, 0.07))
    ground.temperature += 1.5 * ground.texture("smooth", 1.0) + ground.texture("fine", 0.3)
    ground.temperature += 0.8 * ground.texture("rough", 2.0)
    for _ in range(rng.integers(0, 4)):
        across, _, size, _ = ground.along(rng.uniform(1.0, 2.1))
        offset = across - rng.uniform(-1, 1) * 60
        half = rng.uniform(2, 8)
        ground.paint(ground.strip(offset, half, size), air + rng.normal(0.5, 2), (0.2, 0.2, 0.2))
    if rng.random() < 0.5:
        lift, tall = rng.uniform(0.02, 0.12, 2) * rows
        add_ridge(canvas, horizon - lift, 0.4 * tall, air - rng.uniform(1, 3), False, horizon + 2)
    add_ridge(canvas, horizon, rng.uniform(0.01, 0.05) * rows, air - 1, True, horizon + 2)
    # Distances in focal lengths, so that a longer lens looks at something farther away.
    far = focal / columns

    def hedge(distance: float) -> None:
        """A line of trees at a distance hides the feet of what is behind it."""
        foot = horizon + canvas.camera.height * focal / distance
        tall = min(rng.uniform(4, 9) * focal / distance, 0.1 * rows)
        add_ridge(canvas, foot - 0.3 * tall, tall, air + rng.normal(-0.8, 0.8), True, foot + 1)

    for z in np.sort(rng.uniform(90, 350, rng.integers(0, 10)) * far)[::-1]:
        x = rng.uniform(-0.55, 0.55) * columns * z / focal
        add_building(canvas, (x, z), rng.choice([0.0, 0.3, -0.4]),
                     (rng.uniform(15, 40), rng.uniform(8, 75), 15.0), False)  # fmt: skip
    hedge(88 * far)
    for z in np.sort(rng.uniform(30, 80, rng.integers(0, 6)) * far)[::-1]:
        x = rng.uniform(-0.6, 0.6) * columns * z / focal
        add_building(canvas, (x, z), rng.normal(0, 0.5),
                     (rng.uniform(8, 30), rng.uniform(3, 9), 12.0), rng.random() < 0.4)  # fmt: skip
        if rng.random() < 0.5:
            hedge(0.97 * z)
    for z in np.sort(rng.uniform(15, 60, rng.integers(0, 9)) * far)[::-1]:
        x = rng.uniform(-0.5, 0.5) * columns * z / focal
        if rng.random() < 0.3:
            add_pole(canvas, x, z, rng.uniform(6, 12), bool(rng.random() < 0.5))
        else:
            add_tree(canvas, x, z, rng.choice(["broad", "broad", "bare", "conifer", "bush"]),
                     rng.uniform(3, 10))  # fmt: skip


def add_points(
    canvas: Canvas, temperature: np.ndarray, labels: np.ndarray, count: int
) -> np.ndarray:
    """Add far aircraft, birds or fires of at most a few pixels to a temperature map, in place.

    Args:
        canvas: Canvas of the scene, for its randomness.
        temperature: (H, W) float32 in Celsius, changed in place.
        labels: (H, W) classes; sky is preferred.
        count: Number of targets.

    Returns:
        (H, W) uint8, 1 where a target adds more than a third of its peak (its centre always).
    """
    rng, (rows, columns) = canvas.rng, canvas.size
    mask = np.zeros(canvas.size, np.uint8)
    margin = 4
    inner = labels[margin : rows - margin, margin : columns - margin]
    allowed = np.flatnonzero(inner == Label.SKY)
    if not len(allowed):
        allowed = np.arange(inner.size)
    spread = float(np.std(temperature))
    for spot in rng.choice(allowed, count):
        y, x = divmod(int(spot), inner.shape[1])
        cy, cx = y + margin + rng.uniform(0, 1), x + margin + rng.uniform(0, 1)
        long, wide = rng.uniform(0.5, 1.5), rng.uniform(0.45, 0.9)
        long, turn = max(long, wide), rng.uniform(0, np.pi)
        reach = 7
        window = (
            slice(max(int(cy) - reach, 0), int(cy) + reach + 1),
            slice(max(int(cx) - reach, 0), int(cx) + reach + 1),
        )
        gy = np.arange(rows)[window[0], None] + 0.5 - cy
        gx = np.arange(columns)[None, window[1]] + 0.5 - cx
        u, v = gx * np.cos(turn) + gy * np.sin(turn), gy * np.cos(turn) - gx * np.sin(turn)
        bump = np.exp(-(u**2) / (2 * long**2) - v**2 / (2 * wide**2))
        local = float(np.std(temperature[window]))
        peak = max(rng.uniform(1.5, 4) + rng.uniform(3, 8) * local, rng.uniform(0.1, 0.6) * spread)
        peak *= -1 if rng.random() < 0.08 else 1
        temperature[window] += (peak * bump).astype(np.float32)
        mask[window] |= (bump > 1 / 3 * bump.max()).astype(np.uint8)
    return mask
