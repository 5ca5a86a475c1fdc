"""Random crops of a batch of images of several sizes, resized on their device."""

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor

MAX_ATTEMPTS = 10  # at a box that lies in the image, as torchvision and mmpretrain have it


def draw_boxes(
    sizes: Tensor, area: tuple[float, float], aspect: tuple[float, float] = (3 / 4, 4 / 3)
) -> Tensor:
    """Draw boxes as mmpretrain's and torchvision's ``RandomResizedCrop`` do.

    Args:
        sizes: (B, 2) heights and widths of images.
        area: range of a box's share of its image.
        aspect: range of width / height, drawn uniformly in its logarithm.

    Returns:
        (B, 4) float32: left, top, width and height of each box, whole pixels.
    """
    sizes = sizes.float()
    height, width = sizes[:, :1], sizes[:, 1:]
    draws = torch.rand(len(sizes), MAX_ATTEMPTS, 2, device=sizes.device)
    share = area[0] + (area[1] - area[0]) * draws[..., 0]
    low, high = map(math.log, aspect)
    ratio = (low + (high - low) * draws[..., 1]).exp()
    box = torch.stack(
        [(share * height * width * ratio).sqrt(), (share * height * width / ratio).sqrt()], -1
    ).round()
    extent = sizes.flip(1)  # width, height
    fits = ((box > 0) & (box <= extent[:, None])).all(-1)
    first = fits.int().argmax(1)[:, None, None].expand(-1, 1, 2)
    box = box.gather(1, first)[:, 0]
    # Of a very long image none may fit: then the middle of it, as long as the aspects allow.
    longest = torch.stack([extent[:, 1] * aspect[1], extent[:, 0] / aspect[0]], -1).round()
    fitted = fits.any(1, keepdim=True)
    box = torch.where(fitted, box, torch.minimum(extent, longest))
    place = (torch.rand_like(box) * (extent - box + 1)).floor().clamp(max=extent - box)
    place = torch.where(fitted, place, ((extent - box) / 2).floor())
    return torch.cat([place, box], 1)


def middle_squares(sizes: Tensor) -> Tensor:
    """The largest square in the middle of each image, as boxes of :func:`draw_boxes`."""
    side = sizes.amin(1, keepdim=True).expand(-1, 2)
    return torch.cat([(sizes.flip(1) - side).div(2, rounding_mode="floor"), side], 1).float()


def crop_resize(
    images: Tensor, boxes: Tensor, sizes: Tensor, size: tuple[int, int], flip: Tensor | None = None
) -> Tensor:
    """Resize a box of each image: Pillow's ``resize(size, BICUBIC, box=box)``, within a level.

    Rows, then columns are two batched products with the weights of an antialiased bicubic kernel
    (a = -0.5, as wide as the scale asks for). As in Pillow pixels outside the box count at its
    edges, and levels are rounded after either. Pillow 13 takes columns first for some shapes, which
    differs by more where levels are cut at 0 or 255 in between.

    Args:
        images: (B, C, H, W) uint8, or float32, which is not rounded; each image in the upper left
            corner.
        boxes: (B, 4) left, top, width and height.
        sizes: (B, 2) height and width of what is image, not padding.
        size: height and width of the result.
        flip: (B,) bool, which are mirrored left to right.

    Returns:
        (B, C, *size), of the dtype of ``images``.
    """
    with _in_float32(images.device.type):
        columns = _weights(boxes[:, 0], boxes[:, 2], sizes[:, 1], size[1], images.shape[3], flip)
        rows = _weights(boxes[:, 1], boxes[:, 3], sizes[:, 0], size[0], images.shape[2])
        whole = images.dtype == torch.uint8
        resized = images.float() @ columns[:, None].mT
        resized = rows[:, None] @ (_levels(resized) if whole else resized)
        return _levels(resized).to(torch.uint8) if whole else resized


@contextlib.contextmanager
def _in_float32(device: str) -> Iterator[None]:
    """Whole products: a half-precision step, or TF32, would round weights to 8 or 11 bits."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _levels(values: Tensor) -> Tensor:
    return values.add_(0.5).floor_().clamp_(0, 255)  # halves upwards, as Pillow


def _weights(
    start: Tensor,
    length: Tensor,
    extent: Tensor,
    size: int,
    pixels: int,
    flip: Tensor | None = None,
) -> Tensor:
    """(B, size, pixels): what each pixel of a row counts in each pixel of the resized row."""
    step = (length / size)[:, None]
    places = torch.arange(size, device=start.device) + 0.5
    centres = start[:, None] + step * places
    if flip is not None:
        centres = torch.where(flip[:, None], centres.flip(1), centres)
    x = torch.arange(pixels, device=start.device)
    distance = ((x + 0.5 - centres[..., None]) / step[..., None].clamp(min=1)).abs()
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    weights = weights * (x < extent[:, None, None])
    return weights / weights.sum(-1, keepdim=True)
