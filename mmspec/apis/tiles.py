"""Large images in tiles: where they lie, and one result from theirs."""

from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torchvision.ops import batched_nms

from .frames import InputError

#: Top, left, bottom, right in pixels.
Window = tuple[int, int, int, int]

SAME = 0.5  # IoU from which boxes of one class are of one object
_COVERED = 0.7  # share of a box at a cut that lies in a box of its class: a part of that object
_AT_CUT = 2.0  # pixels from a tile's inner edge


def tile_windows(shape: tuple[int, int], tile: tuple[int, int], overlap: int) -> list[Window]:
    """Tiles that cover an image (H, W), of one size and at least so many pixels in common.

    The last ones are moved back to end with the image. A side shorter than the tile has one.

    Raises:
        InputError: an overlap that is not below the tile's sides.
    """
    if min(tile) < 1 or not 0 <= overlap < min(tile):
        raise InputError(f"tile {tile[0]} x {tile[1]}, overlap {overlap}: 0 <= overlap < tile")
    starts = []
    for size, side in zip(shape, tile):
        side = min(size, side)
        steps = range(0, size - side, side - overlap)
        starts.append([(start, start + side) for start in [*steps, size - side]])
    return [(top, left, below, right) for top, below in starts[0] for left, right in starts[1]]


def blended(maps: Sequence[Tensor], windows: Sequence[Window], shape: tuple[int, int]) -> Tensor:
    """(C, H, W) from the maps of tiles, each weighted by the distance to its edge."""
    total = maps[0].new_zeros((len(maps[0]), *shape))
    weights = total.new_zeros(shape)
    for part, (top, left, below, right) in zip(maps, windows):
        rows, columns = (torch.arange(1, n + 1).to(part) for n in (below - top, right - left))
        rows, columns = (torch.minimum(x, x.flip(0)) for x in (rows, columns))
        weight = torch.minimum(rows[:, None], columns)
        total[:, top:below, left:right] += weight * part
        weights[top:below, left:right] += weight
    return total / weights


def merged_instances(
    found: Sequence[InstanceData], windows: Sequence[Window], shape: tuple[int, int]
) -> InstanceData:
    """Predictions of an image (H, W) from those of its tiles, the best first.

    Of boxes of one class that overlap the best is kept (NMS). An object that a tile cuts is whole
    in the next one, if the overlap is as large as it: what lies at a cut and within a larger box of
    its class is left out too.
    """
    cut = []
    for part, (top, left, below, right) in zip(found, windows):
        start = part.bboxes.new_tensor([left, top])
        size = part.bboxes.new_tensor([right - left, below - top])
        near = torch.cat([part.bboxes[:, :2] < _AT_CUT, part.bboxes[:, 2:] > size - _AT_CUT], 1)
        inner = near.new_tensor([left > 0, top > 0, right < shape[1], below < shape[0]])
        cut.append((near & inner).any(1))
        part.bboxes = part.bboxes + start.repeat(2)
    cut = torch.cat(cut)
    tile = torch.cat([torch.full_like(part.labels, i) for i, part in enumerate(found)])
    whole = InstanceData.cat(list(found))
    kept = batched_nms(whole.bboxes.float(), whole.scores.float(), whole.labels, SAME)
    kept = kept[~_part_of_another(whole[kept], cut[kept])]
    result, tile = whole[kept], tile[kept]
    if "masks" in result:
        masks = result.masks.new_zeros((len(kept), *shape))
        for mask, part, i in zip(masks, result.masks, tile.tolist()):
            top, left, below, right = windows[i]
            mask[top:below, left:right] = part
        del result.masks
        result.masks = masks
    return result


def _part_of_another(boxes: InstanceData, cut: Tensor) -> Tensor:
    """(N,) bool: at a cut, and mostly in a larger box of the class with at least half its score."""
    corners = boxes.bboxes.float()
    low = torch.maximum(corners[:, None, :2], corners[None, :, :2])
    high = torch.minimum(corners[:, None, 2:], corners[None, :, 2:])
    common = (high - low).clamp(min=0).prod(2)
    area = (corners[:, 2:] - corners[:, :2]).prod(1)
    larger = (area[None] > area[:, None]) & (boxes.labels[None] == boxes.labels[:, None])
    covered = common >= _COVERED * area[:, None]
    trusted = boxes.scores[None] >= 0.5 * boxes.scores[:, None]  # no speck of noise deletes it
    return cut & (larger & covered & trusted).any(1)
