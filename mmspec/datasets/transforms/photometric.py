"""Augment levels the way infrared cameras, and visible ones, differ."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmspec.photometry import VISIBLE_HIGH, VISIBLE_LOW, InfraredChanges
from mmspec.registry import TRANSFORMS


@TRANSFORMS.register_module()
class InfraredPhotometric(BaseTransform):
    """Change gain, offset, gamma and noise of an infrared image, in place of colour jitter.

    A scene's gray levels depend on the camera's automatic gain and level, its display curve and its
    noise more than on temperature. Each of the four is applied with probability ``prob``, in this
    order: gain about the image's mean level, offset, clipping to 0..255, gamma, Gaussian noise,
    clipping. Offset and noise are in units of the image's contrast, the standard deviation of its
    gray levels: what a bright frame hardly shows would blot out a night scene of 30 levels.

    One draw holds for the whole image and for all its channels, so equal ones stay equal.

    Modified keys: ``img``, (H, W) or (H, W, C), uint8 or float32 of 0 to 255, which is not rounded
    to whole levels.

    Args:
        gain: range of the factor on differences from the mean level, drawn uniformly in its
            logarithm.
        offset: range of what is added, in standard deviations of the image.
        gamma: range of the exponent on levels in [0, 1], drawn uniformly in its logarithm.
        noise: range of the noise's standard deviation, in those of the image.
        prob: probability of each of the four.

    Raises:
        ValueError: A range or probability that makes no sense.
        TypeError: An image that is neither uint8 nor float32.
    """

    def __init__(self, *ranges, **named_ranges) -> None:
        self.changes = InfraredChanges(*ranges, **named_ranges)

    def transform(self, results: dict) -> dict:
        img = results["img"]
        if img.dtype not in (np.uint8, np.float32):
            raise TypeError(f"InfraredPhotometric: img is {img.dtype}, give uint8 or float32")
        img = np.ascontiguousarray(img)
        (mean,), (contrast,) = (x[0] for x in cv2.meanStdDev(img.reshape(len(img), -1)))
        curve = self._draw_curve(mean, contrast)
        noise = self._draw(np.random.uniform, self.changes.noise)
        if img.dtype == np.uint8:
            changed = cv2.LUT(img, np.rint(curve).clip(0, 255).astype(np.uint8))
        else:
            changed = np.interp(img, np.arange(256), curve.clip(0, 255)).astype(np.float32)
        if noise:
            changed = _add_noise(changed, noise * contrast)
        results["img"] = changed.reshape(img.shape)  # OpenCV drops a last axis of one
        return results

    def _draw_curve(self, mean: float, contrast: float) -> np.ndarray:
        """(256,) float64: what each gray level becomes."""
        gain = self._draw(_log_uniform, self.changes.gain)
        offset = self._draw(np.random.uniform, self.changes.offset)
        gamma = self._draw(_log_uniform, self.changes.gamma)
        curve = np.arange(256.0)
        if gain is not None:
            curve = mean + gain * (curve - mean)
        if offset is not None:
            curve = curve + offset * contrast
        if gamma is not None:
            curve = 255 * (curve.clip(0, 255) / 255) ** gamma
        return curve

    def _draw(self, distribution, limits: tuple[float, float]) -> float | None:
        return distribution(*limits) if np.random.random() < self.changes.prob else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.changes})"


@TRANSFORMS.register_module()
class VisiblePhotometric(BaseTransform):
    """Change brightness, contrast, saturation and hue of a visible image, in random order.

    By as much as mmseg's ``PhotoMetricDistortion``: factors from 0.875 to 1.125, 0.5 to 1.5 and 0.5
    to 1.5, and a tenth of the circle to either side. Draws and pixels are those of mmpretrain's
    ``ColorJitter(0.125, 0.5, 0.5, 0.1, backend='cv2')``, which takes four times as long: here
    levels go through a table, not through floats.

    Modified keys: ``img``, (H, W, 3) uint8 in mmcv's order: blue, green, red.
    """

    def transform(self, results: dict) -> dict:
        image = np.array(results["img"], order="C")  # a copy: the steps write into it
        steps = (_change_brightness, _change_contrast, _change_saturation, _turn_hue)
        order = np.random.permutation(len(steps))
        draws = np.random.uniform(VISIBLE_LOW, VISIBLE_HIGH)
        for index in order:
            steps[index](image, float(draws[index]))
        results["img"] = image
        return results


# In place: a new array for each step would take as long as the step.


def _change_brightness(image: np.ndarray, factor: float, level: float = 0) -> None:
    """Scale the distance from a level, the same for all colours."""
    ramp = np.arange(256, dtype=np.float32)
    table = cv2.addWeighted(ramp, factor, np.full_like(ramp, level), 1 - factor, 0)
    cv2.LUT(image, table.clip(0, 255).astype(np.uint8), dst=image)


def _change_contrast(image: np.ndarray, factor: float) -> None:
    mean = cv2.mean(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))[0]
    _change_brightness(image, factor, round(mean))


def _change_saturation(image: np.ndarray, factor: float) -> None:
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    cv2.addWeighted(image, factor, gray, 1 - factor, 0, dst=image)


def _turn_hue(image: np.ndarray, turn: float) -> None:
    cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL, dst=image)
    turns = np.zeros(image.shape[1:], np.uint8)  # a row: hues are every third value
    turns[:, 0] = int(turn * 255) % 256
    image += turns  # round the circle, as bytes do
    cv2.cvtColor(image, cv2.COLOR_HSV2BGR_FULL, dst=image)


def _log_uniform(low: float, high: float) -> float:
    return float(np.exp(np.random.uniform(np.log(low), np.log(high))))


def _add_noise(img: np.ndarray, std: float) -> np.ndarray:
    """Add the same Gaussian noise to every channel, in whole levels to uint8, saturating."""
    noise = np.empty(img.shape[:2], np.float32 if img.dtype == np.float32 else np.int16)
    # OpenCV's generator: it takes a third of the time of NumPy's, and rounds as it goes.
    cv2.setRNGSeed(np.random.randint(2**31))
    cv2.randn(noise, 0, std)
    if img.dtype == np.float32:
        return np.clip(img + (noise if img.ndim == 2 else noise[..., None]), 0, 255)
    if img.ndim == 3:
        noise = cv2.merge([noise] * img.shape[2])
    return cv2.add(img, noise, dtype=cv2.CV_8U)
