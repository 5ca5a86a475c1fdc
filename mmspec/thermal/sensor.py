"""From apparent temperature to what a thermal camera writes, and from radiance to a photo."""

import cv2
import numpy as np

GAINS = ("linear", "centred", "plateau", "fixed")


def temporal_noise(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise (H, W) float32 of a read-out, of deviation 0.9: neighbours share a part of it."""
    white = rng.standard_normal(shape, dtype=np.float32)
    return 0.6 * white + 0.9 * cv2.GaussianBlur(white, (0, 0), 0.8)


def line_noise(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of columns (1, W) and of rows (H, 1), float32 of deviation 1: their amplifiers'."""
    columns = rng.standard_normal((1, shape[1]), dtype=np.float32)
    return columns, rng.standard_normal((shape[0], 1), dtype=np.float32)


def equalize(bins: np.ndarray, plateau: float) -> np.ndarray:
    """Share (H, W) from 0 to 1 of the pixels in or below each one's bin, (H, W) of 0 to 511.

    A bin counts at most ``plateau`` pixels, so that a large even surface leaves levels to the rest.
    """
    level = np.cumsum(np.minimum(np.bincount(bins.ravel(), minlength=512), plateau))
    return (level.astype(np.float32) / np.float32(level[-1])).take(bins)


def expose_thermal(temperature: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Optics, noise and digitisation of a microbolometer.

    Args:
        temperature: (H, W) float32 in Celsius.
        rng: source of randomness.

    Returns:
        (H, W) uint16 counts of 14 bits, 40 to 100 counts a Kelvin.
    """
    rows, columns = temperature.shape
    image = cv2.GaussianBlur(temperature, (0, 0), rng.uniform(0.5, 0.9))
    # Veiling glare: a few per cent of the light is spread over a tenth of the frame.
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(0.5, 0.02 * min(rows, columns)))
    glare = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR)
    image = image + rng.uniform(0.01, 0.06) * (glare - image)
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None] - rng.uniform(-0.3, 0.3)
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None] - rng.uniform(-0.3, 0.3)
    image = image - np.float32(rng.gamma(1.2, 0.25)) * (x * x + y * y)
    netd = np.float32(np.exp(rng.uniform(np.log(0.02), np.log(0.09))))
    image += netd * temporal_noise(image.shape, rng)
    fixed = netd * rng.uniform(0.05, 0.45)
    of_columns, of_rows = line_noise(image.shape, rng)
    image += fixed * of_columns
    image += 0.4 * fixed * of_rows
    counts = 6000 + rng.uniform(40, 100) * (image - 15)
    return np.clip(np.round(counts), 0, 16383).astype(np.uint16)


def gain_control(raw: np.ndarray, rng: np.random.Generator, mode: str) -> np.ndarray:
    """Map counts to 8 bits.

    Args:
        raw: (H, W) uint16 counts.
        rng: source of randomness.
        mode: ``linear`` (between percentiles), ``centred`` (the median to mid-gray, with room to
            spare), ``plateau`` (clipped histogram equalisation with detail enhancement) or
            ``fixed`` (a wide fixed range, hence a dark image).

    Returns:
        (H, W) uint8, warm bright, but for one in 25 of ``linear`` and ``plateau``.
    """
    counts = raw.astype(np.float32)
    # Most cameras let a part of the cold sky go black.
    dark = 0.5 if mode == "plateau" else rng.choice([0.5, 4, 12])
    share = [dark, 50, rng.uniform(99.2, 99.95)]
    low, middle, high = np.percentile(counts[::2, ::2], share).tolist()
    # A flat scene must not have its noise stretched to the full range.
    span = max(high - low, 350.0)
    contrast = min(1.0, (high - low) / 600)
    low = min(low, (high + low - span) / 2)
    if mode != "plateau" and rng.random() < 0.3:
        counts += rng.uniform(0.2, 0.5) * (counts - cv2.GaussianBlur(counts, (0, 0), 1.0))
    if mode == "fixed":
        image = (counts - middle) * (rng.uniform(110, 240) / span) + rng.uniform(12, 34)
        # A toe instead of a cut: what is dark keeps some of its texture.
        image = np.where(image > 10, image, 10 * np.exp(np.minimum(image, 10) / 10 - 1))
    elif mode == "centred":
        image = (counts - middle) * (rng.uniform(80, 210) / span) + rng.uniform(100, 150)
    elif mode == "linear":
        floor, top = rng.uniform(0, 45), rng.uniform(190, 255)
        gamma = np.float32(np.exp(rng.uniform(-0.3, 0.3)))
        image = np.clip((counts - low) / span, 0, 1) ** gamma * (top - floor) + floor
    elif mode == "plateau":
        detail = counts - cv2.GaussianBlur(counts, (0, 0), rng.uniform(1.5, 4))
        counts += rng.uniform(0.4, 1.4) * np.clip(detail, -0.12 * span, 0.12 * span)
        place = np.clip((counts - low) / span, -0.1, 1.1)
        bins = ((place + np.float32(0.1)) * np.float32(511 / 1.2)).astype(np.intp)
        level = equalize(bins, rng.uniform(1.0, 4.0) * raw.size / 512)
        floor, top = rng.uniform(0, 35), rng.uniform(215, 255)
        mix = rng.uniform(0.6, 1.0) * contrast
        image = mix * level + (1 - mix) * np.clip(place, 0, 1)
        image = floor + (top - floor) * image
    else:
        raise ValueError(f"mode={mode!r}: linear, centred, plateau or fixed")
    image = np.clip(np.round(image), 0, 255).astype(np.uint8)
    return 255 - image if rng.random() < 0.04 and mode in ("linear", "plateau") else image


def expose_visible(radiance: np.ndarray, rng: np.random.Generator, sun: float) -> np.ndarray:
    """Bloom, auto-exposure, noise and gamma of a colour camera.

    Args:
        radiance: (H, W, 3) float32 linear RGB.
        rng: source of randomness.
        sun: 0 at night to 1 at noon.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    image = cv2.GaussianBlur(radiance, (0, 0), rng.uniform(0.4, 0.7))
    bloom = cv2.GaussianBlur(np.minimum(image, 4), (0, 0), 0.02 * min(image.shape[:2]) + 0.5)
    image = 0.94 * image + 0.06 * bloom
    # Night cameras do not lift darkness to mid-gray.
    target = 0.12 + 0.3 * sun
    gain = target / max(float(np.mean(np.minimum(image, 1))), 1e-3)
    image = image * np.clip(gain, 0.5, 2.0 + 2.0 * (1 - sun))
    noise = 0.004 + 0.016 * (1 - sun)
    image = image + noise * rng.standard_normal(image.shape, dtype=np.float32)
    image = np.clip(image, 0, 1) ** (1 / 2.0)
    return np.round(255 * image).astype(np.uint8)
