"""What it takes to prepare and describe a corpus: image facts, near-duplicates, entropy."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mmspec.datasets.image_io import UnreadableImageError, decode_infrared
from mmspec.parallel import in_parallel
from mmspec.thermal.palettes import COLOURED, UNDONE

try:
    import imagehash
except ImportError as error:
    raise ImportError("near-duplicates need imagehash: pip install 'mmspec[tools]'") from error


@dataclass(frozen=True)
class ImageFacts:
    """What the choice of images needs to know of one file."""

    path: str
    width: int = 0
    height: int = 0
    perceptual_hash: int = 0
    coloured: bool = False
    fault: str | None = None


@dataclass(frozen=True)
class DroppedImage:
    """An image left out: ``reason`` is 'unreadable', 'too small', 'near-duplicate' or 'not
    sampled'."""

    path: str
    reason: str
    detail: str
    anchor: str | None = None
    distance: int | None = None


def inspect_image(path: str) -> ImageFacts:
    """Read one image: size, 64-bit perceptual hash (``imagehash.phash``), colour, or its fault."""
    try:
        gray, remarks = decode_infrared(path)
    except UnreadableImageError as error:
        return ImageFacts(path, fault=error.reason)
    bits = imagehash.phash(Image.fromarray(gray)).hash
    height, width = gray.shape
    return ImageFacts(
        path,
        width,
        height,
        int.from_bytes(np.packbits(bits).tobytes(), "big"),
        any(remark.startswith((COLOURED, UNDONE)) for remark in remarks),
    )


def inspect_images(paths: Sequence[str], workers: int) -> list[ImageFacts]:
    """:func:`inspect_image` of each, by so many processes, with a bar."""
    return in_parallel(inspect_image, paths, workers, "Reading images")


def relative_path(path: str, root: str) -> str:
    """With '/', whatever the system."""
    return os.path.relpath(path, root).replace(os.sep, "/")


def unlistable(path: str) -> bool:
    """A name that a text list of one path a line cannot hold."""
    return "\n" in path or "\r" in path or any("\ud800" <= char <= "\udfff" for char in path)


def choose_images(
    images: Sequence[ImageFacts],
    *,
    min_side: int,
    hash_distance: int,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> tuple[list[ImageFacts], list[DroppedImage]]:
    """Keep readable images that are large enough and resemble no image kept before them.

    The preparation of Inf30 (InfMAE, section 3): images whose width and height are both under
    ``min_side`` pixels go; an anchor is taken and what closely resembles it goes. The paper does
    not say how it measures likeness; here it is the Hamming distance of perceptual hashes.

    Returns:
        Kept images and dropped ones, each in the order given.
    """
    dropped: dict[str, DroppedImage] = {}
    candidates = []
    for image in images:
        if image.fault is not None:
            dropped[image.path] = DroppedImage(image.path, "unreadable", image.fault)
        elif max(image.width, image.height) < min_side:
            size = f"{image.width} x {image.height} pixels"
            dropped[image.path] = DroppedImage(image.path, "too small", size)
        else:
            candidates.append(image)
    hashes = np.array([image.perceptual_hash for image in candidates], np.uint64)
    anchors, distances = near_duplicates(hashes, hash_distance, progress=progress)
    kept = []
    for index, (image, anchor, distance) in enumerate(
        zip(candidates, anchors.tolist(), distances.tolist(), strict=True)
    ):
        if anchor == index:
            kept.append(image)
        else:
            path = candidates[anchor].path
            dropped[image.path] = DroppedImage(
                image.path, "near-duplicate", f"{distance} bits apart", path, distance
            )
    return kept, [dropped[image.path] for image in images if image.path in dropped]


def near_duplicates(
    hashes: np.ndarray,
    max_distance: int,
    *,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> tuple[np.ndarray, np.ndarray]:
    """For each hash in turn the nearest anchor before it; one further than allowed is an anchor.

    All are compared with all, in blocks of bounded memory. With bits as +1 and -1 the dot product
    of two hashes is their length minus twice their distance, so a block is one matrix product.

    Args:
        hashes: (N,) uint64, or (N, 2) for pairs of images, whose differing bits add up.
        max_distance: largest number of differing bits that counts as a duplicate.
        progress: wraps the sequence of block starts, to show a bar.

    Returns:
        (N,) int64 index of the anchor, the hash's own index if it is one itself (of equally near
        anchors the first), and (N,) int64 distance to it.
    """
    packed = np.ascontiguousarray(hashes if hashes.ndim == 2 else hashes[:, None])
    signs = np.unpackbits(packed.view(np.uint8), axis=1).astype(np.float32) * 2 - 1
    bits = signs.shape[1]
    anchors, distances = np.arange(len(hashes)), np.zeros(len(hashes), np.int64)
    kept = np.empty(len(hashes), np.int64)
    kept_signs = np.empty_like(signs)
    count = 0
    for start in progress(range(0, len(hashes), 1024)):
        block = signs[start : start + 1024]
        rows = np.arange(len(block))
        nearest, likeness = np.zeros(len(block), np.int64), np.full(len(block), -np.inf)
        for first in range(0, count, 8192):
            products = block @ kept_signs[first : min(first + 8192, count)].T
            column = products.argmax(axis=1)
            value = products[rows, column]
            closer = value > likeness
            nearest[closer], likeness[closer] = first + column[closer], value[closer]
        within = block @ block.T
        first_new = count
        for row in rows:
            if count > first_new:
                products = within[row, kept[first_new:count] - start]
                column = products.argmax()
                if products[column] > likeness[row]:
                    nearest[row], likeness[row] = first_new + column, products[column]
            index = start + row
            if likeness[row] >= bits - 2 * max_distance:
                anchors[index] = kept[nearest[row]]
                distances[index] = (bits - likeness[row]) // 2
            else:
                kept[count], kept_signs[count] = index, block[row]
                count += 1
    return anchors, distances
