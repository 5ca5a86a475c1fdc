"""Homographies between infrared and visible images by their edges, without learning.

What both cameras show alike is where things begin and end: hot or cold, light or dark. Strengths of
edges in four directions, each even over the image, are correlated (the aim of Evangelidis and
Psarakis, PAMI 2008, on edges in place of gray levels), by Gauss-Newton steps on the four corners of
the infrared view. Several pairs of one rig are aligned together: their correlations add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

#: Width of the infrared image, spread of the edges (pixels), what may move (4: a similarity, 6: an
#: affinity, 8: a homography) and how many candidates enter.
_STEPS = ((128, 2.5, (4, 6), 4), (128, 1.5, (6, 8), 2), (256, 1.5, (8,), 1))
_WIDTH = 256  # of the images that agreement is measured on
#: Correlation that a view costs which is no similarity, over the square of its corners' deviation
#: in shares of the width. Two lenses side by side look nearly alike; a sky without edges would let
#: the corners above it wander.
_STIFFNESS = 4.0
_INSIDE = 0.7  # share of the infrared view that the visible image must cover
_REACH = 10  # pixels around a block's place in which its edges are looked for


@dataclass(frozen=True)
class Agreement:
    """How well an aligned pair fits, block by block: by how much its edges would move to fit best.

    Attributes:
        residual: median of the blocks' distances, in pixels of the infrared image.
        share: of blocks that lie within 3 of 256 widths.
        correlation: of the edges over the whole view, -1 to 1.
    """

    residual: float
    share: float
    correlation: float


def align_by_edges(
    infrared: Sequence[np.ndarray],
    visible: Sequence[np.ndarray],
    starts: Sequence[np.ndarray] | None = None,
    view: tuple[float, float] = (0.75, 1.1),
) -> np.ndarray:
    """The homography from infrared to visible pixels that correlates the edges of pairs best.

    Args:
        infrared: (H, W) uint8 each, of one size.
        visible: (H', W', 3) uint8 RGB each, of one size.
        starts: homographies (3, 3) to begin with; by default places and scales at which the edges
            of the whole infrared image fit best.
        view: least and most width of the infrared view in shares of the visible image's.

    Returns:
        (3, 3) float64. It is the best that was found: :func:`agreement` tells whether it is right.
    """
    shape = infrared[0].shape
    if starts is None:
        candidates = _starts(infrared, visible, view)
    else:
        candidates = [corner_places(start, shape) for start in starts]
    for width, spread, freedoms, keep in _STEPS:
        candidates = candidates[:keep]
        span = np.median([np.ptp(places[:, 0]) for places in candidates])
        firsts = [_edges(_scaled(image, width), spread) for image in infrared]
        others, scale = _as_fine(visible, width / max(span, 1.0), spread)
        found = []
        for places in candidates:
            places = (places + 0.5) * scale - 0.5
            for freedom in freedoms:
                places, score = _refined(firsts, others, places, freedom)
            found.append((score, (places + 0.5) / scale - 0.5))
        candidates = [places for _, places in sorted(found, key=lambda one: -one[0])]
    return _homography(shape, candidates[0])


def agreement(infrared: np.ndarray, visible: np.ndarray, homography: np.ndarray) -> Agreement:
    """Measure an alignment: whether the edges of each part of the view lie where they should.

    Blocks of a sixth of the width, half over each other, are looked for up to 10 pixels around
    their places, in images 256 wide: a pair of two scenes finds each somewhere.

    Args:
        infrared: (H, W) uint8.
        visible: (H', W', 3) uint8 RGB.
        homography: (3, 3), from infrared to visible pixels.
    """
    places = corner_places(homography, infrared.shape)
    span = max(float(np.ptp(places[:, 0])), 1.0)
    first = _edges(_scaled(infrared, _WIDTH), 1.0)
    (other,), scale = _as_fine([visible], _WIDTH / span, 1.0)
    seen, inside = _seen(other, (places + 0.5) * scale - 0.5, first.shape)
    if inside.mean() < _INSIDE:
        return Agreement(float("inf"), 0.0, -1.0)
    correlation = float((_normalised(first, inside) * _normalised(seen, inside)).sum() / 4)
    side = _WIDTH // 6
    padded = cv2.copyMakeBorder(seen, *[_REACH] * 4, cv2.BORDER_REPLICATE)
    distances = []
    for top in range(0, first.shape[0] - side + 1, side // 2):
        for left in range(0, first.shape[1] - side + 1, side // 2):
            if inside[top : top + side, left : left + side].mean() < 0.9:
                continue
            block = np.ascontiguousarray(first[top : top + side, left : left + side])
            around = padded[top : top + side + 2 * _REACH, left : left + side + 2 * _REACH]
            fit = cv2.matchTemplate(np.ascontiguousarray(around), block, cv2.TM_CCOEFF_NORMED)
            best = np.unravel_index(fit.argmax(), fit.shape)
            distances.append(np.hypot(*np.subtract(best, _REACH)))
    distances = np.array(distances or [np.inf])
    residual = float(np.median(distances)) * infrared.shape[1] / _WIDTH
    return Agreement(residual, float((distances <= 3).mean()), correlation)


def corner_places(homography: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Where the corners of an infrared image (H, W) lie in the visible one, (4, 2) x, y pixels."""
    return cv2.perspectiveTransform(_corners(shape)[None], np.asarray(homography, np.float64))[0]


def _corners(shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape[:2]
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64) - 0.5


def _homography(shape: tuple[int, ...], places: np.ndarray) -> np.ndarray:
    return cv2.getPerspectiveTransform(_corners(shape).astype("f4"), places.astype("f4"))


def _scaled(image: np.ndarray, width: int) -> np.ndarray:
    height = max(8, round(image.shape[0] * width / image.shape[1]))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _as_fine(
    images: Sequence[np.ndarray], scale: float, spread: float
) -> tuple[list[np.ndarray], float]:
    """Edges of visible images scaled so that their pixels are about those of the infrared ones."""
    full = images[0].shape[1]
    width = int(np.clip(round(full * scale), 16, full))
    return [_edges(_scaled(image, width), spread) for image in images], width / full


def _edges(image: np.ndarray, spread: float) -> np.ndarray:
    """Strengths of edges in four directions, over their mean around: (H, W, 4) float32."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    gray = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 1.0)
    x, y = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    strengths = np.abs(np.stack([x, y, (x + y) / 2**0.5, (x - y) / 2**0.5], axis=-1))
    whole = np.hypot(x, y)
    around = cv2.GaussianBlur(whole, (0, 0), max(gray.shape) / 24)
    strengths /= (around + 0.3 * whole.mean() + 1e-3)[..., None]
    return cv2.GaussianBlur(np.minimum(strengths, 4), (0, 0), spread)


def _starts(
    infrared: Sequence[np.ndarray], visible: Sequence[np.ndarray], view: tuple[float, float]
) -> list[np.ndarray]:
    """Places of the corners by the scale and shift at which the edges fit best, the best first."""
    width, spread, _, _ = _STEPS[0]
    firsts = [_edges(_scaled(image, width), spread) for image in infrared]
    height = firsts[0].shape[0]
    margins = height // 4, height // 4, width // 4, width // 4
    found = []
    for share in np.geomspace(*view, 9):
        others, scale = _as_fine(visible, width / (share * visible[0].shape[1]), spread)
        total = 0
        for first, other in zip(firsts, others):
            level = tuple(map(float, other.mean((0, 1))))
            other = cv2.copyMakeBorder(other, *margins, cv2.BORDER_CONSTANT, value=level)
            if other.shape[0] < height or other.shape[1] < width:
                break
            total = total + cv2.matchTemplate(other, first, cv2.TM_CCOEFF_NORMED)
        else:
            for _ in range(2):
                top, left = np.unravel_index(total.argmax(), total.shape)
                places = _corners(first.shape) + 0.5 + (left - margins[2], top - margins[0])
                found.append((float(total.max()), places / scale - 0.5))
                total[max(0, top - 5) : top + 6, max(0, left - 5) : left + 6] = -np.inf
    if not found:
        raise ValueError(f"view={view}: the visible images are too small for it")
    return [places for _, places in sorted(found, key=lambda one: -one[0])]


def _seen(
    edges: np.ndarray, places: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Visible edges on the infrared grid, and where there are any: (H, W, 4) and (H, W, 1)."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    outside = dict(borderMode=cv2.BORDER_CONSTANT, borderValue=(-1e4,) * 4)
    seen = cv2.warpPerspective(
        edges, _homography(shape, places), shape[1::-1], flags=flags, **outside
    )
    inside = (seen[..., :1] >= 0).astype(np.float32)
    return seen * inside, inside


def _normalised(edges: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Each direction with mean 0 and length 1 over the pixels inside."""
    # Products of matrices: sums over two axes take numpy most of an alignment.
    weights = inside.ravel()
    mean = weights @ edges.reshape(len(weights), -1) / max(float(weights.sum()), 1.0)
    centred = (edges - mean) * inside
    return centred / np.sqrt(np.einsum("hwc,hwc->c", centred, centred) + 1e-9)


def _motions(places: np.ndarray, freedom: int) -> np.ndarray:
    """Ways of the corners: two shifts, scale, turn, two shears, two perspectives: (8, freedom)."""
    x, y = (places - places.mean(0)).T
    one, no = np.ones(4), np.zeros(4)
    ways = [(one, no), (no, one), (x, y), (-y, x), (x, -y), (y, x), (x * y, no), (no, x * y)]
    ways = np.stack([np.stack(way, 1).ravel() for way in ways[:freedom]], 1)
    return ways / np.abs(ways).max(0)


def _refined(
    firsts: list[np.ndarray], others: list[np.ndarray], places: np.ndarray, freedom: int
) -> tuple[np.ndarray, float]:
    """Places of the corners that correlate best near the given ones, and their score."""
    shape, step, damping = firsts[0].shape, 0.5, 1e-2
    similar, _ = np.linalg.qr(_motions(_corners(shape), 4))
    stiffness = _STIFFNESS * (np.eye(8) - similar @ similar.T) / shape[1] ** 2

    def score(places: np.ndarray) -> float:
        total = -float(places.ravel() @ stiffness @ places.ravel())
        for first, other in zip(firsts, others):
            seen, inside = _seen(other, places, shape)
            if inside.mean() < _INSIDE:
                return -1.0
            fit = np.vdot(_normalised(first, inside), _normalised(seen, inside))
            total += float(fit) / 4 / len(firsts)
        return total

    best = score(places)
    for _ in range(12):
        ways = _motions(places, freedom)
        # Of 8 (1 - score) for each pair, which is the square of the residual's length.
        weight = 8 * len(firsts)
        normal = weight * ways.T @ stiffness @ ways
        gradient = -weight * ways.T @ stiffness @ places.ravel()
        for first, other in zip(firsts, others):
            seen, inside = _seen(other, places, shape)
            residual = _normalised(first, inside) - _normalised(seen, inside)
            slopes = []
            for way in ways.T.reshape(-1, 4, 2):
                ahead, one = _seen(other, places + step * way, shape)
                behind, two = _seen(other, places - step * way, shape)
                both = inside * one * two
                slope = _normalised(ahead, both) - _normalised(behind, both)
                slopes.append((slope * both).ravel() / (2 * step))
            slopes = np.stack(slopes)
            normal += slopes @ slopes.T
            gradient += slopes @ residual.ravel()
        for _ in range(5):
            damped = normal + damping * np.diag(np.diag(normal)) + 1e-12 * np.eye(freedom)
            move = (ways @ np.linalg.solve(damped, gradient)).reshape(4, 2)
            move *= min(1.0, 6 / max(np.abs(move).max(), 1e-9))
            if (better := score(places + move)) > best:
                break
            damping *= 4
        else:
            break
        places, best, damping = places + move, better, damping / 4
        if np.abs(move).max() < 0.02:
            break
    return places, best
