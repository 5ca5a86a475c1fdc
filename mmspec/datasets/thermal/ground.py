"""The ground plane of a scene: strips, patches, marks, shadows and heat stains, in metres."""

import cv2
import numpy as np

from .canvas import Canvas, Colour, Label


def repeat(offset: np.ndarray, period: float) -> np.ndarray:
    """Signed distance to the middle of the period that each value lies in."""
    # Ten times as fast as np.mod.
    whole = np.floor(offset * np.float32(1 / period))
    return offset - np.float32(period) * (whole + np.float32(0.5))


class Ground:
    """Temperature, colour and class of the ground that each pixel sees.

    Fields cover the rows from ``first`` on, (h, W): ``x`` and ``z`` in metres, ``temperature`` in
    Celsius, ``label``, ``colour`` (h, W, 3) or None, and ``shade``, the share of light that comes.

    Args:
        canvas: Canvas of the scene, for its camera, textures and weather.
        visible: Whether to keep colours.
    """

    def __init__(self, canvas: Canvas, visible: bool) -> None:
        self._camera, self._atlas = canvas.camera, canvas.atlas
        self.first, self.x, self.z, self._width, self._length = canvas.camera.ground()
        self.temperature = np.zeros_like(self.x)
        self.label = np.full(self.x.shape, Label.GROUND, np.uint8)
        self.colour = np.zeros((*self.x.shape, 3), np.float32) if visible else None
        self.shade = np.ones_like(self.x)
        # Distance down the picture in the metres of a pixel's width: what stands up, like grass, is
        # as tall as it is wide in the image, whatever the slant of the ground.
        self._upright = np.ascontiguousarray(
            np.broadcast_to(np.cumsum(self._width, axis=0), self.x.shape)
        )

    def along(self, heading: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Metres across and along a heading (radians from +z), (h, W), and pixel size in each."""
        cos, sin = np.float32(np.cos(heading)), np.float32(np.sin(heading))
        across = self.x * cos - self.z * sin
        along = self.x * sin + self.z * cos
        size_across = np.abs(cos) * self._width + np.abs(sin) * self._length
        size_along = np.abs(sin) * self._width + np.abs(cos) * self._length
        return across, along, size_across, size_along

    def texture(
        self, kind: str, metres: float, heading: float = 0.0, stretch: float = 1.0
    ) -> np.ndarray:
        """A fractal field laid on the ground, faded where a pixel covers too much of it.

        Args:
            kind: Field of the atlas.
            metres: Size on the ground of one atlas pixel.
            heading: Direction of ``stretch`` in radians.
            stretch: Times longer along the heading than across it.
        """
        across, along, size, long = self.along(heading)
        fade = 1 / (1 + (np.maximum(size, long / stretch) / (2.5 * metres)) ** 2)
        across *= np.float32(1 / metres)
        along *= np.float32(1 / (metres * stretch))
        return self._atlas.at(across, along, kind) * fade

    def tufts(self, kind: str, metres: float) -> np.ndarray:
        """A fractal field of things that stand on the ground, ``metres`` an atlas pixel."""
        fade = 1 / (1 + (self._width / (2.5 * metres)) ** 2)
        scale = np.float32(1 / metres)
        return self._atlas.at(self.x * scale, self._upright * scale, kind) * fade

    def paint(
        self,
        cover: np.ndarray | float,
        temperature: np.ndarray | float,
        colour: Colour | None = None,
        label: Label | None = None,
    ) -> None:
        """Blend a material over the ground; ``cover`` is (h, W) in 0 to 1."""
        cover = np.broadcast_to(np.float32(cover), self.x.shape)
        self.temperature += cover * (np.float32(temperature) - self.temperature)
        if colour is not None and self.colour is not None:
            self.colour += cover[..., None] * (np.float32(colour) - self.colour)
        if label is not None:
            self.label[cover > 0.5] = label

    @staticmethod
    def strip(offset: np.ndarray, half: float, size: np.ndarray) -> np.ndarray:
        """Cover of ``|offset| < half`` metres, anti-aliased for pixels of ``size`` metres."""
        edge = 1 / (size + np.float32(1e-3))
        cover = np.clip((half - np.abs(offset)) * edge + np.float32(0.5), 0, 1)
        return cover * np.minimum(1, 2 * half * edge)

    def mark(
        self,
        polygon: np.ndarray,
        kelvin: float,
        soft: float = 0.0,
        shade: float = 0.0,
        weight: np.ndarray | None = None,
    ) -> None:
        """Warm or cool a polygon and take away a share of its light: patches, cracks, shadows.

        Args:
            polygon: (N, 2) corners (x, z) in metres; left out where it reaches behind the camera.
            kelvin: Change of temperature.
            soft: Blur of the outline in pixels (one deviation).
            shade: Share of light taken away.
            weight: Share of the effect (h, W), 1 by default.
        """
        corners = np.zeros((len(polygon), 3))
        corners[:, ::2] = polygon
        camera = self._camera.to_camera(corners)
        if camera[:, 2].min() < self._camera.near:
            return
        pixels = np.clip(self._camera.to_pixels(camera), -4e3, 8e3) - [0.5, self.first + 0.5]
        margin = 3 * soft + 2
        x0, y0 = np.maximum(pixels.min(axis=0) - margin, 0).astype(int)
        x1, y1 = (pixels.max(axis=0) + margin).astype(int)
        part = slice(y0, y1), slice(x0, x1)
        mask = np.zeros(self.x[part].shape, np.uint8)
        if not mask.size:
            return
        fixed = np.round((pixels - [x0, y0]) * 16).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, shift=4)
        cover = (cv2.GaussianBlur(mask, (0, 0), soft) if soft else mask) * np.float32(1 / 255)
        if weight is not None:
            cover *= weight[part]
        self.temperature[part] += np.float32(kelvin) * cover
        if shade:
            self.shade[part] *= 1 - np.float32(shade) * cover

    def stain(self, x: float, z: float, radius: float, kelvin: float) -> None:
        """Add a soft warm or cold spot at (x, z), ``radius`` metres wide (one deviation)."""
        rows = np.flatnonzero(np.abs(self.z[:, 0] - z) < 2.5 * radius)
        if len(rows):
            part = slice(rows[0], rows[-1] + 1)
            squared = (self.x[part] - np.float32(x)) ** 2 + (self.z[part] - np.float32(z)) ** 2
            self.temperature[part] += kelvin * np.exp(squared * np.float32(-0.5 / radius**2))

    def full(self, field: np.ndarray, above: float) -> np.ndarray:
        """Extend a field (h, W, ...) to the whole image, with a constant above the horizon."""
        top = np.full((self.first, *field.shape[1:]), above, field.dtype)
        return np.concatenate([top, field])
