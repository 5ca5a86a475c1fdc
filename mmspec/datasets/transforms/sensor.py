"""Pass images through another infrared camera than the one that took them."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmspec.registry import TRANSFORMS
from mmspec.thermal.sensor import equalize, line_noise, temporal_noise

Chance = tuple[float, float, float] | None
# What the ranges of an effect may hold.
_LIMITS = {
    "blur": (0, np.inf),
    "noise": (0, np.inf),
    "fixed_pattern": (0, np.inf),
    "columns": (0, np.inf),
    "dead_pixels": (0, 1),
    "gain": (0, np.inf),
    "offset": (-np.inf, np.inf),
    "equalization": (0, 1),
    "steps": (2, 256),
}


@TRANSFORMS.register_module()
class InfraredSensor(BaseTransform):
    """Add what differs between infrared cameras: optics, detector, gain control and polarity.

    Effects come in the order of a camera: blur of the lens; noise, fixed pattern, columns and dead
    pixels of the detector; gain, offset, equalization and steps of the gain control; polarity. Each
    is given as (probability, low, high), its strength drawn uniformly from low to high, or as None
    for never. What is beyond 0 to 255 in the end is clipped.

    One draw holds for all channels.

    Modified keys: ``img``, (H, W), (H, W, 1) or (H, W, C) of equal channels, gray levels from 0 to
    255. uint8 stays uint8; float32 stays float32 and is not rounded to whole levels.

    Args:
        blur: deviation of a Gaussian in pixels.
        noise: of each frame, in standard deviations of the image, of which a part is shared by
            neighbouring pixels.
        fixed_pattern: of each pixel, in standard deviations of the image.
        columns: offsets of columns, and 0.4 of it of rows, in standard deviations of the image.
        dead_pixels: share of pixels that are stuck at black or white.
        gain: factor on differences from the mean level.
        offset: what is added, in standard deviations of the image.
        equalization: weight of a histogram equalization with a plateau, against the image.
        steps: levels that are left, as where few counts are stretched over the display.
        polarity: probability of black-hot, 255 less each level.

    Raises:
        ValueError: A probability or range that makes no sense; channels that differ.
        TypeError: An image that is neither uint8 nor float32.
    """

    def __init__(
        self,
        blur: Chance = (0.2, 0.3, 1.2),
        noise: Chance = (0.3, 0.02, 0.15),
        fixed_pattern: Chance = (0.2, 0.02, 0.1),
        columns: Chance = (0.2, 0.02, 0.1),
        dead_pixels: Chance = (0.1, 0.0, 0.001),
        gain: Chance = (0.3, 0.7, 1.4),
        offset: Chance = (0.3, -0.5, 0.5),
        equalization: Chance = (0.1, 0.3, 1.0),
        steps: Chance = (0.1, 24, 96),
        polarity: float = 0.1,
    ) -> None:
        given = blur, noise, fixed_pattern, columns, dead_pixels, gain, offset, equalization, steps
        self.effects = dict(zip(_LIMITS, given, strict=True))
        for name, chance in self.effects.items():
            least, most = _LIMITS[name]
            if chance is None:
                continue
            if len(chance) != 3 or not (
                0 <= chance[0] <= 1 and least <= chance[1] <= chance[2] <= most
            ):
                raise ValueError(
                    f"{name}={chance!r}: give (probability, low, high) with {least} <= low <= high"
                    f" <= {most}, or None"
                )
        if not 0 <= polarity <= 1:
            raise ValueError(f"polarity={polarity!r}: give a probability from 0 to 1")
        self.polarity = polarity

    def transform(self, results: dict) -> dict:
        img = results["img"]
        if img.dtype not in (np.uint8, np.float32):
            raise TypeError(f"InfraredSensor: img is {img.dtype}, give uint8 or float32")
        gray = img if img.ndim == 2 else img[..., 0]
        if img.ndim == 3 and (img != img[..., :1]).any():
            raise ValueError("InfraredSensor: the channels of img differ, give an infrared image")
        strength = {name: self._draw(chance) for name, chance in self.effects.items()}
        # A generator of its own: the global one has no float32 and takes twice as long.
        rng = np.random.default_rng(np.random.randint(2**31))
        out = _expose(gray.astype(np.float32), strength, rng)
        if np.random.random() < self.polarity:
            out = 255 - out
        out = np.clip(out, 0, 255)
        if img.dtype == np.uint8:
            out = np.rint(out).astype(np.uint8)
        if img.ndim == 3:
            out = np.repeat(out[..., None], img.shape[2], axis=2)
        results["img"] = out
        return results

    @staticmethod
    def _draw(chance: Chance) -> float | None:
        if chance is None or np.random.random() >= chance[0]:
            return None
        return np.random.uniform(*chance[1:])

    def __repr__(self) -> str:
        effects = "".join(f"{name}={chance}, " for name, chance in self.effects.items())
        return f"{type(self).__name__}({effects}polarity={self.polarity})"


def _expose(image: np.ndarray, strength: dict, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32 through lens, detector and gain control; a strength of None is left out."""
    mean, contrast = float(image.mean()), float(image.std())
    if strength["blur"]:
        image = cv2.GaussianBlur(image, (0, 0), strength["blur"])
    if strength["noise"]:
        image = image + strength["noise"] * contrast * temporal_noise(image.shape, rng)
    if strength["fixed_pattern"]:
        pattern = rng.standard_normal(image.shape, np.float32)
        image = image + strength["fixed_pattern"] * contrast * pattern
    if strength["columns"]:
        of_columns, of_rows = line_noise(image.shape, rng)
        image = image + strength["columns"] * contrast * (of_columns + 0.4 * of_rows)
    if strength["dead_pixels"]:
        dead = rng.random(image.shape, np.float32) < strength["dead_pixels"]
        image = np.where(dead, np.float32(255) * rng.integers(0, 2, image.shape), image)
    if strength["gain"] is not None:
        image = mean + strength["gain"] * (image - mean)
    if strength["offset"]:
        image = image + strength["offset"] * contrast
    if strength["equalization"]:
        bins = (np.clip(image, 0, 255) * np.float32(511 / 255)).astype(np.intp)
        level = 255 * equalize(bins, 3 * image.size / 512)
        image = image + strength["equalization"] * (level - image)
    if strength["steps"]:
        low, high = float(image.min()), float(image.max())
        step = max(high - low, 1e-3) / (round(strength["steps"]) - 1)
        image = low + step * np.rint((image - low) / step)
    return image.astype(np.float32, copy=False)
