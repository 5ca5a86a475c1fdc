"""From the colours of a thermal picture back to the scalar that they stand for.

Cameras and papers colour one value a pixel by a palette, a line through colour space. Luma is no
way back: in rainbow, jet and turbo it rises and falls. The nearest entry of the palette is, where
the picture is near its line at all; overlays (logo, text, scale bar) and the blurred chroma of
JPEG are not, and are few.
"""

from functools import lru_cache

import cv2
import numpy as np

from .errors import UnreadableImageError

COLOURED = (
    "a colour image, converted to gray by luma (0.299 R + 0.587 G + 0.114 B); where the colours are"
    " a palette laid over temperatures, luma is not monotonic in temperature: use the gray original"
)
UNDONE = "coloured by a palette, which is undone:"

# Corners of FLIR's palettes between which they run straight, within 5 levels (rainbow 12), as
# (place of 223, red, green, blue), read off the files that carry them.
_FLIR = {
    "iron": (
        (0, 0, 17, 24), (11, 2, 4, 85), (24, 52, 0, 135), (35, 86, 0, 157), (49, 128, 0, 169),
        (74, 186, 22, 148), (111, 239, 82, 64), (128, 254, 115, 28), (141, 255, 140, 5),
        (168, 255, 193, 0), (182, 255, 216, 25), (197, 255, 237, 79), (212, 250, 253, 168),
        (223, 244, 255, 255),
    ),
    "rainbow": (
        (0, 1, 3, 73), (11, 0, 7, 89), (21, 1, 49, 133), (43, 0, 90, 203), (57, 1, 113, 223),
        (65, 4, 129, 212), (78, 17, 150, 130), (84, 66, 171, 60), (92, 113, 188, 22),
        (112, 212, 215, 2), (138, 250, 187, 15), (153, 255, 136, 30), (168, 251, 33, 59),
        (181, 248, 25, 78), (205, 254, 144, 135), (211, 255, 191, 165), (223, 255, 231, 205),
    ),
    "rainbow_hc": (
        (0, 0, 0, 0), (27, 231, 0, 231), (54, 0, 0, 153), (81, 0, 229, 229), (108, 0, 79, 0),
        (137, 229, 232, 0), (166, 121, 0, 0), (194, 216, 47, 47), (223, 252, 248, 247),
    ),
}  # fmt: skip
_OPENCV = ("jet", "hot", "inferno", "magma", "turbo", "viridis", "rainbow")
#: Names of palettes: FLIR's, and those of OpenCV and matplotlib.
PALETTES = (*_FLIR, *(f"opencv_{name}" if name in _FLIR else name for name in _OPENCV))
#: What may be done with colours, beside the names of palettes.
AUTO, REFUSE = "auto", "refuse"

#: Pixels with this much between their channels are coloured; a picture with fewer than this share
#: of them is taken for gray, or for a photo at night.
_COLOURED_BY, _LEAST_COLOURED = 24, 0.1
#: Furthest from the palette, in levels of luma, and the least share of coloured pixels within.
#: 206 photos of streets have at most 0.14 of theirs, pictures coloured by a palette and
#: compressed (JPEG of quality 90 with chroma at half size) 0.68 and more.
_FURTHEST, _LEAST_FIT = 8.0, 0.6
#: Least deviation of places along the palette, of 256: even areas of one colour prove none.
_LEAST_SPREAD = 2.0
#: The same of all pixels, where the palette is told. Pictures of FLIR's have at least 0.77 of them
#: within theirs, though some have edges of the visible picture drawn in; one beside a visible
#: picture 0.30. A photo at night may pass.
_FURTHEST_TOLD, _LEAST_FIT_TOLD = 12.0, 0.7
_SAMPLES = 512
# Chroma counts half: JPEG keeps it at half the size, so that it is wrong wherever levels change.
_WEIGHTS = np.float32([1, 0.5, 0.5])


@lru_cache
def colours(name: str) -> np.ndarray:
    """A palette by its name, (256, 3) uint8, blue first, cold to hot.

    Raises:
        ValueError: no such palette.
    """
    if name in _FLIR:
        place, *rgb = np.array(_FLIR[name], float).T
        return resampled(np.stack(rgb[::-1], 1), place)
    if name not in PALETTES:
        raise ValueError(f"palette={name!r}: {', '.join(PALETTES)}")
    code = getattr(cv2, f"COLORMAP_{name.removeprefix('opencv_').upper()}")
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], code)[:, 0]


def resampled(entries: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """Entries (N, 3) of a palette as 256, (256, 3) uint8; evenly spaced unless ``places`` says."""
    places = np.arange(len(entries)) if places is None else places
    at = np.linspace(0, places[-1], 256)
    levels = [np.interp(at, places, channel) for channel in entries.T]
    return np.rint(np.stack(levels, 1).clip(0, 255)).astype(np.uint8)


def gray_of_colours(
    pixels: np.ndarray, luma: np.ndarray, palette: str | None, own: tuple[str, np.ndarray] | None
) -> tuple[np.ndarray, str]:
    """One channel of a coloured picture, and a remark that says by what.

    Args:
        pixels: (H, W, 3 or 4), blue first. Palettes colour uint8 alone.
        luma: (H, W), what is taken where no palette is undone.
        palette: as in :class:`~mmspec.thermal.scaling.Scaling`.
        own: name and entries, (256, 3) uint8, of the palette that the file says it has.

    Raises:
        UnreadableImageError: colours are refused, or not those of the palette that is named.
    """
    if palette == REFUSE:
        raise UnreadableImageError("a colour image, which palette='refuse' does not take")
    if palette is None:
        return luma, COLOURED
    named = palette != AUTO
    tries = [({palette: colours(palette)}, True)] if named else [(dict([own]), True)] if own else []
    if not named:
        tries.append(({name: colours(name) for name in PALETTES}, False))
    for known, told in tries if pixels.dtype == np.uint8 else ():
        if name := find_palette(pixels[..., :3], known, told):
            return to_scalar(pixels[..., :3], known[name]), f"{UNDONE} {name}"
    if named:
        raise UnreadableImageError(f"its colours are not those of palette={palette!r}")
    return luma, COLOURED


def find_palette(
    pixels: np.ndarray, known: dict[str, np.ndarray], told: bool = False
) -> str | None:
    """The palette that coloured a picture (H, W, 3) uint8, blue first; None if none of them did.

    Args:
        pixels: the picture, of which some hundred pixels are looked at.
        known: (256, 3) uint8 by name.
        told: the file or the user says so: the picture is taken at its word if it can be, and
            may be almost gray, as a cold scene.
    """
    step = max(1, round((pixels.shape[0] * pixels.shape[1] / _SAMPLES) ** 0.5))
    seen = pixels[step // 2 :: step, step // 2 :: step].reshape(-1, 3)
    coloured = np.ptp(seen, axis=-1) > _COLOURED_BY
    furthest, least_fit = _FURTHEST_TOLD, _LEAST_FIT_TOLD
    if not told:
        if coloured.mean() < _LEAST_COLOURED:
            return None
        seen, furthest, least_fit = seen[coloured], _FURTHEST, _LEAST_FIT
    lines = np.concatenate([_luma_chroma(entries) for entries in known.values()])
    apart = _squared_distances(_luma_chroma(seen) * _WEIGHTS, lines * _WEIGHTS)
    apart = apart.reshape(len(apart), -1, 256)
    even = apart.argmin(2).std(0) < _LEAST_SPREAD
    # Rounding makes a distance of zero a little less.
    apart = np.sqrt(apart.min(2).clip(0))
    apart[:, ((apart < furthest).mean(0) < least_fit) | (even & (not told))] = np.inf
    # Of two that share a part, such as the dark one, the closer one.
    means = np.minimum(apart, 2 * furthest).mean(0)
    return list(known)[means.argmin()] if np.isfinite(apart).any() else None


def to_scalar(pixels: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """The scalar of a coloured picture: where along the palette its colours lie.

    Args:
        pixels: (H, W, 3) uint8, blue first.
        entries: the palette, (256, 3) uint8, blue first.

    Returns:
        (H, W) uint8; pixels off the palette get its nearest entry.
    """
    nearest, slopes, offsets = _table(entries.tobytes())
    picture = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_BGR2YCrCb)
    luma, *chroma = cv2.split(picture)
    cell = (luma >> 3).astype(np.int32) << 10
    cell |= (chroma[0] >> 3).astype(np.int32) << 5
    cell |= chroma[1] >> 3
    entry = nearest.take(cell)
    # From the entry nearest to the cell along the palette to the point nearest to the pixel.
    place = cv2.LUT(entry, offsets)
    for channel, slope in zip((luma, *chroma), slopes):
        place += cv2.LUT(entry, slope) * channel
    entry = entry.astype(np.float32)
    return np.rint(place.clip(entry - 3, entry + 3).clip(0, 255)).astype(np.uint8)


@lru_cache(maxsize=16)
def _table(entries: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The entry nearest to each of 32^3 cells of luma and chroma, uint8; and what refines it.

    The place of a pixel near entry i is offsets[i] + slopes[:, i] @ pixel: the pixel's projection
    on the palette's tangent.
    """
    line = _luma_chroma(np.frombuffer(entries, np.uint8).reshape(256, 3))
    weighted = line * _WEIGHTS
    level = np.arange(32, dtype=np.float32) * 8 + 3.5
    cells = np.stack(np.meshgrid(level, level, level, indexing="ij"), -1).reshape(-1, 3)
    parts = np.array_split(cells * _WEIGHTS, 8)
    nearest = np.concatenate([_squared_distances(part, weighted).argmin(1) for part in parts])
    tangent = np.gradient(weighted, axis=0)
    # Entries that repeat have no tangent: there the nearest one stays.
    slopes = tangent * _WEIGHTS / np.maximum((tangent**2).sum(1, keepdims=True), 0.05)
    offsets = np.arange(256) - (slopes * line).sum(1)
    return (
        nearest.astype(np.uint8),
        np.ascontiguousarray(slopes.T, np.float32),
        offsets.astype(np.float32),
    )


def _luma_chroma(pixels: np.ndarray) -> np.ndarray:
    """(N, 3) of blue, green, red as (N, 3) float32 of Y, Cr and Cb, as OpenCV but unrounded."""
    blue, green, red = pixels.astype(np.float32).T
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([luma, 0.713 * (red - luma) + 128, 0.564 * (blue - luma) + 128], 1)


def _squared_distances(points: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """(N, M) of points (N, 3) and entries (M, 3)."""
    return (points**2).sum(1)[:, None] - 2 * points @ entries.T + (entries**2).sum(1)
